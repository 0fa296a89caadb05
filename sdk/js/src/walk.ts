/**
 * Owns the thorough way of writing a value: step by step, knowing the path. It's gone where the quick way (codec.ts) gave
 * up: to say where something can't cross, or to tell a user's own {"$…": …} from a form.
 */
import { FormError, formOf } from "./forms.js";

/** How deep arrays and objects may nest. */
export const DEPTH_MAX = 200;

/** A value that can't cross; the message begins with the path to it. */
export class CodecError extends Error {}

/** How messages name the value itself, or one of several arguments by its index. */
export type Root = string | ((index: number) => string);

const { getPrototypeOf, keys, prototype: objectPrototype } = Object;
const { isArray } = Array;

/** A part that can't cross; walked() adds the path. */
class Refused extends Error {}

/** Plain JSON values for any value, and whether forms are among them. Throws CodecError. */
export function walked(value: unknown, root: Root, outer: boolean): { plain: unknown; tagged: boolean } {
  const walk = new Walk(outer);
  try {
    return { plain: walk.convert("", value), tagged: walk.tagged };
  } catch (error) {
    if (error instanceof Refused || error instanceof FormError) {
      throw new CodecError(`${pathOf(walk.path, root)}: ${error.message}`);
    }
    if (isEngines(error)) throw error;
    const what = error instanceof Error ? String(error).slice(0, 1000) : "something that isn't an Error";
    throw new CodecError(`${pathOf(walk.path, root)}: reading it threw ${what}`);
  }
}

/** Whether it's the engine that can't go on. */
function isEngines(error: unknown): boolean {
  return error instanceof Error && error.name === "InternalError";
}

class Walk {
  readonly path: (string | number)[] = [];
  tagged = false;
  readonly #outer: boolean;
  readonly #open = new Set<unknown>();

  constructor(outer: boolean) {
    this.#outer = outer;
  }

  convert(key: string, given: unknown): unknown {
    const value = given instanceof Date ? given : withoutToJson(key, given);
    switch (typeof value) {
      case "boolean":
      case "undefined":
        return value;
      case "string":
        return checkedText(value);
      case "number":
        if (value - value === 0) return value;
        throw new Refused(`the number is ${value}, which JSON doesn't have`);
      case "bigint":
        throw new Refused("a BigInt, which JSON doesn't have; send it as a string");
      case "object":
        return value === null ? null : this.#nested(value);
      case "function":
        throw new Refused(`a function${value.name === "" ? "" : ` (${value.name})`}, which can't leave its sandbox`);
      default:
        throw new Refused(`a ${typeof value}, which can't leave its sandbox`);
    }
  }

  #nested(value: object): unknown {
    if (this.#open.has(value)) {
      throw new Refused(`an ${isArray(value) ? "array" : "object"} that contains itself, which JSON can't say`);
    }
    if (this.#open.size >= DEPTH_MAX) throw new Refused(`nested deeper than ${DEPTH_MAX} levels`);
    this.#open.add(value);
    const plain = this.#container(value);
    this.#open.delete(value);
    return plain;
  }

  #container(value: object): unknown {
    if (isArray(value)) return this.#array(value);
    const prototype = getPrototypeOf(value);
    if (prototype === objectPrototype || prototype === null) return this.#object(value as Record<string, unknown>);
    const { tag, value: inner } = formOf(value, this.#outer);
    const plain = isArray(inner) ? this.#array(inner) : typeof inner === "object" ? this.#object(inner as never) : inner;
    if (tag === undefined || this.#outer) return plain;
    this.tagged = true;
    return { [tag]: plain };
  }

  #array(values: readonly unknown[]): unknown[] {
    const out: unknown[] = [];
    for (let i = 0; i < values.length; i++) {
      this.path.push(i);
      out.push(this.convert(String(i), values[i]));
      this.path.pop();
    }
    return out;
  }

  #object(values: Record<string, unknown>): object {
    const out: Record<string, unknown> = Object.create(null); // where "__proto__" is a key like others
    for (const key of keys(values)) {
      this.path.push(key);
      const plain = this.convert(key, values[key]);
      if (plain !== undefined) out[checkedText(key)] = plain;
      this.path.pop();
    }
    return this.#outer ? out : escaped(out);
  }
}

function withoutToJson(key: string, value: unknown): unknown {
  if ((typeof value !== "object" || value === null) && typeof value !== "bigint") return value;
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === "function" ? toJSON.call(value, key) : value;
}

function checkedText(text: string): string {
  if (text.isWellFormed()) return text;
  throw new Refused("text with a lone surrogate isn't Unicode; send bytes");
}

/** A user's own object with one key that begins with "$" gets one "$" more, lest it be taken for a form. */
function escaped(plain: Record<string, unknown>): object {
  const names = keys(plain);
  const name = names[0];
  return names.length === 1 && name!.startsWith("$") ? { [`$${name}`]: plain[name!] } : plain;
}

// --- paths

const STEPS_MAX = 50;

function pathOf(path: readonly (string | number)[], root: Root): string {
  const [first, ...rest] = path;
  const named = typeof root === "function" && typeof first === "number";
  const steps = named ? rest : path;
  let text = named ? root(first) : typeof root === "string" ? root : "arguments";
  for (const step of steps.slice(0, STEPS_MAX)) text += typeof step === "number" ? `[${step}]` : property(step);
  return text + (steps.length > STEPS_MAX ? "…" : "");
}

function property(name: string): string {
  const isIdentifier = /^[\p{L}_$][\p{L}\p{N}_$]{0,98}$/u.test(name);
  return isIdentifier ? `.${name}` : `[${JSON.stringify(name.slice(0, 100))}]`;
}
