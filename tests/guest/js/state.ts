/** Nothing of one sandbox is seen by the next, and what must differ between two of them does. */
import { context, env, task } from "@capsule-run/sdk";

const seen: number[] = [];
const counter = { n: 0 };
const fromImage = { random: Math.random(), time: Date.now() };
let [toPlus, timers] = [0, 0];

const left = task({ name: "left", envVariables: ["FOR_LEFT"] }, async (x: number) => {
  seen.push(x);
  counter.n++;
  (globalThis as any).left = "behind";
  (env as Record<string, string>)["LEFT"] = "behind";
  setInterval(() => timers++, 1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  void Promise.resolve().then(() => toPlus++);
  return [seen, counter, env["FOR_LEFT"] ?? null, process.env["LEFT"]];
});
const right = task({ name: "right" }, () => [seen, counter, { ...env }, typeof (globalThis as any).left, toPlus, timers]);

const draw = task({ name: "draw" }, () => ({
  random: Math.random(),
  uuid: crypto.randomUUID(),
  bytes: [...crypto.getRandomValues(new Uint8Array(8))],
  key: context().idempotencyKey,
  image: fromImage.random,
}));

const who = task({ name: "who", maxRetries: 0, timeout: "1m" }, () => {
  const { runId, taskId, taskName, attempt, deadline, remainingFuel } = context();
  return { runId, taskId, taskName, attempt, deadline: deadline !== null && deadline.getTime() > Date.now(), fuel: remainingFuel() > 0 };
});

export const main = task({ name: "main" }, async () => {
  const draws = draw.map([undefined, undefined, undefined] as never[]);
  const distinct = (key: keyof (typeof draws)[0]) => new Set(draws.map((d) => JSON.stringify(d[key]))).size;
  return {
    left: [await left(1), await left(2)],
    right: right(),
    who: [who(), who()],
    me: context().runId,
    distinct: [distinct("random"), distinct("uuid"), distinct("bytes"), distinct("key"), distinct("image")],
    "clock goes on": Date.now() >= fromImage.time,
  };
});
