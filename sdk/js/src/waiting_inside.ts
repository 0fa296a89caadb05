/** Owns waiting as operations of the host (guest/abi.h: sleep, signal.wait). Only inside a sandbox. */
import { type ErrorType, SignalTimeout, TaskError } from "./errors.js";
import { isRunning } from "./header.js";
import type { Message } from "./message.js";
import { operations, submitted } from "./operations.js";
import type { AbortSignalLike, Waiting } from "./waiting.js";

const { parse, stringify } = JSON;

/** Signals that came when who had waited for them was just being aborted, by name: replies. */
const kept = new Map<string, Message[]>();

/** What waits in a sandbox. */
export const waitingInside: Waiting = {
  async sleep({ key, ns }, signal) {
    checkRunning("sleep()");
    valueOf(await replyOf(submitted(`{"op":"sleep","${key}":${ns}}`, ""), signal, () => {}));
  },

  async receive({ name, timeout }, signal) {
    checkRunning("waitSignal()");
    const before = kept.get(name)?.shift();
    if (before !== undefined) return valueOf(before);
    // Made now: its stack names the program's line. Later there's only the event loop on the stack.
    const late = timeout && new SignalTimeout(name, `no signal "${name}" came within ${timeout.written}`);
    const limit = timeout === undefined ? "" : `,"timeout_ns":${timeout.ns}`;
    const op = submitted(`{"op":"signal.wait","name":${stringify(name)}${limit}}`, "");
    return valueOf(await replyOf(op, signal, (reply) => keep(name, reply)), late);
  },
};

/** A reply, while other code runs. Once the signal has aborted, `dropped` gets the reply. */
function replyOf(op: number, signal: AbortSignalLike | undefined, dropped: (reply: Message) => void): Promise<Message> {
  return new Promise((resolve, reject) => {
    let aborted = false;
    const abort = (): void => {
      aborted = true;
      operations.cancel(op); // its reply comes nevertheless, and may be what was waited for
      // It may have come already: it's older than what the next wait gets.
      if (operations.wait(op, 0)) dropped(operations.take(op));
      reject(signal!.reason);
    };
    operations.expect(op, () => {
      const reply = operations.take(op);
      if (aborted) return dropped(reply);
      signal?.removeEventListener("abort", abort);
      resolve(reply);
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

function keep(name: string, reply: Message): void {
  if (!parse(reply[0]).ok) return;
  const replies = kept.get(name);
  if (replies === undefined) kept.set(name, [reply]);
  else replies.push(reply);
}

function checkRunning(what: string): void {
  if (isRunning()) return;
  throw new Error(
    `${what} was called while a module is imported; a module's top level runs once, when the image is built, and can't ` +
      "wait. Call it from inside a task",
  );
}

/** What came with a reply that is no error. */
function valueOf(reply: Message, late?: SignalTimeout): unknown {
  const { ok, error } = parse(reply[0]) as { ok: boolean; error?: { type?: ErrorType; message?: string } };
  if (ok) return reply[1] === "" ? undefined : parse(reply[1]);
  const { type = "host_error", message = "" } = error ?? {};
  if (type === "timeout" && late !== undefined) throw late;
  const failure = new TaskError(message, { type, retry: false });
  // What ends a task that lets it through (failure.ts).
  if (type === "policy") Object.defineProperty(failure, "capsule", { value: { type }, configurable: true });
  throw failure;
}
