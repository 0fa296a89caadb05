/** Owns crypto: random numbers from the host, fresh in every sandbox, and digests. Keys, signatures and ciphers aren't there. */
import * as native from "capsule:native";
import { bufferOf, bytesOf, isBufferSource, type BufferSource } from "./bytes.js";

const ours = Symbol("made by the platform");

const RANDOM_MAX = 65536;

const DIGESTS = new Set(["SHA-1", "SHA-256", "SHA-384", "SHA-512"]);

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** An algorithm: its name, or an object with it. */
export type AlgorithmIdentifier = string | { name: string };

function digestName(algorithm: unknown): string {
  const name = typeof algorithm === "object" && algorithm !== null ? (algorithm as { name?: unknown }).name : algorithm;
  if (name === undefined) throw new TypeError("SubtleCrypto.digest: the algorithm has no name");
  const upper = String(name).toUpperCase();
  if (!DIGESTS.has(upper)) throw new DOMException("Unrecognized algorithm name", "NotSupportedError");
  return upper;
}

/** Cryptography on bytes: digests alone. */
export class SubtleCrypto {
  readonly #made = true;

  constructor(key?: unknown) {
    if (key !== ours) throw new TypeError("Illegal constructor");
  }

  /**
   * @param algorithm SHA-1, SHA-256, SHA-384 or SHA-512
   * @throws DOMException NotSupportedError (the promise rejects) for any other
   */
  async digest(algorithm: AlgorithmIdentifier, data: BufferSource): Promise<ArrayBuffer> {
    void this.#made;
    if (arguments.length < 2)
      throw new TypeError(`SubtleCrypto.digest: 2 arguments required, but only ${arguments.length} present`);
    if (!isBufferSource(data)) throw new TypeError("SubtleCrypto.digest: parameter 2 is not a buffer or a view of one");
    return bufferOf(native.digest(digestName(algorithm), bytesOf(data)));
  }
}

const MISSING = [
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "generateKey",
  "deriveKey",
  "deriveBits",
  "importKey",
  "exportKey",
  "wrapKey",
  "unwrapKey",
];

for (const name of MISSING) {
  const method = async (): Promise<never> => {
    throw new DOMException(`crypto.subtle.${name} is not available here, only digest is`, "NotSupportedError");
  };
  Object.defineProperty(method, "name", { value: name });
  Object.defineProperty(SubtleCrypto.prototype, name, { value: method, writable: true, configurable: true });
}

function isIntegerView(view: unknown): view is ArrayBufferView {
  return (
    ArrayBuffer.isView(view) &&
    /^(Uint8|Uint8Clamped|Int8|Uint16|Int16|Uint32|Int32|BigInt64|BigUint64)Array$/.test(kindOf(view))
  );
}

function kindOf(view: ArrayBufferView): string {
  return (view as unknown as { [Symbol.toStringTag]: string })[Symbol.toStringTag];
}

/** Random numbers and digests. */
export class Crypto {
  readonly #subtle = new SubtleCrypto(ours);

  constructor(key?: unknown) {
    if (key !== ours) throw new TypeError("Illegal constructor");
  }

  get subtle(): SubtleCrypto {
    return this.#subtle;
  }

  /**
   * Fills an array of integers with random ones.
   *
   * @returns the same array
   * @throws DOMException TypeMismatchError for any other array; QuotaExceededError above 65,536 bytes
   */
  getRandomValues<T extends ArrayBufferView>(array: T): T {
    void this.#subtle;
    if (!ArrayBuffer.isView(array))
      throw new TypeError("Crypto.getRandomValues: parameter 1 is not of type 'ArrayBufferView'");
    if (!isIntegerView(array))
      throw new DOMException("The data argument must be an integer-type TypedArray", "TypeMismatchError");
    if (array.byteLength > RANDOM_MAX)
      throw new DOMException(
        `The requested length (${array.byteLength} bytes) exceeds ${RANDOM_MAX} bytes`,
        "QuotaExceededError",
      );
    native.randomFill(bytesOf(array));
    return array;
  }

  /** A random UUID, version 4. */
  randomUUID(): `${string}-${string}-${string}-${string}-${string}` {
    void this.#subtle;
    const b = new Uint8Array(16);
    native.randomFill(b);
    b[6] = (b[6]! & 0x0f) | 0x40;
    b[8] = (b[8]! & 0x3f) | 0x80;
    const hex = (from: number, to: number) => b.subarray(from, to).reduce((text, byte) => text + HEX[byte], "");
    return `${hex(0, 4)}-${hex(4, 6)}-${hex(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
  }
}

/** Keys can't be made here; the interface is there for `instanceof`. */
export class CryptoKey {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

export const crypto = new Crypto(ours);
