/** The workflow of workflow.py, in TypeScript. */
import { context, files, sleep, task } from "@capsule-run/sdk";

async function mark(): Promise<void> {
  const { idempotencyKey, taskName, attempt } = context();
  const path = `marks/${idempotencyKey.replace("/", "-")}`;
  const before = (await files.exists(path)) ? await files.readText(path) : "";
  await files.writeText(path, `${before}${taskName} ${attempt}\n`);
}

const step = task({ name: "step", allowedFiles: ["./marks"] }, async (n: number, token: string) => {
  await mark();
  return n + token.length;
});

const flaky = task({ name: "flaky", allowedFiles: ["./marks"], maxRetries: 2 }, async (n: number) => {
  await mark();
  if (context().attempt < 2) throw new Error("not yet");
  return n;
});

async function post(url: string, n: number): Promise<number> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify({ n }) });
  return ((await response.json()) as { n: number }).n;
}

const request = task({ name: "request" }, (url: string, n: number) => post(`${url}/${context().idempotencyKey}`, n));

const nested = task({ name: "nested" }, async (n: number, token: string) => {
  const values = await Promise.all([0, 1, 2, 3].map((i) => step(n + i, token)));
  return sum(values) + (await step(n, token));
});

const pure = task({ name: "pure" }, (n: number) => n * n);

const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
const range = (n: number): number[] => [...Array(n).keys()];

export const main = task({ name: "main", allowedFiles: ["./marks"] }, async (url: string) => {
  const began = Date.now();
  const ticks = performance.now();
  const token = crypto.randomUUID().slice(0, 16);
  const folder = (await files.list("marks")).length;
  const names = [crypto.randomUUID() as string];
  let total = 0;
  for (const n of range(40)) total += await step(n, token);
  total += sum(await Promise.all(range(30).map((n) => step(n, token))));
  for (const n of range(5)) {
    total += await nested(n, token);
    names.push(crypto.randomUUID());
    await sleep(0.002);
  }
  total += sum(await Promise.all(range(10).map((n) => flaky(n))));
  for (const n of range(20)) total += await request(url, n);
  for (const n of range(5)) total += await post(`${url}/main-${n}`, n);
  total += sum(await Promise.all(range(20).map((n) => request(url, n))));
  total += sum(await Promise.all(range(40).map(async (n) => pure(n))));
  for (const n of range(10)) total += await step(n, names[n % names.length]!);
  if (new Set(names).size !== names.length || performance.now() < ticks || folder !== 0) throw new Error("not the same");
  return { total, later: Date.now() >= began };
});
