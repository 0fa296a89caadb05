/**
 * Owns Event and its kinds. There is no tree of targets here, so an event has one target and one phase.
 * What EventTarget does to an event while it's dispatched goes through {@link Dispatch}, which users don't see.
 */
import { now } from "./clock.js";
import { constants } from "./expose.js";
import type { EventTarget } from "./event_target.js";
import { showAs } from "./inspect.js";

/** Options of every event. */
export interface EventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
}

/** What EventTarget may do to an event. */
export interface Dispatch {
  target: EventTarget | null;
  current: EventTarget | null;
  dispatching: boolean;
  initialized: boolean;
  stopped: boolean;
  stoppedAtOnce: boolean;
  canceled: boolean;
  inPassive: boolean;
  trusted: boolean;
}

let dispatchOf: (event: Event) => Dispatch;

/** Something that happened. */
export class Event {
  declare static readonly NONE: 0;
  declare static readonly CAPTURING_PHASE: 1;
  declare static readonly AT_TARGET: 2;
  declare static readonly BUBBLING_PHASE: 3;

  #type: string;
  #bubbles: boolean;
  #cancelable: boolean;
  readonly #composed: boolean;
  readonly #time = now();
  readonly #state: Dispatch = {
    target: null,
    current: null,
    dispatching: false,
    initialized: true,
    stopped: false,
    stoppedAtOnce: false,
    canceled: false,
    inPassive: false,
    trusted: false,
  };

  static {
    dispatchOf = (event) => event.#state;
  }

  /** @throws TypeError without a type */
  constructor(type: string, init: EventInit | null = {}) {
    if (arguments.length === 0) throw new TypeError("Event: 1 argument required, but only 0 present");
    if (init !== null && init !== undefined && typeof init !== "object" && typeof init !== "function")
      throw new TypeError("Event: the second argument has to be an object");
    this.#type = String(type);
    this.#bubbles = Boolean(init?.bubbles);
    this.#cancelable = Boolean(init?.cancelable);
    this.#composed = Boolean(init?.composed);
  }

  get type(): string {
    return this.#type;
  }
  get target(): EventTarget | null {
    return this.#state.target;
  }
  /** @deprecated the same as target */
  get srcElement(): EventTarget | null {
    return this.#state.target;
  }
  get currentTarget(): EventTarget | null {
    return this.#state.current;
  }
  get eventPhase(): 0 | 1 | 2 | 3 {
    return this.#state.dispatching ? 2 : 0;
  }
  get bubbles(): boolean {
    return this.#bubbles;
  }
  get cancelable(): boolean {
    return this.#cancelable;
  }
  get composed(): boolean {
    return this.#composed;
  }
  get defaultPrevented(): boolean {
    return this.#state.canceled;
  }
  get isTrusted(): boolean {
    return this.#state.trusted;
  }
  /** Milliseconds, as of performance.now(). */
  get timeStamp(): number {
    return this.#time;
  }
  get cancelBubble(): boolean {
    return this.#state.stopped;
  }
  set cancelBubble(value: boolean) {
    if (value) this.#state.stopped = true;
  }
  get returnValue(): boolean {
    return !this.#state.canceled;
  }
  set returnValue(value: boolean) {
    if (!value) this.preventDefault();
  }

  composedPath(): EventTarget[] {
    return this.#state.dispatching ? [this.#state.target!] : [];
  }
  preventDefault(): void {
    if (this.#cancelable && !this.#state.inPassive) this.#state.canceled = true;
  }
  stopPropagation(): void {
    this.#state.stopped = true;
  }
  stopImmediatePropagation(): void {
    this.#state.stopped = true;
    this.#state.stoppedAtOnce = true;
  }
  /** @deprecated use the constructor */
  initEvent(type: string, bubbles = false, cancelable = false): void {
    const state = this.#state;
    if (state.dispatching) return;
    this.#type = String(type);
    this.#bubbles = Boolean(bubbles);
    this.#cancelable = Boolean(cancelable);
    state.initialized = true;
    state.stopped = state.stoppedAtOnce = state.canceled = state.trusted = false;
    state.target = null;
  }
}
constants(Event, { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });

export { dispatchOf };

showAs(Event.prototype, ({ type, defaultPrevented, cancelable, timeStamp }) => ({
  type,
  defaultPrevented,
  cancelable,
  timeStamp,
}));

/** An event that the platform itself makes. */
export function trusted<T extends Event>(event: T): T {
  dispatchOf(event).trusted = true;
  return event;
}

/** An event with a value of the user's. */
export class CustomEvent<T = unknown> extends Event {
  #detail: T;

  constructor(...args: [type: string, init?: (EventInit & { detail?: T }) | null]) {
    super(...args);
    this.#detail = (args[1]?.detail ?? null) as T;
  }
  get detail(): T {
    return this.#detail;
  }
  /** @deprecated use the constructor */
  initCustomEvent(type: string, bubbles = false, cancelable = false, detail: T = null as T): void {
    if (dispatchOf(this).dispatching) return;
    this.initEvent(type, bubbles, cancelable);
    this.#detail = detail;
  }
}

/** Options of {@link ErrorEvent}. */
export interface ErrorEventInit extends EventInit {
  message?: string;
  filename?: string;
  lineno?: number;
  colno?: number;
  error?: unknown;
}

/** An error that nobody caught. */
export class ErrorEvent extends Event {
  readonly #init: ErrorEventInit;

  constructor(...args: [type: string, init?: ErrorEventInit | null]) {
    super(...args);
    this.#init = { ...args[1] };
  }
  get message(): string {
    return String(this.#init.message ?? "");
  }
  get filename(): string {
    return String(this.#init.filename ?? "");
  }
  get lineno(): number {
    return Number(this.#init.lineno ?? 0);
  }
  get colno(): number {
    return Number(this.#init.colno ?? 0);
  }
  get error(): unknown {
    return this.#init.error;
  }
}

/** Options of {@link PromiseRejectionEvent}. */
export interface PromiseRejectionEventInit extends EventInit {
  promise: Promise<unknown>;
  reason?: unknown;
}

/** A rejection that nobody handled. */
export class PromiseRejectionEvent extends Event {
  readonly #init: PromiseRejectionEventInit;

  /** @throws TypeError without a promise */
  constructor(...args: [type: string, init: PromiseRejectionEventInit]) {
    super(...args);
    const init = args[1];
    if (typeof init !== "object" || init === null || !("promise" in init))
      throw new TypeError("PromiseRejectionEvent: required member promise is undefined");
    this.#init = { ...init };
  }
  get promise(): Promise<unknown> {
    return this.#init.promise;
  }
  get reason(): unknown {
    return this.#init.reason;
  }
}
