/** Owns the streams of the platform: web-streams-polyfill, which is the standard's reference implementation, made fit to be shown. */
import "./early.js";
import {
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  TransformStream,
  TransformStreamDefaultController,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
} from "web-streams-polyfill";
import { showAs } from "./inspect.js";

showAs(ReadableStream.prototype, (self) => ({ locked: self.locked }));
showAs(WritableStream.prototype, (self) => ({ locked: self.locked }));
showAs(TransformStream.prototype, (self) => ({ readable: self.readable, writable: self.writable }));

/** All interfaces, by name. */
export const streams = {
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  ReadableByteStreamController,
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
  ReadableStreamDefaultReader,
  TransformStream,
  TransformStreamDefaultController,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
};

export { ReadableStream, TransformStream, WritableStream };
