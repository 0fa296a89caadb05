/**
 * Owns the bodies of requests and responses, and the methods by which both give theirs out.
 *
 * A body's bytes are in one of three places: here, at the host (`Remote`), or in a stream. The stream is made only when somebody asks for
 * `body` or for a clone of what's at the host: text(), json() and the like take the bytes from where they are.
 */
import * as native from "capsule:native";
import { Blob, blobBytes, blobOf } from "./blob.js";
import { bufferOf, bytesOf, isBufferSource, joined, NO_BYTES, type BufferSource } from "./bytes.js";
import { TextDecoder } from "./encoding.js";
import { FormData } from "./form_data.js";
import type { Headers } from "./headers.js";
import { extractMediaType, mediaTypeText } from "./mime.js";
import { decodeMultipart, decodeUrlencoded, encodeMultipart } from "./multipart.js";
import { ReadableStream, TransformStream } from "./streams.js";
import { URLSearchParams } from "./url.js";

/** What a body can be made of. Anything else is turned into a string, but for asynchronous iterables, which become streams. */
export type BodyInit = string | URLSearchParams | FormData | Blob | BufferSource | ReadableStream<Uint8Array>;

/** A body whose bytes come from elsewhere, on demand. */
export interface Remote {
  /** The next bytes, undefined at the end. Rejects if they can't come. Not called again before it's settled. */
  read(): Promise<Uint8Array | undefined>;
  /** Gives up the rest. */
  close(): void;
  /** Called, once it's set, with the reason when the body fails although nobody reads. */
  onFailure?: (reason: unknown) => void;
}

type Place = { bytes: Uint8Array; shared: boolean } | { remote: Remote } | { stream: ReadableStream<Uint8Array> };

const UNUSABLE = "Body is unusable: Body has already been read";

/** The bytes of a body, which can be had once. */
export class BodyState {
  #place: Place;
  #used = false;

  /** How many bytes it has, where that's known. */
  readonly length: number | undefined;
  /** What it's a body of, as the value of Content-Type; undefined if nothing says so. */
  readonly type: string | undefined;

  constructor(place: Place, type?: string) {
    this.#place = place;
    this.type = type;
    this.length = "bytes" in place ? place.bytes.length : undefined;
  }

  /** Whether something was read of it. */
  get used(): boolean {
    return this.#used || ("stream" in this.#place && isDisturbed(this.#place.stream));
  }
  /** Whether it can't be read: something was, or somebody holds a reader. */
  get unusable(): boolean {
    return this.used || ("stream" in this.#place && this.#place.stream.locked);
  }
  /** The bytes, if they are here and nobody has asked for the stream. */
  get bytes(): Uint8Array | undefined {
    return "bytes" in this.#place ? this.#place.bytes : undefined;
  }

  /** The bytes, if they are here, to be sent and not changed; it has been read then. */
  send(): Uint8Array | undefined {
    this.#used = true;
    return this.bytes;
  }

  /** As a stream. */
  stream(): ReadableStream<Uint8Array> {
    if (!("stream" in this.#place)) this.#place = { stream: this.#used ? spentStream() : streamOf(this.#place) };
    return this.#place.stream;
  }

  /** All bytes, which are the caller's own. @throws TypeError if something was read of it already */
  async consume(): Promise<Uint8Array> {
    if (this.unusable) throw new TypeError(UNUSABLE);
    const place = this.#place;
    if ("stream" in place) return ownBytes(await readStream(place.stream));
    this.#used = true;
    if ("bytes" in place) return place.shared ? place.bytes.slice() : place.bytes;
    return joined(await readRemote(place.remote));
  }

  /** A second body of the same bytes; both can be read. */
  clone(): BodyState {
    if ("bytes" in this.#place) {
      this.#place = { bytes: this.#place.bytes, shared: true };
      return new BodyState(this.#place, this.type);
    }
    const [one, other] = this.stream().tee();
    this.#place = { stream: one };
    return new BodyState({ stream: other }, this.type);
  }

  /** Moves the bytes into a new body; this one has been read then. */
  move(): BodyState {
    let place = this.#place;
    if ("stream" in place) place = { stream: place.stream.pipeThrough(new TransformStream<Uint8Array, Uint8Array>()) };
    else this.#used = true;
    return new BodyState(place, this.type);
  }
}

/** web-streams-polyfill keeps it where the standard's text has it. */
function isDisturbed(stream: ReadableStream<Uint8Array>): boolean {
  return (stream as unknown as { _disturbed: boolean })._disturbed;
}

function streamOf(place: Exclude<Place, { stream: unknown }>): ReadableStream<Uint8Array> {
  const remote = "remote" in place ? place.remote : oneChunk(place.shared ? place.bytes.slice() : place.bytes);
  return new ReadableStream<Uint8Array>({
    type: "bytes",
    start(controller) {
      remote.onFailure = (reason) => controller.error(reason);
    },
    async pull(controller) {
      const chunk = await remote.read();
      if (chunk !== undefined) {
        controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
        return;
      }
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel() {
      remote.close();
    },
  });
}

/** What `body` is when text() or the like has taken the bytes, or is about to. */
function spentStream(): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>({ type: "bytes" });
  void stream.cancel();
  return stream;
}

function oneChunk(bytes: Uint8Array): Remote {
  let left: Uint8Array | undefined = bytes.length > 0 ? bytes : undefined;
  return {
    async read() {
      const chunk = left;
      left = undefined;
      return chunk;
    },
    close() {},
  };
}

async function readRemote(remote: Remote): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await remote.read(); chunk !== undefined; chunk = await remote.read()) chunks.push(chunk);
  return chunks;
}

async function readStream(stream: ReadableStream<Uint8Array>): Promise<Uint8Array[]> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  for (let one = await reader.read(); !one.done; one = await reader.read()) {
    if (!(one.value instanceof Uint8Array)) {
      const error = new TypeError("Received a chunk that is not a Uint8Array");
      await reader.cancel(error);
      throw error;
    }
    chunks.push(one.value);
  }
  return chunks;
}

/** Chunks of a stream may be somebody else's memory, so even a single one is copied. */
function ownBytes(chunks: Uint8Array[]): Uint8Array {
  return chunks.length === 1 ? chunks[0]!.slice() : joined(chunks);
}

/** A body of what a constructor was given. @throws TypeError for a stream that's in use */
export function bodyOf(init: unknown): BodyState {
  if (typeof init === "string") return ofBytes(native.encodeUtf8(init), "text/plain;charset=UTF-8");
  if (init instanceof URLSearchParams)
    return ofBytes(native.encodeUtf8(init.toString()), "application/x-www-form-urlencoded;charset=UTF-8");
  if (init instanceof FormData) {
    const { bytes, boundary } = encodeMultipart(init);
    return ofBytes(bytes, `multipart/form-data; boundary=${boundary}`);
  }
  if (init instanceof Blob) return new BodyState({ bytes: blobBytes(init), shared: true }, init.type || undefined);
  if (isBufferSource(init)) return ofBytes(bytesOf(init).slice(), undefined);
  if (init instanceof ReadableStream) return ofStream(init);
  if (init instanceof BodyState) return init; // of clone()
  if (typeof init === "object" && init !== null && Symbol.asyncIterator in init)
    return ofStream(ReadableStream.from(init as AsyncIterable<Uint8Array>));
  return ofBytes(native.encodeUtf8(String(init)), "text/plain;charset=UTF-8");
}

/** A body of bytes that nobody else has. */
export function ofBytes(bytes: Uint8Array, type: string | undefined): BodyState {
  return new BodyState({ bytes, shared: false }, type);
}

/** A body whose bytes come from elsewhere. */
export function ofRemote(remote: Remote): BodyState {
  return new BodyState({ remote });
}

function ofStream(stream: ReadableStream<Uint8Array>): BodyState {
  if (isDisturbed(stream) || stream.locked)
    throw new TypeError("Response body object should not be disturbed or locked");
  return new BodyState({ stream });
}

/** What requests and responses have in common. */
export interface Body {
  readonly body: ReadableStream<Uint8Array> | null;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob(): Promise<Blob>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  formData(): Promise<FormData>;
  json(): Promise<any>;
  text(): Promise<string>;
}

async function formOf(bytes: Uint8Array, header: string | null): Promise<FormData> {
  const type = extractMediaType(header ?? "");
  const boundary = type?.parameters.get("boundary");
  if (type?.essence === "multipart/form-data" && boundary !== undefined) return decodeMultipart(bytes, boundary);
  if (type?.essence === "application/x-www-form-urlencoded") return decodeUrlencoded(bytes);
  throw new TypeError(`Failed to parse body as FormData: its Content-Type is ${header ?? "missing"}`);
}

function typeOf(header: string | null): string {
  const type = extractMediaType(header ?? "");
  return type === undefined ? "" : mediaTypeText(type);
}

/**
 * Gives an interface the methods of {@link Body}.
 *
 * @param bodyOf the body of an instance, null if it has none; throws a TypeError for what isn't an instance
 */
export function mixBody<T extends { headers: Headers }>(prototype: T, stateOf: (self: T) => BodyState | null): void {
  const consume = async (self: T): Promise<Uint8Array> => (await stateOf(self)?.consume()) ?? NO_BYTES.slice();
  const text = async (self: T): Promise<string> => new TextDecoder().decode(await consume(self));
  const methods = {
    async arrayBuffer(this: T) {
      return bufferOf(await consume(this));
    },
    async blob(this: T) {
      return blobOf(await consume(this), typeOf(this.headers.get("content-type")));
    },
    async bytes(this: T) {
      return consume(this);
    },
    async formData(this: T) {
      return formOf(await consume(this), this.headers.get("content-type"));
    },
    async json(this: T) {
      return JSON.parse(await text(this));
    },
    async text(this: T) {
      return text(this);
    },
    get body() {
      return stateOf(this as never)?.stream() ?? null;
    },
    get bodyUsed() {
      return stateOf(this as never)?.used ?? false;
    },
  };
  Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(methods));
}
