/** What the tests of the web platform have in common: a list of failures, and ways to add to it. */

type Thrower = () => unknown;

/** A class of errors, or the name of a DOMException. */
type Kind = (new (...args: never[]) => Error) | string;

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (ArrayBuffer.isView(value))
    return `[${Array.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))}]`;
  if (typeof value === "object" && value !== null) {
    try {
      return `${value.constructor?.name ?? "null"} ${JSON.stringify(value)}`;
    } catch {
      return String(value);
    }
  }
  return Object.is(value, -0) ? "-0" : String(value);
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) return shown(a) === shown(b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && same((a as any)[name], (b as any)[name]));
}

function isOf(error: unknown, kind: Kind): boolean {
  if (typeof kind === "string") return error instanceof DOMException && error.name === kind;
  return error instanceof kind && error.constructor === kind;
}

function nameOf(kind: Kind): string {
  return typeof kind === "string" ? kind : kind.name;
}

/** Collects what isn't as it should be. */
export class Checks {
  readonly failures: string[] = [];

  /** Two values are the same, objects and arrays by what's in them. */
  equal(what: string, actual: unknown, expected: unknown): void {
    if (!same(actual, expected)) this.failures.push(`${what}: ${shown(actual)} instead of ${shown(expected)}`);
  }

  ok(what: string, condition: unknown): void {
    if (!condition) this.failures.push(what);
  }

  throws(what: string, kind: Kind, run: Thrower): void {
    try {
      const value = run();
      this.failures.push(`${what}: gave ${shown(value)} instead of throwing ${nameOf(kind)}`);
    } catch (error) {
      if (!isOf(error, kind)) this.failures.push(`${what}: threw ${error} instead of ${nameOf(kind)}`);
    }
  }

  async rejects(what: string, kind: Kind, run: () => Promise<unknown>): Promise<void> {
    try {
      const value = await run();
      this.failures.push(`${what}: gave ${shown(value)} instead of rejecting with ${nameOf(kind)}`);
    } catch (error) {
      if (!isOf(error, kind)) this.failures.push(`${what}: rejected with ${error} instead of ${nameOf(kind)}`);
    }
  }

  /** A promise rejects with this very value. */
  async rejectsWith(what: string, reason: unknown, promise: Promise<unknown>): Promise<void> {
    try {
      this.failures.push(`${what}: gave ${shown(await promise)} instead of rejecting`);
    } catch (error) {
      if (error !== reason) this.failures.push(`${what}: rejected with ${error}`);
    }
  }

  /** Runs a block; what it throws is a failure of its own. */
  async block(what: string, run: () => unknown): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.failures.push(`${what}: ${error}${error instanceof Error ? ` ${error.stack}` : ""}`);
    }
  }
}

/** Bytes of a string of hexadecimal digits. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(" ", "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** UTF-8 of a string. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

/** All chunks of a stream. */
export async function drain<T>(stream: ReadableStream<T>): Promise<T[]> {
  const chunks: T[] = [];
  const reader = stream.getReader();
  for (let one = await reader.read(); !one.done; one = await reader.read()) chunks.push(one.value as T);
  return chunks;
}

/** Lets all microtasks and due timers run. */
export function pause(ms = 0): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
