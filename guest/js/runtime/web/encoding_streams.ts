/** Owns TextEncoderStream and TextDecoderStream: the two of encoding.ts as transform streams. */
import { TextDecoder, type TextDecoderOptions } from "./encoding.js";
import { isBufferSource, type BufferSource } from "./bytes.js";
import * as native from "capsule:native";
import { TransformStream, type ReadableStream, type WritableStream } from "./streams.js";

/** Text to chunks of UTF-8. A pair of surrogates may be cut in two by chunks. */
export class TextEncoderStream {
  readonly #transform: TransformStream<string, Uint8Array>;

  constructor() {
    let high = "";
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        let text = high + String(chunk);
        high = /[\uD800-\uDBFF]$/.test(text) ? text.slice(-1) : "";
        if (high !== "") text = text.slice(0, -1);
        if (text !== "") controller.enqueue(native.encodeUtf8(text));
      },
      flush(controller) {
        if (high !== "") controller.enqueue(native.encodeUtf8(high));
      },
    });
  }

  get encoding(): "utf-8" {
    return "utf-8";
  }
  get readable(): ReadableStream<Uint8Array> {
    return this.#transform.readable;
  }
  get writable(): WritableStream<string> {
    return this.#transform.writable;
  }
}

/** Chunks of bytes to text. Parameters and errors: {@link TextDecoder}. */
export class TextDecoderStream {
  readonly #decoder: TextDecoder;
  readonly #transform: TransformStream<BufferSource, string>;

  constructor(label: string = "utf-8", options: TextDecoderOptions | null = {}) {
    const decoder = new TextDecoder(label, options);
    this.#decoder = decoder;
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        if (!isBufferSource(chunk)) throw new TypeError("TextDecoderStream: a chunk is not a buffer or a view of one");
        const text = decoder.decode(chunk, { stream: true });
        if (text !== "") controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== "") controller.enqueue(text);
      },
    });
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }
  get fatal(): boolean {
    return this.#decoder.fatal;
  }
  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }
  get readable(): ReadableStream<string> {
    return this.#transform.readable;
  }
  get writable(): WritableStream<BufferSource> {
    return this.#transform.writable;
  }
}
