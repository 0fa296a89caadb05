/**
 * Waiting: sleep() and waitSignal() for real. `main` and `signals` return what isn't as it should be.
 *
 * `main` needs no signals and runs unrecorded; `signals` needs a recorded run and no one who answers; `answers` waits for the signals
 * that its test sends; `sleeper` is for tests that suspend it.
 */
import { context, SignalTimeout, sleep, TaskError, task, waitSignal } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** The name of what a promise is rejected with, or its value. */
async function outcome(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof Error ? error.name : error;
  }
}

/** Whether it took at least 30 ms, by either clock. */
async function took(wait: () => Promise<unknown>): Promise<boolean> {
  const [begin, wall] = [performance.now(), Date.now()];
  await wait();
  return performance.now() - begin >= 30 && Date.now() - wall >= 29;
}

// --- sleep

const sleeping = task({ name: "sleeping" }, async () => {
  const c = new Checks();
  c.ok("a text", await took(() => sleep("30ms")));
  c.ok("milliseconds", await took(() => sleep(30)));
  c.ok("a moment", await took(() => sleep(new Date(Date.now() + 31))));
  const begin = performance.now();
  await sleep(new Date(0));
  await sleep(0);
  c.ok("what has passed", performance.now() - begin < 10_000);
  c.equal("what it gives", await sleep("1ms"), undefined);
  for (const wrong of ["7", "7 days", "-1s", "", -1, NaN, "40000d", new Date(NaN)]) {
    await c.rejects(`sleep(${String(wrong)})`, RangeError, () => sleep(wrong));
  }
  for (const wrong of [undefined, null, true, [1], 5n]) {
    await c.rejects(`sleep(${String(wrong)})`, TypeError, () => sleep(wrong as never));
  }
  return c.failures;
});

const together = task({ name: "together" }, async () => {
  const c = new Checks();
  const order: string[] = [];
  const noted = (name: string, duration: string | number) => sleep(duration).then(() => order.push(name));
  await Promise.all([noted("third", "90ms"), noted("first", 10), noted("second", "50ms")]);
  c.equal("in the order of their ends", order, ["first", "second", "third"]);
  const begin = performance.now();
  await Promise.all(range(100).map(() => sleep("60ms")));
  c.ok("a hundred at once", performance.now() - begin < 6000);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await sleep("50ms");
  clearInterval(timer);
  c.ok("others go on", ticks > 1);
  c.equal("the first of two", await Promise.race([sleep("7d"), pause(10).then(() => "pause")]), "pause");
  c.equal("the other first", await Promise.race([sleep("10ms"), pause(3_600_000)]), undefined);
  return c.failures;
});

const aborted = task({ name: "aborted" }, async () => {
  const c = new Checks();
  c.equal("by a timeout", await outcome(sleep("7d", { signal: AbortSignal.timeout(10) })), "TimeoutError");
  c.equal("before", await outcome(sleep("7d", { signal: AbortSignal.abort("early") })), "early");
  const controller = new AbortController();
  const waits = Promise.all(range(200).map(() => outcome(sleep("7d", { signal: controller.signal }))));
  controller.abort("enough");
  c.equal("many", new Set(await waits).size, 1);
  const late = new AbortController();
  c.equal("after its end", await sleep("1ms", { signal: late.signal }), undefined);
  late.abort();
  return c.failures;
});

const naps = task({ name: "naps" }, async (duration: number | string) => {
  await sleep(duration);
  return duration;
});

const inTasks = task({ name: "in_tasks" }, async () => {
  const c = new Checks();
  c.equal("in parallel", await naps.map([30, 20, 10]), [30, 20, 10]);
  const begin = performance.now();
  await naps.map(range(200).map(() => 500));
  c.ok("many at the same time", performance.now() - begin < 30_000);
  const slow = naps.start("7d");
  slow.cancel();
  c.equal("cancelled", await outcome(slow), "TaskError");
  return c.failures;
});

const tooSlow = task({ name: "too_slow", maxRetries: 0, timeout: "50ms" }, () => sleep("7d"));

const withinATimeout = task({ name: "within_a_timeout" }, async () => {
  const c = new Checks();
  const error = await tooSlow.start().catch((reason: unknown) => reason);
  c.equal("the task's timeout", error instanceof TaskError && error.type, "timeout");
  return c.failures;
});

const badSignals = task({ name: "bad_signals" }, async () => {
  const c = new Checks();
  for (const wrong of ["", "x".repeat(129), "é".repeat(65), "\ud800", "a\0b"]) {
    await c.rejects(`waitSignal(${JSON.stringify(wrong)})`, RangeError, () => waitSignal(wrong));
  }
  for (const wrong of [undefined, 5, new Uint8Array(1)]) {
    await c.rejects(`waitSignal(${String(wrong)})`, TypeError, () => waitSignal(wrong as never));
  }
  await c.rejects("a timeout", RangeError, () => waitSignal("a", { timeout: "soon" }));
  await c.rejects("a Date", TypeError, () => waitSignal("a", { timeout: new Date() as never }));
  await c.rejects("a bare timeout", TypeError, () => waitSignal("a", "3d" as never));
  await c.rejects("another option", TypeError, () => waitSignal("a", { timout: "3d" } as never));
  return c.failures;
});

export const main = task({ name: "main" }, async () => [
  ...(await sleeping()),
  ...(await together()),
  ...(await aborted()),
  ...(await inTasks()),
  ...(await withinATimeout()),
  ...(await badSignals()),
]);

// --- signals: in a recorded run

const letsItThrough = task({ name: "lets_it_through", maxRetries: 5 }, () => waitSignal("nobody", { timeout: "10ms" }));

export const signals = task({ name: "signals" }, async () => {
  const c = new Checks();
  const begin = performance.now();
  const error = await waitSignal("nobody", { timeout: "30ms" }).catch((reason: unknown) => reason);
  const took = performance.now() - begin;
  c.equal("timeout", error instanceof SignalTimeout && [error.signalName, error.message], [
    "nobody",
    'no signal "nobody" came within 30ms',
  ]);
  c.ok("its stack names this file", String((error as Error).stack).includes("waiting.ts"));
  c.ok("in time", took >= 30 && took < 10_000);
  const failed = await letsItThrough.start().catch((reason: unknown) => reason);
  c.equal("not tried again", failed instanceof TaskError && [failed.type, failed.className, failed.execution.retries], [
    "task_error",
    "SignalTimeout",
    0,
  ]);
  const together = [
    outcome(waitSignal("nobody", { timeout: "20ms" })),
    outcome(waitSignal("nobody", { timeout: 0 })),
    outcome(waitSignal("nobody", { signal: AbortSignal.timeout(10) })),
    outcome(sleep("10ms")),
  ];
  c.equal("several at once", await Promise.all(together), ["SignalTimeout", "SignalTimeout", "TimeoutError", undefined]);
  return c.failures;
});

/** In a run that isn't recorded: what waitSignal says. */
export const refused = task({ name: "refused" }, async () => {
  const error = await waitSignal("go", { timeout: "1s" }).catch((reason: unknown) => reason);
  return error instanceof TaskError ? [error.type, error.message] : String(error);
});
export const refusedUncaught = task({ name: "refused_uncaught" }, () => waitSignal("go", { timeout: "1s" }));

/** The value of one signal for each name, one after the other. */
export const answers = task({ name: "answers" }, async (names: string[]) => {
  const values: unknown[] = [];
  for (const name of names) values.push(await waitSignal(name, { timeout: "50s" }));
  return values;
});

/** The same at once: of one name, the first that waits gets the first signal. */
export const answersAtOnce = task({ name: "aanswers" }, async (names: string[]) => {
  return Promise.all(names.map((name) => waitSignal(name, { timeout: "50s" })));
});

/** A signal, or the end of a sleep. */
export const whichever = task({ name: "whichever" }, async (name: string) => {
  const controller = new AbortController();
  const { signal } = controller;
  const first = await Promise.race([waitSignal(name, { signal }), sleep("50s", { signal })]);
  controller.abort();
  return [first];
});

/** Gives up and waits anew, again and again: no signal is lost in between. `name` is sent 20 times. */
export const reminded = task({ name: "reminded" }, async (name: string) => {
  const seen: unknown[] = [];
  while (seen.length < 20) {
    try {
      seen.push(await waitSignal(name, { signal: AbortSignal.timeout(1) }));
    } catch (error) {
      if ((error as Error).name !== "TimeoutError") throw error;
    }
  }
  return seen;
});

export const childWaits = task({ name: "child_waits" }, async (name: string) => answers([name]));

// --- for tests that suspend it

/** Between two clocks that are recorded. */
export const sleeper = task({ name: "sleeper" }, async (duration: string) => {
  const begin = Date.now();
  await sleep(duration);
  return Date.now() - begin;
});

export const who = task({ name: "who" }, () => [context().attempt, context().idempotencyKey]);
