/** Owns `task()` and the callable that it makes. */
import { type Definition, define, type Handler } from "./definition.js";
import { type Handle, start } from "./handle.js";
import { type MapOptions, runAll } from "./map.js";
import { readOptions, type TaskOptions } from "./options.js";
import { fileOf } from "./place.js";
import { runtime } from "./runtime.js";
import type { TaskError } from "./errors.js";

/** What a task's function gives, once it's awaited. */
export type Result<F extends Handler> = Awaited<ReturnType<F>>;

type IsAny<T> = 0 extends 1 & T ? true : false;

/** Results of a map: an array, or for handlers that give Promises a Promise of one. */
type Mapped<F extends Handler, R> =
  IsAny<ReturnType<F>> extends true
    ? any
    : [ReturnType<F>] extends [never]
      ? R[]
      : [ReturnType<F>] extends [PromiseLike<unknown>]
        ? Promise<R[]>
        : R[];

/** What a map's items are: the first parameter, if the task can be called with it alone. */
type Item<A extends unknown[]> = [A[0]] extends A ? A[0] : never;

/** The methods that a task has besides being a function. */
export interface TaskMethods<F extends Handler> {
  /** The task's name. */
  readonly name: string;

  /**
   * Starts the task and returns its handle at once.
   *
   * @throws TaskError the arguments can't cross (type "bad_input"). A failure of the task is thrown by its handle.
   */
  start(...args: Parameters<F>): Handle<Result<F>>;

  /**
   * Runs one task per item, in parallel; the results are in the order of the items. Each item is a task's one argument:
   * arrays aren't spread (see {@link starmap}). If the handler is `async` the results come as a Promise, else this blocks
   * until all are done.
   *
   * @throws TaskError a task failed; the others were cancelled and have ended
   * @throws RangeError `concurrency` is less than 1
   */
  map(items: Iterable<Item<Parameters<F>>>, options?: MapOptions & { returnErrors?: false }): Mapped<F, Result<F>>;
  map(items: Iterable<Item<Parameters<F>>>, options: MapOptions): Mapped<F, Result<F> | TaskError>;

  /** Like {@link map}, with each item as the list of a task's arguments. */
  starmap(items: Iterable<Parameters<F>>, options?: MapOptions & { returnErrors?: false }): Mapped<F, Result<F>>;
  starmap(items: Iterable<Parameters<F>>, options: MapOptions): Mapped<F, Result<F> | TaskError>;
}

/**
 * A function that runs in a sandbox of its own when it is called from a task; made by {@link task}.
 *
 * It's called like the function that it wraps. Inside a sandbox a call of an `async` handler's task returns a Promise,
 * that of another blocks until the result is there; a failure is a TaskError. Outside, both are calls of the function
 * itself.
 *
 * Tasks end before the one that started them: what still runs when its function returns is cancelled.
 */
export type Task<F extends Handler = Handler> = F & TaskMethods<F>;

const OWN_FILE = fileOf(new Error());

const definitions = new WeakMap<object, Definition>();

/** The task that one of the methods below was called on. */
function of(self: unknown): Definition {
  const found = definitions.get(self as object);
  if (found === undefined) throw new TypeError("start() and map() are called on a task: greet.start(…)");
  return found;
}

function* single(items: Iterable<unknown>): Generator<unknown[]> {
  for (const item of items) yield [item];
}

function* spread(items: Iterable<unknown>): Generator<unknown[]> {
  for (const item of items) yield [...(item as Iterable<unknown>)];
}

const methods: object = {
  start(...args: unknown[]): Handle<unknown> {
    return start(of(this), args);
  },
  map(items: Iterable<unknown>, options?: MapOptions): unknown {
    return runAll(of(this), single(checked(items)), options);
  },
  starmap(items: Iterable<Iterable<unknown>>, options?: MapOptions): unknown {
    return runAll(of(this), spread(checked(items)), options);
  },
};
Object.setPrototypeOf(methods, Function.prototype);

function checked<T>(items: Iterable<T>): Iterable<T> {
  if (typeof items?.[Symbol.iterator] === "function") return items;
  throw new TypeError("map() takes something that can be iterated over, such as an array");
}

/**
 * Makes a function a task.
 *
 * ```ts
 * export const greet = task({ name: "greet", compute: "LOW" }, (name: string) => `Hello, ${name}!`);
 * ```
 *
 * @param options its name, and what it may use
 * @param handler the function. Arguments and results are values that can cross between sandboxes: JSON, bytes, dates,
 *   sets and maps.
 * @throws TypeError no name, an unknown option, or something that isn't a function
 */
export function task<F extends Handler>(options: TaskOptions, handler: F): Task<F> {
  const read = readOptions(options);
  checkHandler(read.name, handler);
  const definition = define(read.name, handler, read.options, new Error(), OWN_FILE);
  const callable = (...args: unknown[]): unknown => runtime.call(definition, args);
  Object.defineProperty(callable, "name", { value: read.name, configurable: true });
  Object.defineProperty(callable, "length", { value: handler.length, configurable: true });
  Object.setPrototypeOf(callable, methods);
  definitions.set(callable, definition);
  return callable as unknown as Task<F>;
}

const Generators = [function* () {}.constructor, async function* () {}.constructor];

function checkHandler(name: string, handler: unknown): void {
  if (typeof handler !== "function") {
    throw new TypeError(`task "${name}" needs a function: task({ name: "${name}" }, (…) => …)`);
  }
  if (Generators.some((kind) => handler instanceof kind)) {
    throw new TypeError(`task "${name}": its function is a generator, which can't cross; return an array`);
  }
  if (definitions.has(handler)) {
    throw new TypeError(`task "${name}" is given a task; pass the function itself, or one that calls the task`);
  }
  if (/^class\b/.test(Function.prototype.toString.call(handler))) {
    throw new TypeError(`task "${name}" needs a function, not a class`);
  }
}
