/**
 * Owns Headers: names without case, values without white space around. Kept in the order in which they came; walking through them is by
 * sorted name, as the Fetch standard has it. As in Node, names that browsers forbid are allowed: the host refuses what it must.
 */
import { custom, inspect, type InspectOptions } from "./inspect.js";
import { makeIterable, needs, type PairIterable } from "./pairs.js";

/** What headers can be made of. */
export type HeadersInit = Headers | Iterable<readonly [string, string]> | Record<string, string>;

/** Headers of a response that came can't be changed. */
export type Guard = "none" | "immutable";

interface Field {
  /** As it was first written; it's sent like that. */
  readonly written: string;
  values: string[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BAD_VALUE = /[\0\r\n]|[^\0-\xff]/;

let isHeaders: (value: object) => value is Headers;
let fieldsOf: (headers: Headers) => Map<string, Field>;
let guard: (headers: Headers, how: Guard) => void;
let sorted: (headers: Headers) => readonly [string, string][];

function nameOf(name: unknown): string {
  const text = String(name);
  if (!TOKEN.test(text)) throw new TypeError(`Headers: ${inspect(text)} is not a legal HTTP header name`);
  return text;
}

/** A value without the white space around it. */
export function normalized(value: unknown, name: string): string {
  const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (BAD_VALUE.test(text)) throw new TypeError(`Headers: the value of "${name}" is not a legal HTTP header value`);
  return text;
}

/** The headers of a request or a response. */
export class Headers {
  readonly #fields = new Map<string, Field>();
  #guard: Guard = "none";
  /** What an iterator walks through; undefined after a change. */
  #sorted: [string, string][] | undefined;

  static {
    isHeaders = (value): value is Headers => #fields in value;
    fieldsOf = (headers) => headers.#fields;
    sorted = (headers) => (headers.#sorted ??= sortedFields(headers.#fields));
    guard = (headers, how) => {
      headers.#guard = how;
    };
  }

  /** @throws TypeError for a name or value that HTTP doesn't allow */
  constructor(init: HeadersInit | undefined = undefined) {
    if (init !== undefined) fill(this, init);
  }

  /** Adds a value to those of a name. */
  append(name: string, value: string): void {
    needs(arguments.length, 2, "Headers.append");
    const written = nameOf(name);
    const text = normalized(value, written);
    this.#change();
    const field = this.#fields.get(written.toLowerCase());
    if (field === undefined) this.#fields.set(written.toLowerCase(), { written, values: [text] });
    else field.values.push(text);
  }

  delete(name: string): void {
    needs(arguments.length, 1, "Headers.delete");
    const lower = nameOf(name).toLowerCase();
    this.#change();
    this.#fields.delete(lower);
  }

  /** All values of a name, joined; null if there's none. */
  get(name: string): string | null {
    needs(arguments.length, 1, "Headers.get");
    return this.#fields.get(nameOf(name).toLowerCase())?.values.join(", ") ?? null;
  }

  /** Each value of Set-Cookie on its own. */
  getSetCookie(): string[] {
    return [...(this.#fields.get("set-cookie")?.values ?? [])];
  }

  has(name: string): boolean {
    needs(arguments.length, 1, "Headers.has");
    return this.#fields.has(nameOf(name).toLowerCase());
  }

  /** Replaces all values of a name by one. */
  set(name: string, value: string): void {
    needs(arguments.length, 2, "Headers.set");
    const written = nameOf(name);
    const text = normalized(value, written);
    this.#change();
    const field = this.#fields.get(written.toLowerCase());
    if (field === undefined) this.#fields.set(written.toLowerCase(), { written, values: [text] });
    else field.values = [text];
  }

  #change(): void {
    if (this.#guard === "immutable") throw new TypeError("Headers: these headers are immutable");
    this.#sorted = undefined;
  }
}
export interface Headers extends PairIterable<string> {}
makeIterable(Headers.prototype, "Headers", (headers) => sorted(headers));

function sortedFields(fields: Map<string, Field>): [string, string][] {
  const pairs: [string, string][] = [];
  for (const name of [...fields.keys()].sort()) {
    const { values } = fields.get(name)!;
    if (name === "set-cookie") for (const value of values) pairs.push([name, value]);
    else pairs.push([name, values.join(", ")]);
  }
  return pairs;
}

/** Adds what a constructor was given. */
export function fill(headers: Headers, init: unknown): void {
  if (init === null || (typeof init !== "object" && typeof init !== "function"))
    throw new TypeError("Headers: the initial headers have to be an object");
  const iterate: unknown = (init as Iterable<unknown>)[Symbol.iterator];
  if (isHeaders(init) && iterate === Headers.prototype[Symbol.iterator]) {
    for (const [name, value] of wirePairs(init)) headers.append(name, value);
  } else if (iterate !== undefined && iterate !== null) {
    for (const [name, value] of [...(init as Iterable<unknown>)].map(pairOf)) headers.append(name, value);
  } else {
    for (const [name, value] of recordPairs(init as Record<string, unknown>)) headers.append(name, value);
  }
}

function pairOf(pair: unknown): [string, string] {
  if (pair === null || typeof pair !== "object" || !(Symbol.iterator in pair))
    throw new TypeError("Headers: each of the initial headers has to be a pair");
  const both = [...(pair as Iterable<unknown>)];
  if (both.length !== 2) throw new TypeError("Headers: each of the initial headers has to be a pair of name and value");
  return [byteString(both[0]), byteString(both[1])];
}

function recordPairs(init: Record<string, unknown>): [string, string][] {
  const pairs: [string, string][] = [];
  for (const key of Reflect.ownKeys(init)) {
    if (!Object.getOwnPropertyDescriptor(init, key)?.enumerable) continue;
    if (typeof key === "symbol") throw new TypeError("Headers: a symbol is no header name");
    const name = byteString(key);
    pairs.push([name, byteString(init[key])]);
  }
  return pairs;
}

function byteString(value: unknown): string {
  const text = String(value);
  if (/[^\0-\xff]/.test(text)) throw new TypeError(`Headers: ${inspect(text)} has characters above 255`);
  return text;
}

/** Headers as the host takes them: pairs in the order in which they came, names as written. */
export function wirePairs(headers: Headers): [string, string][] {
  const pairs: [string, string][] = [];
  for (const { written, values } of fieldsOf(headers).values())
    for (const value of values) pairs.push([written, value]);
  return pairs;
}

/** Headers of a response as the host gives them; nothing of them is checked again. */
export function ofWire(pairs: readonly (readonly [string, string])[], how: Guard): Headers {
  const headers = new Headers();
  const fields = fieldsOf(headers);
  for (const [written, value] of pairs) {
    const lower = written.toLowerCase();
    const field = fields.get(lower);
    if (field === undefined) fields.set(lower, { written, values: [value] });
    else field.values.push(value);
  }
  guard(headers, how);
  return headers;
}

/** Makes headers immutable. */
export function freeze(headers: Headers): Headers {
  guard(headers, "immutable");
  return headers;
}

Object.defineProperty(Headers.prototype, custom, {
  value(this: Headers, depth: number | null, options: InspectOptions): string {
    const shown: Record<string, string> = {};
    for (const { written, values } of fieldsOf(this).values()) shown[written] = values.join(", ");
    return `Headers ${inspect(shown, { ...options, depth })}`;
  },
  writable: true,
  configurable: true,
});
