/**
 * Owns AbortController and AbortSignal. What the platform itself does when a signal aborts are *steps*: they run before listeners are
 * told, and can be taken back.
 */
import { Event, trusted } from "./event.js";
import { EventTarget, fire, handlerAttribute, useSignals } from "./event_target.js";
import { showAs } from "./inspect.js";
import { setTimeout } from "./timers.js";

const ours = Symbol("made by the platform");

let abort: (signal: AbortSignal, reason: unknown) => void;
let stepsOf: (signal: AbortSignal) => Set<() => void>;

/** Says when something should be given up, and why. */
export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  readonly #steps = new Set<() => void>();
  /** Signals made by any() that depend on this one. */
  #dependents: AbortSignal[] = [];
  /** Of a signal made by any(): the signals that it depends on, none of which is itself made by any(). */
  #sources: AbortSignal[] | undefined;

  /** @throws TypeError always: signals come from AbortController and the static methods */
  constructor(key?: unknown) {
    if (key !== ours) throw new TypeError("Illegal constructor");
    super();
  }

  static {
    abort = (signal, reason) => signal.#abort(reason);
    stepsOf = (signal) => signal.#steps;
  }

  /** A signal that is aborted already; reason: a DOMException AbortError unless given. */
  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(ours);
    signal.#aborted = true;
    signal.#reason = reasonOr(reason);
    return signal;
  }

  /**
   * A signal that aborts with a DOMException TimeoutError.
   *
   * @param ms milliseconds from now
   * @throws TypeError for a number that is negative or not finite
   */
  static timeout(ms: number): AbortSignal {
    const delay = Math.trunc(Number(ms));
    if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER) || arguments.length === 0)
      throw new TypeError("AbortSignal.timeout: the time has to be a number of milliseconds from 0");
    const signal = new AbortSignal(ours);
    const reason = () => new DOMException("The operation was aborted due to timeout", "TimeoutError");
    setTimeout(() => signal.#abort(reason()), Math.min(delay, 2 ** 31 - 1));
    return signal;
  }

  /** A signal that aborts as soon as one of several does, with its reason. */
  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const given = [...signals];
    if (!given.every((one) => one instanceof AbortSignal))
      throw new TypeError("AbortSignal.any: an element is not of type 'AbortSignal'");
    const result = new AbortSignal(ours);
    const aborted = given.find((one) => one.#aborted);
    if (aborted !== undefined) {
      result.#aborted = true;
      result.#reason = aborted.#reason;
      return result;
    }
    result.#sources = [...new Set(given.flatMap((one) => one.#sources ?? [one]))];
    for (const source of result.#sources) source.#dependents.push(result);
    return result;
  }

  get aborted(): boolean {
    return this.#aborted;
  }
  /** Why it was aborted; undefined if it wasn't. */
  get reason(): any {
    return this.#reason;
  }
  declare onabort: ((this: AbortSignal, event: Event) => unknown) | null;

  /** Throws the reason if it's aborted. */
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  #abort(reason: unknown): void {
    if (this.#aborted) return;
    const affected = [this as AbortSignal, ...this.#dependents.filter((one) => !one.#aborted)];
    this.#dependents = [];
    for (const signal of affected) {
      signal.#aborted = true;
      signal.#reason = reason;
    }
    for (const signal of affected) signal.#tell();
  }

  #tell(): void {
    const steps = [...this.#steps];
    this.#steps.clear();
    for (const step of steps) step();
    fire(this, trusted(new Event("abort")));
  }
}
handlerAttribute(AbortSignal.prototype, "abort");

useSignals({
  is: (value) => value instanceof AbortSignal,
  onAbort: (signal, step) => void onAbort(signal, step),
});

function reasonOr(reason: unknown): unknown {
  return reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
}

/**
 * Adds a step to a signal that isn't aborted.
 *
 * @returns a function that takes it back
 */
export function onAbort(signal: AbortSignal, step: () => void): () => void {
  const steps = stepsOf(signal);
  steps.add(step);
  return () => void steps.delete(step);
}

/** Makes a signal, and aborts it. */
export class AbortController {
  readonly #signal = new AbortSignal(ours);

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Aborts the signal, once; reason: a DOMException AbortError unless given. */
  abort(reason?: unknown): void {
    abort(this.#signal, reasonOr(reason));
  }
}

showAs(AbortSignal.prototype, (signal) => ({ aborted: signal.aborted }));
showAs(AbortController.prototype, (controller) => ({ signal: controller.signal }));
