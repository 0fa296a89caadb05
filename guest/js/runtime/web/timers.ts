/**
 * Owns setTimeout and setInterval.
 *
 * Timers are kept in a binary heap, ordered by the time when they're due and then by the order in which they were set. The event loop
 * (guest/js/loop.c) calls the function given to `native.onTimers`, which runs *one* due timer and says when the next is due, so that
 * microtasks run between two timers as the HTML standard has it. What a callback throws comes out of that function: it's uncaught.
 */
import * as native from "capsule:native";

interface Timer {
  readonly id: number;
  /** When it's due: milliseconds of native.monotonicMs(). */
  due: number;
  /** Among timers of one time the first that was set is the first to run. */
  order: number;
  readonly callback: (...args: unknown[]) => unknown;
  readonly args: unknown[];
  /** Milliseconds between two runs; undefined for a timer that runs once. */
  readonly every: number | undefined;
  /** How many timers, each set by the one before, led to this one. */
  nesting: number;
  /** Whether it's in the heap; not while it runs. */
  queued: boolean;
  live: boolean;
}

/** From this nesting on a timer waits at least NESTED_MIN_MS: a chain of setTimeout(f, 0) must not be a busy loop. */
const NESTING_MAX = 5;
const NESTED_MIN_MS = 4;

const byId = new Map<number, Timer>();
let heap: Timer[] = [];
let lastId = 0;
let lastOrder = 0;
let cancelled = 0;
let currentNesting = 0;

function before(a: Timer, b: Timer): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}

function push(timer: Timer): void {
  let at = heap.length;
  heap.push(timer);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (before(heap[parent]!, timer)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = timer;
}

function pop(): void {
  const last = heap.pop()!;
  const n = heap.length;
  if (n === 0) return;
  let at = 0;
  for (let child = 1; child < n; child = 2 * at + 1) {
    if (child + 1 < n && before(heap[child + 1]!, heap[child]!)) child++;
    if (before(last, heap[child]!)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}

/** The next timer that is still wanted. */
function first(): Timer | undefined {
  while (heap.length > 0 && !heap[0]!.live) {
    pop();
    cancelled--;
  }
  return heap[0];
}

/** Cancelled timers stay in the heap until their turn comes, unless they have become the greater part of it. */
function sweep(): void {
  if (cancelled < 32 || cancelled < heap.length / 2) return;
  heap = heap.filter((timer) => timer.live).sort((a, b) => (before(a, b) ? -1 : 1)); // sorted is a heap, too
  cancelled = 0;
}

function start(timer: Timer, now: number, delay: number): void {
  timer.due = now + (timer.nesting > NESTING_MAX && delay < NESTED_MIN_MS ? NESTED_MIN_MS : delay);
  timer.order = ++lastOrder;
  timer.queued = true;
  push(timer);
}

function run(timer: Timer, now: number): void {
  pop();
  timer.queued = false;
  timer.live = timer.every !== undefined;
  if (!timer.live) byId.delete(timer.id);
  currentNesting = timer.nesting;
  try {
    Reflect.apply(timer.callback, globalThis, timer.args);
  } finally {
    currentNesting = 0;
    if (timer.live) {
      timer.nesting++;
      start(timer, now, timer.every!);
    }
  }
}

native.onTimers(() => {
  let timer = first();
  if (timer === undefined) return -1; // without a look at the clock, which may be recorded
  const now = native.monotonicMs();
  if (timer.due <= now) {
    run(timer, now);
    timer = first();
    if (timer === undefined) return -1;
  }
  return timer.due > now ? timer.due - now : 0;
});

function set(what: string, callback: unknown, delay: unknown, args: unknown[], repeats: boolean): number {
  if (typeof callback !== "function")
    throw new TypeError(
      `${what}: the first argument has to be a function, not ${callback === null ? "null" : typeof callback}`,
    );
  const ms = Math.max(0, Number(delay) | 0); // as an IDL long: NaN and Infinity are 0
  const timer: Timer = {
    id: ++lastId,
    due: 0,
    order: 0,
    callback: callback as Timer["callback"],
    args,
    every: repeats ? ms : undefined,
    nesting: currentNesting + 1,
    queued: false,
    live: true,
  };
  byId.set(timer.id, timer);
  start(timer, native.monotonicMs(), ms);
  return timer.id;
}

/**
 * Runs a function once after at least `delay` milliseconds.
 *
 * @param callback the function; strings of code are refused
 * @param delay milliseconds (0)
 * @param args what the function is given
 * @returns a number for {@link clearTimeout}
 * @throws TypeError if `callback` isn't a function
 */
export function setTimeout(callback: (...args: any[]) => unknown, delay?: number, ...args: unknown[]): number {
  return set("setTimeout", callback, delay, args, false);
}

/** Runs a function again and again with `delay` milliseconds between. Parameters and errors: {@link setTimeout}. */
export function setInterval(callback: (...args: any[]) => unknown, delay?: number, ...args: unknown[]): number {
  return set("setInterval", callback, delay, args, true);
}

/** Stops a timer of either kind; does nothing for a number that isn't one, or whose timer has run. */
export function clearTimeout(id?: number): void {
  const timer = byId.get(Number(id));
  if (timer === undefined) return;
  byId.delete(timer.id);
  timer.live = false;
  if (timer.queued) {
    cancelled++;
    sweep();
  }
}

/** The same as {@link clearTimeout}. */
export function clearInterval(id?: number): void {
  clearTimeout(id);
}
