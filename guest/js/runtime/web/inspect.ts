/**
 * Owns how values are shown: Node's own `util.inspect` (package node-inspect-extracted), with what only the engine knows.
 *
 * The bundler (bundle.mjs) opens three doors in that package, as `hooks`: the state of a promise, what's behind a proxy, and the stack
 * of an error, which in QuickJS lacks the line with the error's name and message.
 */
import * as native from "capsule:native";
import util from "node-inspect-extracted";

/** A method of this name says how an object is shown, as in Node: `(depth, options, inspect) => string | object`. */
export const custom: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

interface Hooks {
  pending: symbol;
  rejected: symbol;
  promise(promise: Promise<unknown>): [state: unknown, value: unknown];
  proxy(value: unknown, both?: boolean): unknown;
  stack(error: Error): unknown;
}

const hooks = (util as unknown as { hooks?: Hooks }).hooks;

function promiseDetails(promise: Promise<unknown>): [unknown, unknown] {
  const [state, value] = native.promiseState(promise);
  return [state === 0 ? hooks!.pending : state === 2 ? hooks!.rejected : undefined, value];
}

function proxyDetails(value: unknown, both = true): unknown {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return undefined;
  const details = native.proxyDetails(value);
  return both ? details : details?.[0];
}

/** The stack of an error as V8 has it: name and message, then the frames. */
export function stackOf(error: Error): unknown {
  const stack: unknown = error.stack;
  if (typeof stack !== "string" || (stack !== "" && !/^\s+at /.test(stack))) return stack;
  return `${Error.prototype.toString.call(error)}\n${stack}`.trimEnd();
}

if (hooks !== undefined) {
  hooks.promise = promiseDetails;
  hooks.proxy = proxyDetails;
  hooks.stack = stackOf;
}

/** Options of {@link inspect}, as of Node's. */
export interface InspectOptions {
  showHidden?: boolean;
  depth?: number | null;
  colors?: boolean;
  customInspect?: boolean;
  showProxy?: boolean;
  maxArrayLength?: number | null;
  maxStringLength?: number | null;
  breakLength?: number;
  compact?: boolean | number;
  sorted?: boolean | ((a: string, b: string) => number);
  getters?: boolean | "get" | "set";
  numericSeparator?: boolean;
}

/** A value as text, as Node's `util.inspect` gives it. */
export const inspect = util.inspect as (value: unknown, options?: InspectOptions) => string;

/** Text with %s, %d, %i, %f, %j, %o, %O, %c, %% filled in, then the remaining values, as Node's `util.format`. */
export const format = util.format as (...values: unknown[]) => string;

/** Columns that text takes on a terminal. */
export const widthOf = (util as unknown as { getStringWidth(text: string): number }).getStringWidth;

interface CustomOptions extends InspectOptions {
  stylize(text: string, style: string): string;
}

/** A prototype that makes an object be shown with the name of another's class, and nothing more of it. */
function likeness(value: object): object {
  const like = class {};
  Object.defineProperty(like, "name", { value: value.constructor?.name ?? "Object" });
  const tag = (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag];
  Object.defineProperty(like.prototype, Symbol.toStringTag, { value: tag });
  return like.prototype;
}

/** Lets instances of a class be shown as `Name { … }` with what `describe` gives instead of their own properties. */
export function showAs<T extends object>(prototype: T, describe: (self: T) => object): void {
  const show = function (this: T, depth: number | null, options: CustomOptions): string {
    if (this === prototype) return inspect(null);
    if (depth !== null && depth < 0) return options.stylize(`[${this.constructor?.name ?? "Object"}]`, "special");
    return inspect(Object.assign(Object.create(likeness(this)), describe(this)), { ...options, depth });
  };
  Object.defineProperty(prototype, custom, { value: show, writable: true, configurable: true });
}
