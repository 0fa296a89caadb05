/**
 * Owns how values cross between tasks and to the outside: JSON, and forms for what JSON lacks (docs/reference/values.md).
 *
 * A value is written by one `JSON.stringify`, whose replacer looks at every part once: it lets plain JSON through, puts a
 * form in the place of what has one, and gives up on the rest, which is then walked (walk.ts). In an interpreter that is
 * cheaper than any walk in JavaScript before or after.
 *
 * Inner form (task to task): what JSON lacks becomes an object with one key, such as {"$bytes": base64}; a user's own
 * object with one key that begins with "$" gets one "$" more. A message says in its header whether it is `tagged`; in one
 * that isn't, "$…" means nothing. Outer form (result of an entry task): the bare string, array or object.
 */
import { FormError, formOf, meaningOf } from "./forms.js";
import { CodecError, DEPTH_MAX, type Root, walked } from "./walk.js";

export { CodecError, DEPTH_MAX, type Root } from "./walk.js";

/** JSON, and whether "$…" forms are in it. */
export interface Written {
  readonly text: string;
  readonly tagged: boolean;
}

// Programs may replace these; what crosses shouldn't depend on it.
const { stringify, parse } = JSON;
const { getPrototypeOf, keys, prototype: objectPrototype } = Object;
const { isArray } = Array;
const { apply } = Reflect;
const lookupGetter = (objectPrototype as { __lookupGetter__?(key: string): unknown }).__lookupGetter__!;

type Fields = Record<string, unknown>;

// --- writing

/**
 * Writes a value.
 *
 * @param value anything that docs/reference/values.md describes; undefined is null
 * @param root how messages name it
 * @param outer use the outer form, which is never tagged
 * @throws CodecError something in it has no form; the message names the path
 */
export function encode(value: unknown, root: Root, outer: boolean): Written {
  const written = quickly(value, outer);
  if (written !== undefined && !isDoubtful(written)) return written;
  const { plain, tagged } = walked(value, root, outer);
  return { text: stringify(plain ?? null), tagged };
}

interface Quick extends Written {
  /** How many forms are in it. */
  readonly forms: number;
}

const GIVEN_UP = new Error("this value has to be walked");

/** One JSON.stringify; undefined if something in the value isn't JSON and has no form. */
function quickly(value: unknown, outer: boolean): Quick | undefined {
  let forms = 0;
  const holders: unknown[] = []; // the objects and arrays that are being written, the outermost first
  let depth = 0;
  const replace = function (this: Fields, key: string, part: unknown): unknown {
    let plain = part;
    switch (typeof part) {
      case "boolean":
      case "undefined": // left out of objects, null in arrays
        return part;
      case "number":
        return part - part === 0 ? part : giveUp();
      case "string": {
        const n = part.length;
        if ((n !== 24 && n !== 27) || outer || !isOfDate(this, key, part)) return part;
        plain = { $datetime: part };
        forms++;
        break;
      }
      case "object": {
        if (part === null) return nullOf(this, key);
        if (isArray(part)) break;
        const prototype = getPrototypeOf(part);
        if (prototype === objectPrototype || prototype === null) break;
        plain = formed(part, outer);
        if (typeof plain !== "object") return plain;
        forms++;
        break;
      }
      default:
        return giveUp();
    }
    while (depth > 0 && holders[depth - 1] !== this) depth--;
    if (depth === DEPTH_MAX) giveUp();
    holders[depth++] = plain;
    return plain;
  };
  try {
    const text = stringify(value, replace);
    return { text: text ?? "null", tagged: forms > 0 && !outer, forms };
  } catch (error) {
    if (error instanceof Error && error.name === "InternalError") throw error; // out of memory
    return undefined; // whatever it is, the walk will meet it again, and knows where
  }
}

function giveUp(): never {
  throw GIVEN_UP;
}

/** What JSON.stringify is to write for an object that isn't a plain one. */
function formed(part: object, outer: boolean): unknown {
  const { tag, value } = formOf(part, outer);
  return tag === undefined || outer ? value : { [tag]: value };
}

/** Whether a text that could be one of a Date is one. */
function isOfDate(holder: Fields, key: string, text: string): boolean {
  return text.charCodeAt(text.length - 1) === 90 && wasDate(holder, key);
}

function nullOf(holder: Fields, key: string): null {
  return holder[key] !== null && wasDate(holder, key) ? giveUp() : null; // an invalid Date
}

/** Whether a Date stood there before its toJSON() was called. A getter isn't run again: what it gave stands. */
function wasDate(holder: Fields, key: string): boolean {
  return apply(lookupGetter, holder, [key]) === undefined && holder[key] instanceof Date;
}

/** What can only be seen in the finished text, by a search in C. */
function isDoubtful({ text, tagged, forms }: Quick): boolean {
  // JSON.stringify writes a lone surrogate as \udXXX, and nothing else but a user's own backslash.
  if (text.includes("\\ud")) return true;
  // A user's own {"$…": …} has only to be told from a form if there are forms.
  return tagged && count(text, '{"$') > forms;
}

function count(text: string, what: string): number {
  let n = 0;
  for (let i = text.indexOf(what); i >= 0; i = text.indexOf(what, i + what.length)) n++;
  return n;
}

/** How many characters a simple value may have. */
export const SIMPLE_MAX = 1_000_000;

/** The JSON of a short value that is neither object nor array, which most tasks take and give; undefined for others. */
export function encodeSimple(value: unknown): string | undefined {
  switch (typeof value) {
    case "string": {
      if (value.length > SIMPLE_MAX) return undefined;
      const text = stringify(value);
      return text.includes("\\ud") ? undefined : text;
    }
    case "number":
      return value - value === 0 ? `${value}` : undefined;
    case "boolean":
      return value ? "true" : "false";
    case "undefined":
      return "null";
    case "object":
      return value === null ? "null" : undefined;
    default:
      return undefined;
  }
}

// --- reading

/**
 * Reads JSON, with its forms if the sender said so.
 *
 * @throws CodecError it isn't JSON, or has an unknown form
 */
export function decode(text: string, tagged: boolean): unknown {
  try {
    const value: unknown = parse(text);
    return tagged ? untag(value) : value;
  } catch (error) {
    if (error instanceof FormError) throw new CodecError(error.message);
    throw new CodecError(`not JSON: ${(error as Error).message}`);
  }
}

/** Turns forms back into what they stand for, in place: so that a key like "__proto__" stays a key. */
function untag(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const names = keys(value);
  for (const name of names) {
    const part = (value as Fields)[name];
    if (typeof part === "object" && part !== null) (value as Fields)[name] = untag(part);
  }
  const tag = names[0];
  if (names.length !== 1 || tag!.charCodeAt(0) !== 36 || isArray(value)) return value;
  const inner = (value as Fields)[tag!];
  return tag!.charCodeAt(1) === 36 ? { [tag!.slice(1)]: inner } : meant(tag!, inner);
}

function meant(tag: string, inner: unknown): unknown {
  try {
    return meaningOf(tag, inner);
  } catch (error) {
    throw error instanceof FormError ? error : new FormError(`malformed ${tag}: ${(error as Error).message}`);
  }
}
