/** Tasks beside one another: start(), map(), handles, cancellation. `main` returns what isn't as it should be. */
import { type Handle, NonRetryable, TaskError, task } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

const HOUR = 3_600_000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

const double = task({ name: "double" }, (n: number) => 2 * n);
const adouble = task({ name: "adouble" }, async (n: number) => {
  await pause(0);
  return 2 * n;
});
const add = task({ name: "add" }, (a: number, b = 100) => a + b);
const echo = task({ name: "echo" }, (value: unknown) => value);
const thirdFails = task({ name: "third_fails", maxRetries: 0 }, (i: number) => {
  if (i % 3 === 0) throw new RangeError(String(i));
  return i;
});
const sleep = task({ name: "sleep" }, async <T>(ms: number, value?: T) => {
  await pause(ms);
  return value ?? null;
});
const failAfter = task({ name: "fail_after", maxRetries: 0 }, async (ms: number): Promise<number> => {
  await pause(Math.abs(ms));
  if (ms <= 0) throw new NonRetryable("on purpose");
  return ms;
});
const retriedForEver = task({ name: "retried_for_ever", maxRetries: 1000 }, (): void => {
  throw new Error("again");
});
const promising = task({ name: "promising" }, (n: number) => pause(1).then(() => n));

function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error instanceof TaskError ? [error.type, error.className ?? null, error.message, error.taskName] : String(error);
  }
}

async function typeOf(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof TaskError ? error.type : String(error);
  }
}

// --- handles

export const handles = task({ name: "handles" }, async () => {
  const c = new Checks();
  const [one, other] = [double.start(4), adouble.start(5)];
  c.equal("result()", [one.result(), other.result(), one.result(), one.done(), one.taskName, one.cancel()], [8, 10, 8, true, "double", false]);
  c.equal("awaited after result()", [await one, await one], [8, 8]);
  c.equal("defaults", add.start(1).result(), 101);
  const slow = sleep.start(HOUR);
  c.equal("running", slow.done(), false);
  c.equal("cancel()", [slow.cancel(), await typeOf(slow), await typeOf(slow), slow.done(), slow.cancel()], [true, "cancelled", "cancelled", true, false]);
  const failed = thirdFails.start(3);
  const expected = ["task_error", "RangeError", "3", "third_fails"];
  c.equal("failure", [outcome(() => failed.result()), outcome(() => failed.result()), failed.done()], [expected, expected, true]);
  c.equal("bad arguments", (outcome(() => echo.start(() => 1)) as string[])[0], "bad_input");
  const again = retriedForEver.start();
  await pause(300); // between two attempts
  c.equal("cancelled while retried", [again.cancel(), await typeOf(again)], [true, "cancelled"]);
  c.equal("blocking beside what is awaited", [sleep.start(5, "a"), double(1), adouble.start(1).result()].slice(1), [2, 2]);
  return c.failures;
});

export const promises = task({ name: "promises" }, async () => {
  const c = new Checks();
  c.equal("all", await Promise.all([double.start(1), adouble(2), pause(1).then(() => 3), adouble.start(4)]), [2, 4, 3, 8]);
  c.equal("race", await Promise.race([sleep(HOUR, "tortoise"), sleep(5, "hare")]), "hare");
  c.equal("race of handles", await Promise.race([sleep.start(HOUR, "tortoise"), sleep.start(5, "hare")]), "hare");
  c.equal("any", await Promise.any([thirdFails.start(0), sleep(5, 7)]), 7);
  const settled = await Promise.allSettled([thirdFails.start(0), adouble(1)]);
  c.equal("allSettled", settled.map((s) => s.status), ["rejected", "fulfilled"]);
  c.equal("then", await double.start(2).then((n) => n + 1), 5);
  c.equal("catch", await thirdFails.start(0).catch((error: TaskError) => error.message), "0");
  c.equal("finally", await double.start(2).finally(() => {}), 4);
  const seen: string[] = [];
  await Promise.all(["slow", "quick"].map((name) => sleep(name === "slow" ? 200 : 1, name).then((n) => seen.push(n!))));
  c.equal("in the order of completion", seen, ["quick", "slow"]);
  c.equal("a function that returns a Promise", [promising(1) instanceof Promise, await promising(2), await promising.start(3)], [true, 2, 3]);
  const before = performance.now();
  await Promise.all(range(20).map(() => sleep(200)));
  c.ok("20 sleepers sleep together", performance.now() - before < 3000);
  c.equal("a failure", await typeOf(Promise.all([sleep(HOUR), thirdFails.start(0)])), "task_error");
  thirdFails.start(0); // nobody asks: no unhandled rejection
  await pause(50);
  return c.failures;
});

// --- map

export const maps = task({ name: "maps" }, () => {
  const c = new Checks();
  c.equal("order", double.map(range(5)), [0, 2, 4, 6, 8]);
  c.equal("of many kinds", [double.map(new Set([1, 2])), echo.map("ab"), double.map([])], [[2, 4], ["a", "b"], []]);
  c.equal("lists", [echo.map([[1, 2], [3]]), add.starmap([[1, 2], [3]])], [[[1, 2], [3]], [3, 103]]);
  c.equal("bounded", double.map(range(50), { concurrency: 3 }), range(50).map((n) => 2 * n));
  c.equal("first failure", outcome(() => thirdFails.map([1, 2, 3, 4])), ["task_error", "RangeError", "3", "third_fails"]);
  const kept = thirdFails.map(range(4), { returnErrors: true });
  c.equal("errors in their places", kept.map((x) => (x instanceof TaskError ? x.message : x)), ["0", 1, 2, "3"]);
  c.equal("no bound", outcome(() => double.map([1], { concurrency: 0 })), "RangeError: concurrency is 0; at least one task has to run");
  c.equal("an item that can't cross", (outcome(() => echo.map([1, () => 1])) as string[])[0], "bad_input");
  function* broken() {
    yield 1;
    throw new Error("no more");
  }
  c.equal("an iterator that throws", outcome(() => double.map(broken())), "Error: no more");
  function* calling() {
    for (const i of range(10)) yield double(i);
  }
  c.equal("an iterator that calls tasks", double.map(calling(), { concurrency: 3 }), range(10).map((i) => 4 * i));
  const values = [new Uint8Array([0, 255]), new Set([1]), { $bytes: "no bytes" }, "é\u{1F600}", null];
  c.equal("values", echo.map(values).slice(2), values.slice(2));
  return c.failures;
});

export const asyncMaps = task({ name: "async_maps" }, async () => {
  const c = new Checks();
  const some = adouble.map(range(3));
  c.ok("a Promise", some instanceof Promise);
  c.equal("order", await some, [0, 2, 4]);
  c.equal("two at once", await Promise.all([adouble.map([1]), adouble.starmap([[2]])]), [[2], [4]]);
  c.equal("bounded", await adouble.map(range(20), { concurrency: 2 }), range(20).map((n) => 2 * n));
  c.equal("failure", await typeOf(failAfter.map([HOUR, -1, HOUR])), "task_error");
  const kept = await failAfter.map([1, -1], { returnErrors: true });
  c.equal("errors in their places", kept.map((x) => (x instanceof TaskError ? x.message : x)), [1, "on purpose"]);
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 1);
  await sleep.map([50, 50]);
  clearInterval(ticking);
  c.ok("other code runs meanwhile", ticks > 1);
  c.equal("of a function that returns Promises", await promising.map([1, 2]), [1, 2]);
  return c.failures;
});

/** The others have ended when the failure is seen; they would take an hour. */
export const failureEndsTheOthers = task({ name: "failure_ends_the_others" }, async () => {
  const before = performance.now();
  const what = await typeOf(failAfter.map([...range(20).map(() => HOUR), -1, ...range(20).map(() => HOUR)]));
  return what === "task_error" && performance.now() - before < 60_000 ? [] : [what];
});

// --- trees

export const tree = task({ name: "tree" }, (depth: number): number =>
  depth === 0 ? 1 : tree.map([depth - 1, depth - 1, depth - 1]).reduce((a, b) => a + b, 0),
);
const asyncTree = task({ name: "async_tree" }, async (depth: number): Promise<number> =>
  depth === 0 ? 1 : (await asyncTree.map([depth - 1, depth - 1])).reduce((a, b) => a + b, 0),
);
const deeper = task({ name: "deeper", maxRetries: 0 }, (n: number): number => deeper.start(n + 1).result());

export const trees = task({ name: "trees" }, async () => {
  const c = new Checks();
  c.equal("tree", tree(4), 81);
  c.equal("async tree", await asyncTree(5), 32);
  const end = outcome(() => deeper(1)) as string[];
  c.ok(`bounded: ${String(end).slice(0, 200)}`, Array.isArray(end) && end[2]!.includes("deep"));
  return c.failures;
});

// --- many

export const many = task({ name: "many" }, (n: number) => double.map(range(n)).reduce((a, b) => a + b, 0));
export const manyAsync = task({ name: "many_async" }, async (n: number) => (await adouble.map(range(n))).reduce((a, b) => a + b, 0));
export const manyStarted = task({ name: "many_started" }, async (n: number) => {
  const all = await Promise.all(range(n).map((i) => double.start(i)));
  return all.reduce((a, b) => a + b, 0);
});
/** More than a sandbox may have open, one after the other: replies of cancelled tasks are taken. */
export const manyCancelled = task({ name: "many_cancelled" }, async (n: number) => {
  for (const _ of range(n)) {
    const handle = sleep.start(HOUR);
    handle.cancel();
    await typeOf(handle);
  }
  return double(1);
});
export const manyFail = task({ name: "many_fail" }, (n: number) => {
  const some = thirdFails.map(range(n), { returnErrors: true });
  return some.every((x, i) => (i % 3 === 0 ? x instanceof TaskError : x === i));
});

// --- what is left behind: these tasks end at once, and what they started ends with them

export const forgets = task({ name: "forgets" }, () => {
  for (const _ of range(20)) sleep.start(HOUR);
  return "returned";
});
export const leavesPromises = task({ name: "leaves_promises" }, async () => {
  void sleep(HOUR);
  void sleep.map([HOUR, HOUR]);
  void pause(HOUR).then(() => console.log("never"));
  setInterval(() => {}, 1);
  await pause(1);
  return "returned";
});
const kept: Handle<unknown>[] = [];
export const keeps = task({ name: "keeps" }, () => {
  kept.push(sleep.start(HOUR));
  return kept.length;
});

export const main = task({ name: "main", compute: "HIGH" }, async () => [
  ...(await handles()),
  ...(await promises()),
  ...maps(),
  ...(await asyncMaps()),
  ...(await failureEndsTheOthers()),
  ...(await trees()),
  ...(keeps() + keeps() === 2 ? [] : ["a sandbox saw what another kept"]),
]);
