/** Owns TextEncoder and TextDecoder. The engine's C does the work on whole strings; what's here is their state between chunks. */
import * as native from "capsule:native";
import { bytesOf, isBufferSource, joined, NO_BYTES, type BufferSource } from "./bytes.js";
import { decodeUtf16, decodeWindows1252, encodingOf, unfinishedUtf8, type EncodingName } from "./encodings.js";

/** What encodeInto did: code units of the source, bytes of the destination. */
export interface EncodeIntoResult {
  read: number;
  written: number;
}

function sizeOf(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** Text to UTF-8. */
export class TextEncoder {
  get encoding(): "utf-8" {
    return "utf-8";
  }

  /** UTF-8 of a string; lone surrogates become U+FFFD. */
  encode(text: string = ""): Uint8Array<ArrayBuffer> {
    return native.encodeUtf8(String(text)) as Uint8Array<ArrayBuffer>;
  }

  /** As much of a string as fits, in whole characters. */
  encodeInto(source: string, destination: Uint8Array): EncodeIntoResult {
    if (!(destination instanceof Uint8Array))
      throw new TypeError("TextEncoder.encodeInto: parameter 2 is not of type 'Uint8Array'");
    const text = String(source);
    if (text.length * 3 <= destination.length) {
      const bytes = native.encodeUtf8(text);
      destination.set(bytes);
      return { read: text.length, written: bytes.length };
    }
    let read = 0;
    let room = destination.length;
    while (read < text.length) {
      const code = text.codePointAt(read)!;
      const size = sizeOf(code);
      if (size > room) break;
      room -= size;
      read += code > 0xffff ? 2 : 1;
    }
    const bytes = native.encodeUtf8(text.slice(0, read));
    destination.set(bytes);
    return { read, written: bytes.length };
  }
}

/** Options of {@link TextDecoder}. */
export interface TextDecoderOptions {
  fatal?: boolean;
  ignoreBOM?: boolean;
}

const MALFORMED = "The encoded data was not valid for encoding ";

/** Bytes to text, whole or in chunks. */
export class TextDecoder {
  readonly #encoding: EncodingName;
  readonly #fatal: boolean;
  readonly #ignoreBOM: boolean;
  /** Bytes of a character whose rest comes with the next chunk. */
  #kept: Uint8Array = NO_BYTES;
  #started = false;
  /** Whether chunks came before: false lets a whole text skip all of it. */
  #streaming = false;

  /**
   * @param label utf-8 (the default), utf-16le, utf-16be, windows-1252, or another label of these
   * @throws RangeError for any other label
   */
  constructor(label: string = "utf-8", options: TextDecoderOptions | null = {}) {
    const encoding = encodingOf(String(label));
    if (encoding === undefined) throw new RangeError(`The "${label}" encoding is not supported`);
    this.#encoding = encoding;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
  }

  get encoding(): string {
    return this.#encoding;
  }
  get fatal(): boolean {
    return this.#fatal;
  }
  get ignoreBOM(): boolean {
    return this.#ignoreBOM;
  }

  /**
   * @param input bytes; none at the end of a stream
   * @param options `stream`: more will follow
   * @throws TypeError if `fatal` and the bytes are malformed
   */
  decode(input: BufferSource = NO_BYTES, options?: { stream?: boolean }): string {
    if (!isBufferSource(input)) throw new TypeError("TextDecoder.decode: parameter 1 is not a buffer or a view of one");
    const stream = Boolean(options?.stream);
    let bytes = bytesOf(input);
    if (!this.#streaming) {
      this.#kept = NO_BYTES;
      this.#started = false;
    } else if (this.#kept.length > 0) {
      bytes = joined([this.#kept, bytes]);
      this.#kept = NO_BYTES;
    }
    this.#streaming = stream;
    return this.#withoutBom(this.#decode(bytes, stream));
  }

  #decode(bytes: Uint8Array, stream: boolean): string {
    switch (this.#encoding) {
      case "utf-8":
        return this.#utf8(stream ? this.#keep(bytes, unfinishedUtf8(bytes)) : bytes);
      case "windows-1252":
        return decodeWindows1252(bytes);
      default:
        return this.#utf16(bytes, stream);
    }
  }

  #utf8(bytes: Uint8Array): string {
    try {
      return native.decodeUtf8(bytes, this.#fatal);
    } catch (error) {
      this.#streaming = false;
      throw error instanceof TypeError ? new TypeError(MALFORMED + "utf-8") : error;
    }
  }

  #utf16(bytes: Uint8Array, stream: boolean): string {
    const littleEndian = this.#encoding === "utf-16le";
    const odd = bytes.length % 2;
    let whole = bytes.subarray(0, bytes.length - odd);
    let rest = odd;
    const high = whole.length > 0 ? whole[whole.length - (littleEndian ? 1 : 2)]! : 0;
    if (stream && (high & 0xfc) === 0xd8) {
      whole = whole.subarray(0, whole.length - 2); // its low surrogate may follow
      rest += 2;
    }
    if (stream) this.#keep(bytes, rest);
    let text = decodeUtf16(whole, littleEndian);
    const malformed = !text.isWellFormed() || (!stream && odd === 1);
    if (malformed && this.#fatal) {
      this.#streaming = false;
      throw new TypeError(MALFORMED + this.#encoding);
    }
    if (malformed) text = text.toWellFormed();
    // a high surrogate and half a unit after it are one malformed sequence
    return !stream && odd === 1 && (high & 0xfc) !== 0xd8 ? text + "\uFFFD" : text;
  }

  /** Keeps the last n bytes for the next chunk; gives the others. */
  #keep(bytes: Uint8Array, n: number): Uint8Array {
    if (n === 0) return bytes;
    this.#kept = bytes.slice(bytes.length - n);
    return bytes.subarray(0, bytes.length - n);
  }

  #withoutBom(text: string): string {
    if (this.#started || text === "") return text;
    this.#started = true;
    return !this.#ignoreBOM && this.#encoding !== "windows-1252" && text.charCodeAt(0) === 0xfeff
      ? text.slice(1)
      : text;
  }
}
