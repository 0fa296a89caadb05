/** Owns `sleep` and `waitSignal`: waiting for a time and for signals, however long it takes. */
import { FORMS, kindOf, moment, nanoseconds } from "./duration.js";
import type { Duration } from "./options.js";

/** What says that something should be given up: an AbortSignal. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** How a wait may end early. */
export interface WaitOptions {
  /** Ends the wait when it aborts; the Promise is rejected with its reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/** How a signal is waited for. */
export interface WaitSignalOptions extends WaitOptions {
  /** How long to wait at most: a number with a unit, or milliseconds. 0: only take what is there. Without it: for ever. */
  readonly timeout?: Duration | (string & {}) | number | undefined;
}

/** The end of a sleep, as the host is told it. */
export interface Until {
  readonly key: "duration_ns" | "until_ns";
  readonly ns: bigint;
}

/** A signal that is waited for, as the host is told it; `written` is how messages call the timeout. */
export interface Expected {
  readonly name: string;
  readonly timeout: { readonly ns: bigint; readonly written: string } | undefined;
}

/** What waits: the host of a sandbox (waiting_inside.ts), or this process itself (waiting_outside.ts). */
export interface Waiting {
  sleep(until: Until, signal: AbortSignalLike | undefined): Promise<void>;
  receive(expected: Expected, signal: AbortSignalLike | undefined): Promise<unknown>;
}

let waiting: Waiting;

/** Chooses what waits. */
export function setWaiting(chosen: Waiting): void {
  waiting = chosen;
}

const NAME_MAX = 128; // bytes (guest/abi.h)

/**
 * Waits, for however long: `await sleep("7d")`.
 *
 * The time counts on while the run is suspended, and through the death of its process: a resumed run waits for what is left.
 *
 * @param duration a number with a unit: "500ms", "30s", "5m", "1h", "7d"; or milliseconds as a number. At most 36,500 days.
 *   A Date is waited for; one that has passed isn't.
 * @throws TypeError, RangeError (the Promise is rejected) it isn't a duration; the signal's reason, if it aborts
 */
export async function sleep(
  duration: Duration | (string & {}) | number | Date,
  options?: WaitOptions,
): Promise<void> {
  const until = read(duration);
  const { signal } = checked(options, ["signal"], "sleep()");
  await waiting.sleep(until, signal);
}

function read(duration: unknown): Until {
  if (duration instanceof Date) return { key: "until_ns", ns: moment(duration, "sleep()") };
  return { key: "duration_ns", ns: nanoseconds(duration, "sleep()", `${FORMS.replace(" or ", ", ")} or a Date`) };
}

/**
 * Waits for a signal, and gives the JSON value that came with it: `await waitSignal<Answer>("approval", { timeout: "3d" })`.
 *
 * Somebody sends it by `capsule signal RUN approval '{"ok": true}'`, now or before: a run's signals are kept until they are
 * waited for. Each is given out once, in the order in which they came, to what has waited longest for its name. A signal
 * that comes at the very moment when its wait is aborted is kept for the task's next wait for its name.
 *
 * @typeParam T what the value is expected to be; nothing checks that it is
 * @param name the signal's name, 1 to 128 bytes of UTF-8 without NUL
 * @throws (the Promise is rejected) SignalTimeout: none came in time; TaskError of type "policy": nothing can send signals to
 *   this run, since it isn't recorded; TypeError, RangeError: the name or the timeout isn't one; the abort signal's reason;
 *   Error: outside of a sandbox there are no signals
 */
export async function waitSignal<T = unknown>(name: string, options?: WaitSignalOptions): Promise<T> {
  checkName(name);
  const { timeout, signal } = checked(options, ["timeout", "signal"], "waitSignal()");
  return (await waiting.receive({ name, timeout: limit(timeout) }, signal)) as T;
}

function limit(timeout: unknown): Expected["timeout"] {
  if (timeout === undefined || timeout === null) return undefined;
  const ns = nanoseconds(timeout, "waitSignal(): timeout");
  return { ns, written: typeof timeout === "string" ? timeout : `${Number(ns) / 1e6} ms` };
}

function checkName(name: unknown): void {
  if (typeof name !== "string") throw new TypeError(`waitSignal(): a signal's name is a string, not ${kindOf(name)}`);
  if (!name.isWellFormed()) throw new RangeError("waitSignal(): a signal's name with a lone surrogate isn't Unicode");
  const n = new TextEncoder().encode(name).length;
  if (n < 1 || n > NAME_MAX) {
    throw new RangeError(`waitSignal(): a signal's name has 1 to ${NAME_MAX} bytes, this one has ${n}`);
  }
  if (name.includes("\0")) throw new RangeError("waitSignal(): a signal's name can't contain a NUL character");
}

/** The options, if they are such; throws the reason of a signal that is aborted already. */
function checked(options: unknown, known: readonly string[], what: string): WaitSignalOptions {
  if (options === undefined || options === null) return {};
  if (typeof options !== "object") throw new TypeError(`${what}: options are an object: { ${known.join(", ")} }`);
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new TypeError(`${what} has no option "${key}"; there is ${known.join(", ")}`);
  }
  const { signal } = options as WaitSignalOptions;
  if (signal === undefined || signal === null) return { ...options, signal: undefined };
  if (typeof signal.addEventListener !== "function" || typeof signal.aborted !== "boolean") {
    throw new TypeError(`${what}: signal is an AbortSignal, not ${kindOf(signal)}`);
  }
  if (signal.aborted) throw signal.reason;
  return options;
}
