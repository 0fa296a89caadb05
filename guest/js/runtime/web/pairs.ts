/** Owns what WebIDL calls a pair iterator: entries, keys, values and forEach of Headers and FormData, which see changes made on the way. */

/** The methods that {@link makeIterable} gives to an interface. */
export interface PairIterable<V> {
  entries(): IterableIterator<[string, V]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<V>;
  forEach(callback: (value: V, name: string, all: this) => void, thisArg?: unknown): void;
  [Symbol.iterator](): IterableIterator<[string, V]>;
}

type Pair<V> = readonly [string, V];

const iteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));

function iteratorOf(name: string) {
  class PairIterator<V> {
    readonly #pairs: () => readonly Pair<V>[];
    readonly #pick: (pair: Pair<V>) => unknown;
    #at = 0;

    constructor(pairs: () => readonly Pair<V>[], pick: (pair: Pair<V>) => unknown) {
      this.#pairs = pairs;
      this.#pick = pick;
    }

    next(): IteratorResult<unknown> {
      const pair = this.#pairs()[this.#at++];
      return pair === undefined ? { done: true, value: undefined } : { done: false, value: this.#pick(pair) };
    }
  }
  Object.setPrototypeOf(PairIterator.prototype, iteratorPrototype);
  Reflect.deleteProperty(PairIterator.prototype, "constructor");
  Object.defineProperty(PairIterator.prototype, "next", { enumerable: true });
  Object.defineProperty(PairIterator.prototype, Symbol.toStringTag, { value: `${name} Iterator`, configurable: true });
  return PairIterator;
}

/**
 * Adds the methods to an interface.
 *
 * @param name of the interface
 * @param pairsOf the pairs at this moment; throws a TypeError for what isn't an instance
 */
export function makeIterable<T extends object, V>(
  prototype: T,
  name: string,
  pairsOf: (self: T) => readonly Pair<V>[],
) {
  const PairIterator = iteratorOf(name);
  const walk = (self: T, pick: (pair: Pair<V>) => unknown) => {
    pairsOf(self);
    return new PairIterator(() => pairsOf(self), pick);
  };
  const methods = {
    entries(this: T) {
      return walk(this, ([key, value]) => [key, value]);
    },
    keys(this: T) {
      return walk(this, ([key]) => key);
    },
    values(this: T) {
      return walk(this, ([, value]) => value);
    },
    forEach(this: T, callback: (value: V, name: string, all: T) => void, thisArg?: unknown) {
      if (typeof callback !== "function") throw new TypeError(`${name}.forEach: parameter 1 is not a function`);
      for (let at = 0; at < pairsOf(this).length; at++) {
        const [key, value] = pairsOf(this)[at]!;
        callback.call(thisArg, value, key, this);
      }
    },
  };
  for (const [key, value] of Object.entries(methods))
    Object.defineProperty(prototype, key, { value, writable: true, configurable: true, enumerable: true });
  Object.defineProperty(prototype, Symbol.iterator, { value: methods.entries, writable: true, configurable: true });
}

/** Throws the TypeError of an interface's method that was given too few arguments. */
export function needs(given: number, needed: number, method: string): void {
  if (given < needed)
    throw new TypeError(`${method}: ${needed} argument${needed > 1 ? "s" : ""} required, but only ${given} present`);
}
