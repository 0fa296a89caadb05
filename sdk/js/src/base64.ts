/** Owns base64: by the engine where it can, else by what every host has. */

interface WithBase64 {
  toBase64?(this: Uint8Array): string;
}
interface FromBase64 {
  fromBase64?(text: string): Uint8Array;
}

const native = (Uint8Array.prototype as WithBase64).toBase64;
const nativeFrom = (Uint8Array as FromBase64).fromBase64;
const { apply } = Reflect;

const CHUNK = 0x8000; // arguments of one call

function toBinary(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return text;
}

/** Bytes as base64, padded. */
export function toBase64(bytes: Uint8Array): string {
  return native === undefined ? btoa(toBinary(bytes)) : apply(native, bytes, []);
}

/**
 * The bytes of base64 text.
 *
 * @throws if it isn't base64
 */
export function fromBase64(text: string): Uint8Array {
  return nativeFrom === undefined
    ? Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
    : apply(nativeFrom, Uint8Array, [text]);
}
