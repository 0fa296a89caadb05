/**
 * Owns Blob and File. A blob is a list of parts, each an array of bytes that nobody changes; slices share them. Reading is asynchronous
 * for users alone: what's inside the platform takes {@link blobBytes}.
 */
import * as native from "capsule:native";
import { bufferOf, bytesOf, isBufferSource, joined, type BufferSource } from "./bytes.js";
import { TextDecoder } from "./encoding.js";
import { showAs } from "./inspect.js";
import { ReadableStream } from "./streams.js";

/** What a blob may be made of; anything else is turned into a string. */
export type BlobPart = BufferSource | Blob | string;

/** Options of {@link Blob}. */
export interface BlobPropertyBag {
  /** A media type; "" if it has characters outside of ASCII's printable ones. */
  type?: string;
  /** What line ends of strings become: "native" is \n here. */
  endings?: "transparent" | "native";
}

/** Bytes of one chunk of stream(). */
const CHUNK = 64 * 1024;

let partsOf: (blob: Blob) => readonly Uint8Array[];
let fromParts: (parts: readonly Uint8Array[], type: BlobPropertyBag) => Blob;
const inside = Symbol("parts of a blob");
const exactly = Symbol("type of a blob, not to be checked");

function checkedBag(bag: unknown): BlobPropertyBag {
  if (bag === null || bag === undefined) return {};
  if (typeof bag !== "object" && typeof bag !== "function")
    throw new TypeError("Blob: the options have to be an object");
  return bag;
}

function typeOf(type: unknown): string {
  const text = type === undefined ? "" : String(type);
  return /[^\x20-\x7e]/.test(text) ? "" : text.toLowerCase();
}

function readParts(parts: unknown, endings: string): Uint8Array[] {
  if (parts === undefined) return [];
  if ((typeof parts !== "object" && typeof parts !== "function") || parts === null || !(Symbol.iterator in parts))
    throw new TypeError("Blob: the parts have to be a sequence");
  const read: Uint8Array[] = [];
  for (const part of parts as Iterable<unknown>) {
    if (part instanceof Blob) read.push(...partsOf(part));
    else if (isBufferSource(part)) read.push(bytesOf(part).slice());
    else read.push(native.encodeUtf8(endings === "native" ? String(part).replace(/\r\n?/g, "\n") : String(part)));
  }
  return read.filter((part) => part.length > 0);
}

/** Bytes with a media type, that don't change. */
export class Blob {
  readonly #parts: readonly Uint8Array[];
  readonly #size: number;
  readonly #type: string;

  static {
    partsOf = (blob) => blob.#parts;
    fromParts = (parts, type) => new Blob({ [inside]: parts } as never, type);
  }

  /** @throws TypeError if the parts aren't a sequence or the options no object */
  constructor(parts: Iterable<BlobPart> | undefined = undefined, options?: BlobPropertyBag) {
    const bag = checkedBag(options);
    const endings = String(bag.endings ?? "transparent");
    if (endings !== "transparent" && endings !== "native")
      throw new TypeError(`Blob: "${endings}" is not a valid value for endings`);
    this.#parts = (parts as { [inside]?: Uint8Array[] } | undefined)?.[inside] ?? readParts(parts, endings);
    this.#size = this.#parts.reduce((n, part) => n + part.length, 0);
    this.#type = (bag as { [exactly]?: string })[exactly] ?? typeOf(bag.type);
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }
  get type(): string {
    return this.#type;
  }

  /** A part of it; negative positions count from the end. */
  slice(start: number = 0, end: number = this.#size, type: string = ""): Blob {
    const from = clamp(start, this.#size);
    const to = Math.max(from, clamp(end, this.#size));
    const parts: Uint8Array[] = [];
    let at = 0;
    for (const part of this.#parts) {
      const [begin, stop] = [Math.max(from - at, 0), Math.min(to - at, part.length)];
      if (begin < stop) parts.push(part.subarray(begin, stop));
      at += part.length;
    }
    return fromParts(parts, { type });
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return bufferOf(joined(this.#parts).slice());
  }
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return joined(this.#parts).slice() as Uint8Array<ArrayBuffer>;
  }
  async text(): Promise<string> {
    return new TextDecoder().decode(joined(this.#parts));
  }

  /** The bytes in chunks, a byte stream. */
  stream(): ReadableStream<Uint8Array> {
    const chunks = chunksOf(this.#parts);
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        const { done, value } = chunks.next();
        if (done) {
          controller.close();
          controller.byobRequest?.respond(0);
        } else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      },
    });
  }
}

function clamp(position: unknown, size: number): number {
  const at = Math.trunc(Number(position)) || 0;
  return at < 0 ? Math.max(size + at, 0) : Math.min(at, size);
}

function* chunksOf(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  const whole = joined(parts);
  for (let at = 0; at < whole.length; at += CHUNK) yield whole.slice(at, at + CHUNK);
}

/** Options of {@link File}. */
export interface FilePropertyBag extends BlobPropertyBag {
  /** Milliseconds since 1970; now, unless given. */
  lastModified?: number;
}

/** A blob with a name. It's no file of the sandbox's: those are read by `files` of the SDK. */
export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;

  /** @throws TypeError without parts and a name */
  constructor(parts: Iterable<BlobPart>, name: string, options?: FilePropertyBag) {
    if (arguments.length < 2) throw new TypeError(`File: 2 arguments required, but only ${arguments.length} present`);
    super(parts, options);
    this.#name = String(name).toWellFormed();
    const time = options?.lastModified;
    this.#lastModified = time === undefined ? Date.now() : Math.trunc(Number(time)) || 0;
  }

  get name(): string {
    return this.#name;
  }
  get lastModified(): number {
    return this.#lastModified;
  }
  get webkitRelativePath(): "" {
    return "";
  }
}

showAs(Blob.prototype, (blob) => ({ size: blob.size, type: blob.type }));
showAs(File.prototype, (file) => ({
  size: file.size,
  type: file.type,
  name: file.name,
  lastModified: file.lastModified,
}));

/** The bytes of a blob. Not to be changed: they may be the blob's own. */
export function blobBytes(blob: Blob): Uint8Array {
  return joined(partsOf(blob));
}

function exact(type: string): BlobPropertyBag {
  return { [exactly]: type } as BlobPropertyBag;
}

/** A blob of bytes that nobody else has, with exactly this type. */
export function blobOf(bytes: Uint8Array, type: string): Blob {
  return fromParts(bytes.length > 0 ? [bytes] : [], exact(type));
}

/** A file of what a blob has; for FormData and structuredClone. */
export function fileOf(blob: Blob, name: string, lastModified?: number): File {
  const options: FilePropertyBag = { type: blob.type };
  if (lastModified !== undefined) options.lastModified = lastModified;
  return new File({ [inside]: partsOf(blob) } as never, name, options);
}

/** A second blob of the same bytes, which they share. */
export function copyOf(blob: Blob): Blob {
  return blob instanceof File ? fileOf(blob, blob.name, blob.lastModified) : fromParts(partsOf(blob), exact(blob.type));
}
