/**
 * Owns structuredClone, as the HTML standard's StructuredSerializeWithTransfer and its opposite have it, in one walk.
 *
 * A buffer to transfer is copied with the rest and detached at the end: what can be seen is the same, and nothing is detached if the
 * clone fails. Streams and ports can't be transferred; an object whose prototype is Object.prototype is taken for a plain one unseen.
 */
import * as native from "capsule:native";
import { Blob, copyOf } from "./blob.js";
import { isAnyBuffer } from "./bytes.js";
import { isPlatformObject } from "./expose.js";

/** Options of {@link structuredClone}. */
export interface StructuredSerializeOptions {
  /** ArrayBuffers to move instead of copying; they're detached. */
  transfer?: ArrayBuffer[];
}

type Memory = Map<object, object>;

function uncloneable(value: unknown): DOMException {
  const shown = typeof value === "object" && value !== null ? `#<${nameOf(value)}>` : String(value);
  return new DOMException(`${shown} could not be cloned.`, "DataCloneError");
}

function nameOf(value: object): string {
  const made: unknown = value.constructor;
  return typeof made === "function" && made.name !== "" ? made.name : "Object";
}

function getter(prototype: object, name: string): () => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get as () => unknown;
}

/** Whether a built-in function takes `value` as its `this`: it's of the class then, whatever its prototype says. */
function isMade(by: (...args: never[]) => unknown, value: object, ...args: unknown[]): boolean {
  try {
    Reflect.apply(by, value, args);
    return true;
  } catch {
    return false;
  }
}

/** What can't be cloned although it may look like a plain object: a class and what tells its instances. */
const REFUSED: [new (...args: never[]) => object, (...args: never[]) => unknown, ...unknown[]][] = [
  [WeakMap, WeakMap.prototype.has],
  [WeakSet, WeakSet.prototype.has],
  [WeakRef, WeakRef.prototype.deref],
  [FinalizationRegistry, FinalizationRegistry.prototype.unregister, {}],
  [Promise as never, Promise.prototype.then],
];

type Copy = (value: any, memory: Memory) => object;

/** Of each class that has a way of its own to be cloned: the class, what tells its instances, and how. */
const KINDS: [new (...args: never[]) => object, (...args: never[]) => unknown, Copy][] = [
  [Date, Date.prototype.getTime, (value: Date) => new Date(Date.prototype.getTime.call(value))],
  [RegExp, getter(RegExp.prototype, "source") as never, (value: RegExp) => new RegExp(value.source, value.flags)],
  [Map, getter(Map.prototype, "size") as never, copyMap],
  [Set, getter(Set.prototype, "size") as never, copySet],
  [Boolean, Boolean.prototype.valueOf, (value: boolean) => Object(Boolean.prototype.valueOf.call(value))],
  [Number, Number.prototype.valueOf, (value: number) => Object(Number.prototype.valueOf.call(value))],
  [String, String.prototype.valueOf, (value: string) => Object(String.prototype.valueOf.call(value))],
  [BigInt as never, BigInt.prototype.valueOf, (value: bigint) => Object(BigInt.prototype.valueOf.call(value))],
  [DOMException as never, getter(DOMException.prototype, "name") as never, copyDOMException],
];

const ERRORS: Record<string, ErrorConstructor> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

function clone(value: unknown, memory: Memory): unknown {
  if (typeof value === "symbol" || typeof value === "function") throw uncloneable(value);
  if (typeof value !== "object" || value === null) return value;
  const before = memory.get(value);
  if (before !== undefined) return before;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (native.proxyDetails(value) !== undefined) throw uncloneable(value);
  if (prototype === Object.prototype || prototype === null)
    return copyProperties(value, remember(value, {}, memory), memory);
  if (Array.isArray(value)) return copyProperties(value, remember(value, new Array(value.length), memory), memory);
  return cloneSpecial(value, memory);
}

function cloneSpecial(value: object, memory: Memory): object {
  if (isAnyBuffer(value)) return remember(value, copyBuffer(value), memory);
  if (ArrayBuffer.isView(value)) return remember(value, copyView(value, memory), memory);
  for (const [made, by, copy] of KINDS)
    if (value instanceof made && value !== made.prototype && isMade(by, value)) {
      const result = copy(value, memory);
      memory.set(value, result);
      return result;
    }
  if (value instanceof Error && isMade(errorOnly, value)) return copyError(value, memory);
  if (value instanceof Blob) return remember(value, copyOf(value), memory);
  refuse(value);
  return copyProperties(value, remember(value, {}, memory), memory);
}

/** Errors that the engine made have a stack of their own; Object.create(Error.prototype) doesn't. */
function errorOnly(this: object): void {
  const isError = (Error as unknown as { isError?: (value: unknown) => boolean }).isError;
  if (isError !== undefined && !isError(this)) throw new TypeError("not an error");
}

function refuse(value: object): void {
  if (isPlatformObject(value)) throw uncloneable(value);
  if (value instanceof Symbol) throw uncloneable(value);
  if (/^\[object (Async)?(Generator|.* Iterator|Iterator Helper)/.test(Object.prototype.toString.call(value)))
    throw uncloneable(value);
  for (const [made, by, ...args] of REFUSED)
    if (value instanceof made && isMade(by, value, ...args)) throw uncloneable(value);
}

function remember<T extends object>(value: object, copy: T, memory: Memory): T {
  memory.set(value, copy);
  return copy;
}

function copyProperties(value: object, copy: object, memory: Memory): object {
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(value, name)) continue; // a getter has deleted it
    const part = clone((value as Record<string, unknown>)[name], memory);
    if (name in copy)
      Object.defineProperty(copy, name, { value: part, writable: true, enumerable: true, configurable: true });
    else (copy as Record<string, unknown>)[name] = part;
  }
  return copy;
}

function copyMap(value: Map<unknown, unknown>, memory: Memory): object {
  const copy = remember(value, new Map<unknown, unknown>(), memory);
  for (const [key, part] of [...Map.prototype.entries.call(value)]) copy.set(clone(key, memory), clone(part, memory));
  return copy;
}

function copySet(value: Set<unknown>, memory: Memory): object {
  const copy = remember(value, new Set<unknown>(), memory);
  for (const part of [...Set.prototype.values.call(value)]) copy.add(clone(part, memory));
  return copy;
}

function hide(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
}

function copyDOMException(value: DOMException): object {
  const copy = new DOMException(value.message, value.name);
  if (typeof value.stack === "string") hide(copy, "stack", value.stack);
  return copy;
}

function copyError(value: Error, memory: Memory): object {
  const made = ERRORS[String(value.name)] ?? Error;
  const message = Object.getOwnPropertyDescriptor(value, "message");
  const copy = remember(value, new made(), memory);
  Reflect.deleteProperty(copy, "message");
  if (message !== undefined && "value" in message) hide(copy, "message", String(message.value));
  hide(copy, "stack", typeof value.stack === "string" ? value.stack : "");
  if (Object.hasOwn(value, "cause")) hide(copy, "cause", clone(value.cause, memory));
  return copy;
}

function copyBuffer(value: ArrayBufferLike): ArrayBuffer {
  if (!(value instanceof ArrayBuffer) || value.detached) throw uncloneable(value);
  if (!value.resizable) return value.slice(0);
  const copy = new ArrayBuffer(value.byteLength, { maxByteLength: value.maxByteLength });
  new Uint8Array(copy).set(new Uint8Array(value));
  return copy;
}

function copyView(value: ArrayBufferView, memory: Memory): object {
  const buffer = clone(value.buffer, memory) as ArrayBuffer;
  const tag = (value as unknown as { [Symbol.toStringTag]: string })[Symbol.toStringTag];
  const make = (globalThis as never as Record<string, new (buffer: ArrayBuffer, at: number, n?: number) => object>)[
    tag
  ]!;
  const isOut =
    !(value instanceof DataView) && value.byteOffset === 0 && value.byteLength === 0 && isOutOfBounds(value);
  if (isOut) throw uncloneable(value);
  const length = value instanceof DataView ? value.byteLength : (value as Uint8Array).length;
  return tracksLength(value) ? new make(buffer, value.byteOffset) : new make(buffer, value.byteOffset, length);
}

/** A typed array whose buffer has shrunk below it. */
function isOutOfBounds(view: ArrayBufferView): boolean {
  try {
    Array.prototype.values.call(view as never); // throws for exactly these
    return false;
  } catch {
    return true;
  }
}

/** Whether a view grows with its buffer. Only growing would tell, so that's what a copy of a resizable buffer is for. */
function tracksLength(view: ArrayBufferView): boolean {
  const { buffer } = view;
  if (!(buffer instanceof ArrayBuffer) || !buffer.resizable || view.byteOffset + view.byteLength !== buffer.byteLength)
    return false;
  if (buffer.byteLength === buffer.maxByteLength) return false;
  const size = buffer.byteLength;
  const before = view.byteLength;
  buffer.resize(buffer.maxByteLength);
  const grew = view.byteLength !== before;
  buffer.resize(size);
  return grew;
}

function checkTransfer(transfer: readonly unknown[]): asserts transfer is ArrayBuffer[] {
  if (new Set(transfer).size !== transfer.length)
    throw new DOMException("ArrayBuffer occurs in the transfer list more than once", "DataCloneError");
  for (const one of transfer)
    if (!(one instanceof ArrayBuffer) || one.detached)
      throw new DOMException("Value at the transfer list is not a transferable object", "DataCloneError");
}

/**
 * A deep copy of a value.
 *
 * @throws DOMException DataCloneError for what can't be cloned: functions, symbols, promises, platform objects but Blob and File
 */
export function structuredClone<T>(value: T, options?: StructuredSerializeOptions | null): T {
  if (arguments.length === 0) throw new TypeError("structuredClone: 1 argument required, but only 0 present");
  const transfer: unknown[] = options?.transfer === undefined ? [] : [...options.transfer];
  checkTransfer(transfer);
  const copy = clone(value, new Map());
  for (const buffer of transfer) buffer.transfer();
  return copy as T;
}
