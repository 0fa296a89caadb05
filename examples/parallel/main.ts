/** Tasks in parallel: a fan-out over data, a race, failures, and a time limit. Every call has a sandbox of its own. */
import { type Handle, NonRetryable, TaskError, task } from "@capsule-run/sdk";

const HOUR = 3_600_000;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** How many of the next 1,000 numbers are prime: work for a core. */
const countPrimes = task({ name: "count_primes", compute: "LOW", ram: "64MB" }, (start: number): number => {
  let primes = 0;
  for (let n = Math.max(start, 2); n < start + 1000; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) primes++;
  }
  return primes;
});

/** Stands for a service that takes its time. Who waits needs no thread. */
const ask = task({ name: "ask", compute: "LOW", ram: "64MB" }, async (model: string, ms: number): Promise<string> => {
  if (model === "broken") throw new NonRetryable("no answer");
  await sleep(ms);
  return `${model} answered`;
});

/** The first answer; the other task is cancelled. */
async function race(): Promise<string> {
  const racers = [ask.start("tortoise", HOUR), ask.start("hare", 100)];
  try {
    return await Promise.race(racers);
  } finally {
    for (const racer of racers) racer.cancel();
  }
}

/** All of them at the same time, whatever becomes of each. */
async function all(): Promise<string> {
  const answers = await Promise.allSettled(["small", "broken", "large"].map((name) => ask(name, 100)));
  return answers.map((a) => (a.status === "fulfilled" ? a.value : (a.reason as TaskError).message)).join(", ");
}

/** Waiting for no more than a moment: the task is cancelled then. */
async function inTime<T>(handle: Handle<T>, ms: number): Promise<T | "too late"> {
  const timer = setTimeout(() => handle.cancel(), ms);
  try {
    return await handle;
  } catch (error) {
    if (error instanceof TaskError && error.type === "cancelled") return "too late";
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

export const main = task({ name: "main" }, async () => {
  const starts = Array.from({ length: 20 }, (_, i) => i * 1000);
  const primes = countPrimes.map(starts); // one sandbox per item, results in order
  return {
    primes: primes.reduce((sum, n) => sum + n, 0),
    race: await race(),
    all: await all(),
    "in time": await inTime(ask.start("sleepy", HOUR), 100),
  };
});
