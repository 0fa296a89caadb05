/** setTimeout, setInterval and queueMicrotask: the facts of web-platform-tests' html/webappapis/timers/ and microtask-queuing/. */
import { task } from "@capsule-run/sdk";
import { Checks, pause } from "./checks.js";

async function order(c: Checks): Promise<void> {
  const seen: string[] = [];
  const all = new Promise<void>((resolve) => setTimeout(resolve, 40));
  setTimeout(() => seen.push("20"), 20);
  setTimeout(() => {
    seen.push("10a");
    void Promise.resolve().then(() => seen.push("microtask of 10a"));
  }, 10);
  setTimeout(() => seen.push("10b"), 10);
  setTimeout(() => seen.push("negative"), -5);
  setTimeout(() => seen.push("nothing"));
  setTimeout(() => seen.push("NaN"), NaN);
  setTimeout(() => seen.push("Infinity"), Infinity);
  queueMicrotask(() => seen.push("microtask"));
  seen.push("now");
  await all;
  c.equal("order", seen, [
    "now",
    "microtask",
    "negative",
    "nothing",
    "NaN",
    "Infinity",
    "10a",
    "microtask of 10a",
    "10b",
    "20",
  ]);
}

async function times(c: Checks): Promise<void> {
  for (const ms of [0, 5, 30]) {
    const start = performance.now();
    await pause(ms);
    c.ok(`at least ${ms} ms`, performance.now() - start >= ms - 0.1);
  }
}

async function callbacks(c: Checks): Promise<void> {
  const args = await new Promise<unknown[]>((resolve) =>
    setTimeout((...given: unknown[]) => resolve(given), 1, 1, "two", null),
  );
  c.equal("arguments", args, [1, "two", null]);
  c.throws("text", TypeError, () => setTimeout("1 + 1" as any, 0));
  c.throws("nothing", TypeError, () => (setInterval as any)());
  const id = setTimeout(() => {});
  c.equal("a number", [typeof id, id > 0], ["number", true]);
  clearTimeout(id);
}

async function clearing(c: Checks): Promise<void> {
  const seen: string[] = [];
  const never = setTimeout(() => seen.push("never"), 5);
  clearTimeout(never);
  clearTimeout(never);
  clearTimeout(undefined);
  clearTimeout(123456789);
  clearInterval(null as any);
  const interval = setTimeout(() => seen.push("never either"), 5);
  clearInterval(interval);
  setTimeout(() => clearTimeout(later), 1);
  const later = setTimeout(() => seen.push("cleared by another"), 5);
  const many = Array.from({ length: 1000 }, () => setTimeout(() => seen.push("one of many"), 3));
  many.forEach((one, i) => i !== 500 && clearTimeout(one));
  await pause(20);
  c.equal("cleared", seen, ["one of many"]);
}

async function intervals(c: Checks): Promise<void> {
  let n = 0;
  await new Promise<void>((resolve) => {
    const id = setInterval(() => {
      if (++n === 4) {
        clearInterval(id);
        resolve();
      }
    }, 2);
  });
  await pause(15);
  c.equal("four times", n, 4);
}

async function nested(c: Checks): Promise<void> {
  const start = performance.now();
  await new Promise<void>((resolve) => {
    let left = 10;
    const step = () => (--left === 0 ? resolve() : setTimeout(step, 0));
    setTimeout(step, 0);
  });
  c.ok("a chain is slowed down", performance.now() - start >= 4 * 3);
  const random = Array.from({ length: 300 }, (_, i) => 40 * ((i * 7919) % 5));
  const fired: number[] = [];
  await Promise.all(
    random.map(
      (ms, i) =>
        new Promise<void>((resolve) =>
          setTimeout(() => {
            fired.push(i);
            resolve();
          }, ms),
        ),
    ),
  );
  // However slow this machine is: a timer that was set earlier, for no longer, comes earlier.
  const late = fired.filter((i, at) => fired.slice(0, at).some((j) => j > i && random[j]! >= random[i]!));
  c.equal("a heap", [fired.length, late], [300, []]);
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ order, times, callbacks, clearing, intervals, nested }))
    await c.block(name, () => run(c));
  return c.failures;
});
