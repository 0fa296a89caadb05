/** What the types promise; checked by tsc alone. A line that has to be wrong is under @ts-expect-error. */
import { type Context, context, env, type Handle, type JsonLike, SignalTimeout, sleep, type Task, TaskError, task, waitSignal } from "@capsule-run/sdk";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<A, B>(_proof: Equal<A, B>): void {}

// --- a plain function

const greet = task({ name: "greet" }, (name: string, times = 1) => ({ text: name.repeat(times) }));
is<ReturnType<typeof greet>, { text: string }>(true);
const parameters: [string, number?] = [...([] as unknown as Parameters<typeof greet>)];
void parameters;
greet("a", 2).text.at(0);
greet("a").text;
// @ts-expect-error
greet(5);
// @ts-expect-error
greet();
// @ts-expect-error
greet("a", 1, 2);

const greeting = greet.start("a");
is<typeof greeting, Handle<{ text: string }>>(true);
is<ReturnType<typeof greeting.result>, { text: string }>(true);
is<Awaited<typeof greeting>, { text: string }>(true);
// @ts-expect-error
greet.start(1);

const greetings = greet.map(["a", "b"]);
is<typeof greetings, { text: string }[]>(true);
greet.map(new Set(["a"]), { concurrency: 5 });
const settled = greet.map(["a"], { returnErrors: true });
is<typeof settled, ({ text: string } | TaskError)[]>(true);
// @ts-expect-error
greet.map([1]);
// @ts-expect-error
greet.map(["a"], { concurency: 5 });
const pairs = greet.starmap([["a", 2], ["b"]]);
is<typeof pairs, { text: string }[]>(true);
// @ts-expect-error
greet.starmap([[1]]);

// --- an async one

const fetched = task({ name: "fetched", timeout: "30s" }, async (id: number): Promise<string[]> => [String(id)]);
is<ReturnType<typeof fetched>, Promise<string[]>>(true);
const lists = fetched.map([1, 2]);
is<typeof lists, Promise<string[][]>>(true);
is<Awaited<ReturnType<typeof fetched.start>>, string[]>(true);
is<ReturnType<ReturnType<typeof fetched.start>["result"]>, string[]>(true);
const maybe = fetched.map([1], { returnErrors: true });
is<typeof maybe, Promise<(string[] | TaskError)[]>>(true);

async function together(): Promise<void> {
  const [a, b, c] = await Promise.all([fetched(1), greet.start("x"), greet.start("x").then((g) => g.text.length)]);
  is<typeof a, string[]>(true);
  is<typeof b, { text: string }>(true);
  is<typeof c, number>(true);
  const caught = await greet.start("x").catch(() => null);
  is<typeof caught, { text: string } | null>(true);
}
void together;

// --- generics survive

const identity = task({ name: "identity" }, <T>(value: T): T => value);
is<ReturnType<typeof identity<number>>, number>(true);
const five = identity(5 as const);
is<typeof five, 5>(true);
const later = task({ name: "later" }, async <T>(value: T): Promise<T[]> => [value]);
const listed = later("x" as const);
is<typeof listed, Promise<"x"[]>>(true);

function generic<T>(run: (value: T) => Promise<T>, value: T): void {
  const one = task({ name: "one" }, run);
  const promised: Promise<T> = one(value);
  const started: Handle<Awaited<T>> = one.start(value);
  void [promised, started];
}
void generic;

// --- what can't be mapped

const two = task({ name: "two" }, (a: number, b: number) => a + b);
// @ts-expect-error: needs two arguments
two.map([1]);
two.starmap([[1, 2]]);
const none = task({ name: "none" }, () => 1);
// @ts-expect-error: takes no argument
none.map([1]);
const rest = task({ name: "rest" }, (...all: number[]) => all.length);
rest.map([1, 2]);

// --- handlers without annotations, `any`, and those that never return

const loose = task({ name: "loose" }, (text: string) => JSON.parse(text));
loose.map(["1"])[0];
const fails = task({ name: "fails" }, (): never => {
  throw new Error();
});
const nothing = fails.start();
is<typeof nothing, Handle<never>>(true);
const promising = task({ name: "promising" }, (n: number) => Promise.resolve(n));
const promised = promising.map([1]);
is<typeof promised, Promise<number[]>>(true);

// --- options

const done = () => 1;
task({ name: "a", compute: "LOW", ram: "64MB", timeout: "1.5m", maxRetries: 0, allowedHosts: [], envVariables: ["A"] }, done);
task({ name: "a", compute: "1000000", ram: 64_000_000, allowedFiles: ["./a", { path: "b", mode: "ro" }] }, done);
const text: string = "64MB";
task({ name: "a", ram: text, timeout: text, compute: text }, done);
// @ts-expect-error
task({}, done);
// @ts-expect-error
task({ name: "a", max_retries: 1 }, done);
// @ts-expect-error
task({ name: "a", maxRetries: "1" }, done);
// @ts-expect-error
task({ name: "a", allowedFiles: [{ path: "b", mode: "wr" }] }, done);
// @ts-expect-error
task({ name: "a" });
// @ts-expect-error
task({ name: "a" }, 5);

// --- the rest

const any: Task = greet;
void any;
const now: Context = context();
is<typeof now.deadline, Date | null>(true);
const fuel: number = now.remainingFuel();
void fuel;
// @ts-expect-error
now.attempt = 2;
// @ts-expect-error
env["A"] = "b";
const values: JsonLike = [1, { a: [null, new Uint8Array(1), new Date(), new Set(["a"]), undefined] }];
void values;
// @ts-expect-error
const wrong: JsonLike = [() => 1];
void wrong;
function told(error: unknown): string | undefined {
  return error instanceof TaskError && error.type === "timeout" ? error.execution.taskName : undefined;
}
void told;

// --- waiting

async function waiting(): Promise<void> {
  const { signal } = new AbortController();
  is<ReturnType<typeof sleep>, Promise<void>>(true);
  const hours: string = `${2 + 3}h`;
  await Promise.all([sleep("7d"), sleep(250), sleep(new Date()), sleep(hours), sleep("1s", { signal })]);
  const answer = await waitSignal<{ ok: boolean }>("approval", { timeout: "3d", signal });
  is<typeof answer, { ok: boolean }>(true);
  const anything = await waitSignal("approval");
  is<typeof anything, unknown>(true);
  const late: string = new SignalTimeout("approval").signalName;
  void late;
  // @ts-expect-error
  await sleep();
  // @ts-expect-error
  await sleep({ hours: 5 });
  // @ts-expect-error
  await waitSignal("approval", "3d");
  // @ts-expect-error
  await waitSignal("approval", { timout: "3d" });
  // @ts-expect-error
  await waitSignal("approval", { timeout: new Date() });
}
void waiting;
task({ name: "charge", idempotent: false }, () => 1);
// @ts-expect-error
task({ name: "charge", idempotent: "no" }, () => 1);
const kind: TaskError["type"] = Math.random() < 0.5 ? "interrupted" : "diverged";
void kind;
