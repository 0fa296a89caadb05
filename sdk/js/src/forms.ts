/**
 * Owns the forms of what JSON lacks (docs/reference/values.md): which objects have one, and what each stands for.
 *
 * {"$bytes": base64} · {"$datetime": ISO} · {"$set": […]} · {"$map": [[key, value], …]}
 */
import { fromBase64, toBase64 } from "./base64.js";

/** A value that has no form, or text that is none. */
export class FormError extends Error {}

const { isView } = ArrayBuffer;

/** What to write for an object that isn't a plain one. */
export interface Form {
  /** undefined: it's simply a value of JSON. */
  readonly tag?: string;
  readonly value: unknown;
}

/**
 * The form of an object that is neither an array nor plain.
 *
 * @param outer for the outside, where a form is the bare value
 */
export function formOf(part: object, outer: boolean): Form {
  if (part instanceof Date) return { tag: "$datetime", value: isoOf(part) };
  if (isView(part)) {
    return { tag: "$bytes", value: toBase64(new Uint8Array(part.buffer, part.byteOffset, part.byteLength)) };
  }
  if (part instanceof ArrayBuffer) return { tag: "$bytes", value: toBase64(new Uint8Array(part)) };
  if (part instanceof Set) return { tag: "$set", value: [...part] };
  if (part instanceof Map) return { tag: "$map", value: outer ? asObject(part) : [...part] };
  if (part instanceof Number || part instanceof String || part instanceof Boolean) return { value: part.valueOf() };
  throw new FormError(`${nameOf(part)} isn't a JSON value; ${advice(part)}`);
}

function isoOf(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new FormError("an invalid Date");
  return date.toISOString();
}

function asObject(map: ReadonlyMap<unknown, unknown>): object {
  const out: Record<string, unknown> = Object.create(null);
  for (const [key, value] of map) {
    if ((typeof key === "object" && key !== null) || typeof key === "function" || typeof key === "symbol") {
      throw new FormError(`a key of the Map is ${nameOf(key)}; JSON's keys are strings`);
    }
    const name = String(key);
    if (name in out) throw new FormError(`two keys of the Map become the string ${JSON.stringify(name)}`);
    out[name] = value;
  }
  return out;
}

function nameOf(part: unknown): string {
  if (typeof part === "symbol") return "a symbol";
  const made = (part as { constructor?: { name?: unknown } }).constructor?.name;
  const name = typeof made === "string" && made !== "" ? made.slice(0, 100) : "nameless";
  return `${/^[aeio]/i.test(name) ? "an" : "a"} ${name} object`;
}

function advice(part: object): string {
  if (part instanceof Error) return "throw it, or send its message";
  if (typeof (part as { then?: unknown }).then === "function") return "await it";
  if (Symbol.iterator in part) return "send an array: [...it]";
  return "send a plain object, or give its class a toJSON()";
}

/** What a form stands for; `value` was read already. */
export function meaningOf(tag: string, value: unknown): unknown {
  switch (tag) {
    case "$bytes":
      return fromBase64(value as string);
    case "$datetime":
      return new Date(value as string);
    case "$set":
      return new Set(value as unknown[]);
    case "$map":
      return new Map(value as [unknown, unknown][]);
    case "$date": // Python's; there's nothing like them here
    case "$time":
      return value;
    default:
      throw new FormError(`unknown form ${JSON.stringify(tag.slice(0, 100))}`);
  }
}
