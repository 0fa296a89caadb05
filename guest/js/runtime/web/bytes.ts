/** Owns what every interface that takes bytes needs: seeing a BufferSource as bytes. */

/** Bytes: a buffer, or a view of one. */
export type BufferSource = ArrayBufferLike | ArrayBufferView;

/** An empty array of bytes; nobody can write to it. */
export const NO_BYTES = new Uint8Array(0);

/** Whether a value is a buffer or a view of one. */
export function isBufferSource(value: unknown): value is BufferSource {
  return ArrayBuffer.isView(value) || isAnyBuffer(value);
}

/** Whether a value is an ArrayBuffer or a SharedArrayBuffer. */
export function isAnyBuffer(value: unknown): value is ArrayBufferLike {
  return (
    value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer)
  );
}

/** The same memory as bytes: a detached buffer is empty. */
export function bytesOf(source: BufferSource): Uint8Array {
  if (source instanceof Uint8Array) return source;
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return source.byteLength === 0 ? NO_BYTES : new Uint8Array(source);
}

/** One array of all parts, in order. A single part is given as it is. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The buffer that holds exactly these bytes: their own where it does, else a copy. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length ? buffer : bytes.slice().buffer;
}
