/** durable_waits.py in TypeScript, for tests of runs that are suspended (tests/cli/test_waiting.py). */
import { context, files, SignalTimeout, sleep, type TaskError, task, waitSignal } from "@capsule-run/sdk";

const trivial = task({ name: "trivial" }, (value: unknown) => value);

/** Says that it waits, and then what it got. */
const one = task({ name: "one" }, async (name: string) => {
  console.log(`${name}?`);
  const value = await waitSignal(name);
  console.error(`${name}: ${value}`);
  return value;
});

export const inTurn = task({ name: "in_turn" }, async (names: string[]) => {
  const values: unknown[] = [];
  for (const name of names) values.push(await one(name));
  return values;
});

/** Each in a task of its own. */
export const together = task({ name: "together" }, (names: string[]) => Promise.all(names.map((name) => one(name))));

/** All in this task, and after each a step. */
export const inOneTask = task({ name: "in_one_task" }, (names: string[]) =>
  Promise.all(names.map(async (name) => trivial.start(await waitSignal(name)))),
);

const deep = task({ name: "deep" }, async (depth: number, name: string): Promise<unknown[]> => {
  const { attempt, idempotencyKey } = context();
  const before = [Math.random(), crypto.randomUUID(), Date.now()] as const;
  const below = depth > 0 ? await deepAgain(depth - 1, name) : [await waitSignal(name)];
  if (context().attempt !== attempt || context().idempotencyKey !== idempotencyKey) throw new Error("not the same");
  if (Date.now() < before[2]) throw new Error("the clock went backwards");
  return [idempotencyKey, ...below];
});
const deepAgain = (depth: number, name: string): PromiseLike<unknown[]> => deep(depth, name);
export { deep };

const charge = task({ name: "charge", idempotent: false, maxRetries: 0 }, (name: string) => waitSignal(name));

export const charges = task({ name: "charges" }, (name: string) =>
  charge.start(name).catch((error: TaskError) => error.type),
);

const limited = task({ name: "limited", timeout: "1h", maxRetries: 3 }, (name: string) => waitSignal(name));

export const limits = task({ name: "limits" }, (name: string) =>
  limited.start(name).catch((error: TaskError) => [error.type, error.execution.retries]),
);

export const inTime = task({ name: "in_time" }, async (name: string, timeout: string) => {
  try {
    return await waitSignal(name, { timeout });
  } catch (error) {
    if (!(error instanceof SignalTimeout)) throw error;
    return ["too late", await waitSignal(name)];
  }
});

/** Asks again when a time has passed; the wait itself goes on. */
export const reminders = task({ name: "reminders" }, async (name: string, duration: string) => {
  let answer: [unknown] | undefined;
  const coming = waitSignal(name).then((value) => {
    answer = [value];
  });
  let asked = 0;
  while (answer === undefined) {
    asked += 1;
    console.log("asked", asked);
    await Promise.race([coming, sleep(duration)]);
  }
  return [asked, ...answer];
});

const busy = task({ name: "busy", compute: "HIGH" }, (seconds: number) => {
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until);
  return "done";
});

/** One waits and one computes. */
export const beside = task({ name: "beside" }, (name: string) => Promise.all([waitSignal(name), busy.start(0.3)]));

export const sleeps = task({ name: "sleeps" }, async (durations: string[]) => {
  const begin = Date.now();
  for (const duration of durations) {
    await sleep(duration);
    console.log("slept", duration);
  }
  return (Date.now() - begin) / 1000;
});

export const writes = task({ name: "writes", allowedFiles: ["./data"] }, async (name: string) => {
  const text = await files.readText("data/log").catch(() => "");
  await files.writeText("data/log", `${text}before\n`);
  const value = await waitSignal(name);
  await files.writeText("data/log", `${await files.readText("data/log")}${value}\n`);
  return value;
});

export const many = task({ name: "many" }, async (name: string, n: number) => {
  const values: unknown[] = [];
  while (values.length < n) values.push(await waitSignal(name));
  return values;
});

export const manyAtOnce = task({ name: "many_at_once" }, (name: string, n: number) =>
  Promise.all(Array.from({ length: n }, () => waitSignal(name))),
);

export const failsAfter = task({ name: "fails_after", maxRetries: 1 }, async (name: string) => {
  await waitSignal(name);
  throw new Error(`attempt ${context().attempt}`);
});
