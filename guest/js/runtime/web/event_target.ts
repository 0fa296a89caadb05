/** Owns EventTarget: who listens to what, and dispatching. */
import type { AbortSignal } from "./abort.js";
import { dispatchOf, Event } from "./event.js";
import { reportError } from "./report.js";

/** A listener that is an object. */
export interface EventListenerObject {
  handleEvent(event: Event): void;
}

/** What may be called with an event. */
export type EventListener = ((event: any) => void) | EventListenerObject;

/** Options of addEventListener. */
export interface AddEventListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: AbortSignal;
}

/** What abort.ts knows of signals. It builds on this file, so it tells instead of being imported. */
interface Signals {
  is(value: unknown): value is AbortSignal;
  onAbort(signal: AbortSignal, step: () => void): void;
}

let signals: Signals;

/** Called once, by abort.ts. */
export function useSignals(given: Signals): void {
  signals = given;
}

interface Listener {
  readonly callback: EventListener;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed: boolean;
}

/** Dispatches an event of the platform's own, which stays trusted. */
let fire: (target: EventTarget, event: Event) => boolean;
export { fire };

/** Something that tells its listeners of events. */
export class EventTarget {
  /** Made by the first listener: most targets never have one. A list is replaced, not changed, while it's walked through. */
  #listeners: Map<string, Listener[]> | undefined;

  /**
   * @param options whether to capture, or an object: `once`, `passive`, `capture`, and a `signal` that removes the listener
   * @throws TypeError for a listener that is neither a function nor an object
   */
  addEventListener(type: string, callback: EventListener | null, options?: AddEventListenerOptions | boolean): void {
    const { capture, once, passive, signal } = flatten(options);
    if (!isListener(callback, arguments.length, "addEventListener")) return;
    if (signal?.aborted) return;
    this.#listeners ??= new Map();
    const name = String(type);
    const list = this.#listeners.get(name) ?? [];
    if (list.some((one) => one.callback === callback && one.capture === capture)) return;
    this.#listeners.set(name, [...list, { callback, capture, once, passive, removed: false }]);
    if (signal !== undefined) signals.onAbort(signal, () => this.removeEventListener(name, callback, { capture }));
  }

  /** Removes the listener of this type, callback and `capture`. */
  removeEventListener(type: string, callback: EventListener | null, options?: { capture?: boolean } | boolean): void {
    if (!isListener(callback, arguments.length, "removeEventListener")) return;
    const capture = captureOf(options);
    const list = this.#listeners?.get(String(type));
    const found = list?.find((one) => one.callback === callback && one.capture === capture);
    if (found !== undefined) this.#remove(String(type), found);
  }

  /**
   * Calls the listeners. What one of them throws is reported, and the others are called all the same.
   *
   * @returns false if one of them prevented the default
   * @throws DOMException InvalidStateError for an event that is being dispatched; TypeError for what isn't an event
   */
  dispatchEvent(event: Event): boolean {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent: parameter 1 is not of type 'Event'");
    const state = dispatchOf(event);
    if (state.dispatching || !state.initialized)
      throw new DOMException("The event is already being dispatched", "InvalidStateError");
    state.trusted = false;
    return this.#dispatch(event);
  }

  static {
    fire = (target, event) => target.#dispatch(event);
  }

  #dispatch(event: Event): boolean {
    const state = dispatchOf(event);
    state.dispatching = true;
    state.target = state.current = this;
    const list = state.stopped ? undefined : this.#listeners?.get(event.type);
    if (list !== undefined) {
      for (const one of list) if (one.capture) this.#call(one, event);
      if (!state.stopped) for (const one of list) if (!one.capture) this.#call(one, event);
    }
    state.dispatching = state.stopped = state.stoppedAtOnce = false;
    state.current = null;
    return !state.canceled;
  }

  #call(one: Listener, event: Event): void {
    const state = dispatchOf(event);
    if (one.removed || state.stoppedAtOnce) return;
    if (one.once) this.#remove(event.type, one);
    state.inPassive = one.passive;
    try {
      if (typeof one.callback === "function") one.callback.call(this, event);
      else one.callback.handleEvent(event);
    } catch (error) {
      reportError(error);
    }
    state.inPassive = false;
  }

  #remove(type: string, one: Listener): void {
    one.removed = true;
    const rest = this.#listeners!.get(type)!.filter((other) => other !== one);
    if (rest.length > 0) this.#listeners!.set(type, rest);
    else this.#listeners!.delete(type);
  }
}

function captureOf(options: { capture?: boolean } | boolean | undefined | null): boolean {
  return typeof options === "object" && options !== null ? Boolean(options.capture) : Boolean(options);
}

function flatten(options: AddEventListenerOptions | boolean | undefined | null) {
  const given = (typeof options === "object" || typeof options === "function") && options !== null ? options : {};
  const signal = given.signal;
  if (signal !== undefined && !signals.is(signal))
    throw new TypeError("addEventListener: member signal is not of type 'AbortSignal'");
  return { capture: captureOf(options), once: Boolean(given.once), passive: Boolean(given.passive), signal };
}

function isListener(callback: unknown, given: number, method: string): callback is EventListener {
  if (given < 2) throw new TypeError(`${method}: 2 arguments required, but only ${given} present`);
  if (callback === null || callback === undefined) return false;
  if (typeof callback !== "function" && typeof callback !== "object")
    throw new TypeError(`${method}: parameter 2 is not a function or an object`);
  return true;
}

type Handler = ((event: Event) => unknown) | null;

/** Gives a class an event handler attribute `on<type>`. */
export function handlerAttribute(prototype: EventTarget, type: string): void {
  const slots = new WeakMap<EventTarget, { handler: Handler; listener: EventListener }>();
  Object.defineProperty(prototype, `on${type}`, {
    get(this: EventTarget): Handler {
      return slots.get(this)?.handler ?? null;
    },
    set(this: EventTarget, value: unknown) {
      const handler = typeof value === "function" || (typeof value === "object" && value !== null) ? value : null;
      const slot = slots.get(this);
      if (handler === null) {
        if (slot !== undefined) this.removeEventListener(type, slot.listener);
        slots.delete(this);
      } else if (slot !== undefined) {
        slot.handler = handler as Handler;
      } else {
        slots.set(this, listen(this, type, handler as Handler));
      }
    },
    enumerable: true,
    configurable: true,
  });
}

function listen(target: EventTarget, type: string, handler: Handler): { handler: Handler; listener: EventListener } {
  const slot = {
    handler,
    listener(event: Event): void {
      if (typeof slot.handler === "function" && slot.handler.call(target, event) === false) event.preventDefault();
    },
  };
  target.addEventListener(type, slot.listener);
  return slot;
}
