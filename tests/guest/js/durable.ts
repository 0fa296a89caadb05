/** durable.py in TypeScript, for tests that kill a run and go on with it (tests/cli/test_durable.py). */
import { context, env, files, TaskError, task } from "@capsule-run/sdk";

const DATA = "data";

async function post(url: string, value: unknown = null, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: "POST", body: JSON.stringify(value), headers });
}

/** A step that shows outside: once, or there's a bug. */
const tell = task({ name: "tell", maxRetries: 0 }, async (url: string, name: string, value: unknown = 0) => {
  return (await (await post(`${url}/tell/${name}`, value)).json()) as unknown;
});

/** A step in which the test kills the run. */
const hold = task({ name: "hold", maxRetries: 0 }, async (url: string, name: string) => {
  return (await post(`${url}/hold/${name}`)).text();
});

export const steps = task({ name: "steps", maxRetries: 0 }, async (url: string) => {
  const first = [await tell(url, "a", 1), await tell(url, "b", [2])];
  const held = await hold(url, "here");
  return [...first, held, await tell(url, "c", 3)];
});

// --- what a task gets from outside

async function failure(call: () => Promise<unknown>): Promise<unknown> {
  return call().catch((error: Error) => [error.name, error.message]);
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

async function sensed() {
  return {
    wall: [Date.now(), new Date().toISOString()],
    ticks: [performance.now()],
    random: [Math.random(), Math.random()],
    system: [hex(crypto.getRandomValues(new Uint8Array(16))), crypto.randomUUID()],
    environment: [env.WORD, "LATER" in env],
    file: await files.readText(`${DATA}/file.txt`),
    large: (await files.readText(`${DATA}/large.txt`)).length,
    gone: await files.readText(`${DATA}/gone.txt`),
    list: await files.list(DATA),
    exists: await Promise.all(["file.txt", "new.txt", "gone.txt"].map((name) => files.exists(`${DATA}/${name}`))),
    error: await failure(() => files.readText(`${DATA}/new.txt`)),
    refused: await failure(() => files.readText("/etc/passwd")),
  };
}

export const senses = task(
  { name: "senses", maxRetries: 0, allowedFiles: ["./data"], envVariables: ["WORD", "LATER"] },
  async (url: string) => {
    const before = await sensed();
    await tell(url, "before", before);
    const between = [Date.now(), Math.random(), crypto.randomUUID()];
    await tell(url, "between", between);
    await hold(url, "here");
    const after = [Date.now() >= (before.wall[0] as number), performance.now() >= before.ticks[0]!];
    return [before, between, after, Math.random() !== between[1], await files.readText(`${DATA}/file.txt`)];
  },
);

// --- order

const nap = task({ name: "nap", maxRetries: 0 }, async (n: number) => {
  await new Promise((resolve) => setTimeout(resolve, n));
  return n;
});

export const order = task({ name: "order", maxRetries: 0 }, async (url: string) => {
  const seen: unknown[] = [];
  await Promise.all(
    [...Array(24).keys()].map(async (i) => {
      seen.push(await nap.start((i * 37) % 23));
    }),
  );
  const three = [500, 3, 2].map((n) => nap.start(n));
  seen.push(await Promise.race(three));
  for (const one of three) one.cancel();
  seen.push((await Promise.allSettled(three)).map((outcome) => outcome.status));
  const slow = nap.start(60_000);
  const late = new Promise((resolve) => setTimeout(() => resolve("timeout"), 10));
  seen.push(await Promise.race([slow, late]));
  slow.cancel();
  seen.push(await slow.catch((error: TaskError) => error.type));
  const later = hold.start(url, "late");
  const never = nap.start(60_000);
  await tell(url, "order", seen);
  await Promise.all([nap(1), hold(url, "here"), post(`${url}/hold/own`)]);
  never.cancel();
  seen.push(await never.catch((error: TaskError) => error.type));
  seen.push(await later);
  return [seen, await nap.map([3, 2, 1])];
});

const nest = task({ name: "nest", maxRetries: 0 }, async (url: string, depth: number): Promise<unknown[]> => {
  const key = context().idempotencyKey;
  if (depth === 0) {
    await hold(url, "here");
    return [key];
  }
  const down = await tell(url, `down-${depth}`, key);
  const below = (await nestAgain(url, depth - 1)) as unknown[];
  return [down, ...below, await tell(url, `up-${depth}`, key)];
});
const nestAgain = (url: string, depth: number): PromiseLike<unknown[]> => nest(url, depth);
export { nest };

// --- failures

class Special extends Error {}
Special.prototype.name = "Special";

const fails = task({ name: "fails", maxRetries: 1 }, async (how: string): Promise<unknown> => {
  if (how === "special") throw new Special("bad\n\x00 é");
  if (how === "exits") throw 42;
  if (how === "policy") await fetch("http://127.0.0.1:1/");
  if (how === "output") return { a: 1n };
  if (how === "memory") return Array(10 ** 8).fill(how).length;
  return how;
});

const HOWS = ["special", "exits", "policy", "output", "memory", "fine"];

export const errors = task({ name: "errors", maxRetries: 0 }, async (url: string) => {
  const outcomes: unknown[] = [];
  for (const how of HOWS) {
    try {
      outcomes.push(await fails(how));
    } catch (error) {
      if (!(error instanceof TaskError)) throw error;
      const { type, className = null, message, execution } = error;
      outcomes.push([type, className, message, execution.retries, execution.durationMs]);
    }
  }
  await tell(url, "errors", outcomes);
  await hold(url, "here");
  return outcomes;
});

const flaky = task({ name: "flaky", maxRetries: 5 }, async (url: string) => {
  const { attempt, idempotencyKey } = context();
  await post(`${url}/tell/attempt`, [attempt, idempotencyKey]);
  if (attempt < 3) throw new Error("not yet");
  if (attempt === 3) {
    await post(`${url}/hold/here`);
    throw new Error("nor now");
  }
  return [attempt, idempotencyKey];
});

export const retries = task({ name: "retries", maxRetries: 0 }, async (url: string) => {
  return [await flaky(url), context().idempotencyKey, context().attempt];
});

const limited = task({ name: "limited", maxRetries: 2 }, async (url: string) => {
  await post(`${url}/hold/attempt-${context().attempt}`);
  throw new Error(`attempt ${context().attempt}`);
});

export const limits = task({ name: "limits", maxRetries: 0 }, async (url: string) => {
  return limited.start(url).catch((error: TaskError) => [error.message, error.execution.retries]);
});

const charge = task({ name: "charge", idempotent: false, maxRetries: 3 }, async (url: string, name: string) => {
  await post(`${url}/tell/charge-${name}`);
  return (await post(`${url}/hold/${name}`)).text();
});

export const charges = task({ name: "charges", maxRetries: 0 }, async (url: string) => {
  const first = await charge(url, "open");
  try {
    await charge(url, "here");
  } catch (error) {
    if (error instanceof TaskError) return [first, error.type, error.message, await charge(url, "open")];
  }
  return "it wasn't interrupted";
});

const parentOfCharge = task({ name: "parent_of_charge", maxRetries: 0 }, (url: string, name: string) =>
  charge(url, name),
);

export const deepCharges = task({ name: "deep_charges", maxRetries: 0 }, async (url: string) => {
  return parentOfCharge(url, "here").catch((error: TaskError) => [error.type, error.className ?? null]);
});

export const onlyOnce = task({ name: "only_once", idempotent: false, maxRetries: 0 }, (url: string) =>
  hold(url, "here"),
);

// --- output

const says = task({ name: "says", maxRetries: 0 }, (n: number) => {
  console.log("child", n);
  console.error("child err", n);
});

export const speaks = task({ name: "speaks", maxRetries: 0 }, async (url: string) => {
  console.log("one");
  console.error("err one");
  says(1);
  console.log("no end of line");
  await tell(url, "spoken");
  await hold(url, "here");
  console.log(", two");
  console.error("err two");
  says(2);
  return "done";
});

// --- HTTP

async function responseOf(call: () => Promise<Response>): Promise<unknown> {
  try {
    const r = await call();
    const bytes = new Uint8Array(await r.arrayBuffer());
    return [r.status, r.url, bytes.length, hex(bytes.slice(0, 64)), bytes.reduce((a, b) => a + b, 0), r.redirected];
  } catch (error) {
    const { name, message, cause } = error as TypeError & { cause?: { kind?: string } };
    return [name, message, cause?.kind ?? null];
  }
}

export const asks = task({ name: "asks", maxRetries: 0, compute: "HIGH" }, async (url: string) => {
  const seen = [
    await responseOf(() => fetch(`${url}/bytes?n=5000000`)),
    await responseOf(() => fetch(`${url}/status/404`)),
    await responseOf(() => fetch(`${url}/status/500`)),
    await responseOf(() => fetch(`${url}/redirect/302?to=/text%3Fhex%3D616263`)),
    await responseOf(() => post(`${url}/tell/json`, { é: [1, null] })),
    await responseOf(() => fetch(`${url}/empty`)),
    await responseOf(() => fetch(`${url}/gzip`)),
    await responseOf(() => fetch("http://169.254.169.254/")),
    await responseOf(() => fetch("nothing://")),
    await responseOf(() => fetch(`${url}/later?ms=5000`, { signal: AbortSignal.timeout(50) })),
    await responseOf(() => fetch(`${url}/short`)),
    await responseOf(() => fetch("http://127.0.0.1:1/")),
  ];
  await tell(url, "seen", seen);
  return [seen, await responseOf(() => post(`${url}/hold/here`))];
});

export const streams = task({ name: "streams", maxRetries: 0 }, async (url: string) => {
  const reader = (await fetch(`${url}/slow`)).body!.getReader();
  const first = new TextDecoder().decode((await reader.read()).value?.slice(0, 1));
  await hold(url, "here");
  try {
    while (!(await reader.read()).done);
    return "it ended";
  } catch (error) {
    const { cause } = error as TypeError & { cause?: { kind?: string } };
    return [first, cause?.kind ?? String(error)];
  }
});

export const secret = task({ name: "secret", maxRetries: 0, envVariables: ["KEY"] }, async (url: string) => {
  const token = env.KEY;
  await post(`${url}/tell/first`, null, { Authorization: `Bearer ${token}` });
  await hold(url, "here");
  await post(`${url}/tell/second`, null, { Authorization: `Bearer ${token}` });
  return token === env.KEY;
});

// --- forks

const identified = task({ name: "identified", maxRetries: 0 }, async (url: string, name: string, run: string) => {
  await tell(url, name, [run, context().runId]);
  return [run === context().runId, context().runId];
});

export const forked = task({ name: "forked", maxRetries: 0 }, async (url: string) => {
  const run = context().runId;
  return [
    run,
    await identified(url, "one", run),
    await identified(url, "two", run),
    await identified(url, "three", run),
  ];
});
