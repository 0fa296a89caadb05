/** Values across both boundaries. `inner`, `refusals` and `too_deep` return what isn't as it should be; `main` returns the outer forms. */
import { TaskError, task } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}
class Money {
  readonly cents = 5;
  toJSON(): unknown {
    return { cents: this.cents };
  }
}

const date = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));

/** What arrives as it was sent. */
const SAME: Record<string, unknown> = {
  nothing: null,
  yes: true,
  number: 1.5,
  tiny: 5e-324,
  large: Number.MAX_VALUE,
  integer: 2 ** 53 - 1,
  text: 'é\u{1F600}\0"\\\u2028',
  "looks like an escape": "\\ud800",
  "looks like a date": "2026-01-02T03:04:05.006Z",
  list: [[], {}, [null]],
  object: { a: { b: [1, "x", { c: null }] }, "": 1, "a b": 2, "1": 3 },
  bytes: new Uint8Array([0, 255]),
  "no bytes": new Uint8Array(),
  date,
  dollar: { $bytes: "not bytes" },
  dollars: { $$set: [1] },
  "more dollars": { $a: 1, $b: 2 },
  mixed: [new Uint8Array([1]), { $set: [date] }],
};

/** What arrives as something else. */
const CHANGED: Record<string, [sent: unknown, received: unknown]> = {
  undefined: [undefined, null],
  "undefined inside": [{ a: undefined, b: [undefined] }, { b: [null] }],
  "negative zero": [[-0], [0]],
  holes: [[, 1], [null, 1]],
  buffer: [new Uint8Array([1, 2]).buffer, new Uint8Array([1, 2])],
  numbers: [new Uint16Array([0x0201]), new Uint8Array([1, 2])],
  "part of a buffer": [new Uint8Array([9, 1, 2, 9]).subarray(1, 3), new Uint8Array([1, 2])],
  money: [[new Money()], [{ cents: 5 }]],
  "an URL": [new URL("http://a.b/c"), "http://a.b/c"],
  "no prototype": [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  proxy: [new Proxy({ a: [1] }, {}), { a: [1] }],
  boxed: [[Object(5), Object("s")], [5, "s"]],
};

const echo = task({ name: "echo", maxRetries: 0 }, (value: unknown) => value);
const echoLater = task({ name: "echo_later", maxRetries: 0 }, async (value: unknown) => value);
const kind = task({ name: "kind", maxRetries: 0 }, (value: unknown) => (value as object).constructor.name);
const entries = task({ name: "entries", maxRetries: 0 }, (value: Iterable<unknown>) => [...value]);
const count = task({ name: "count", maxRetries: 0 }, (...args: unknown[]) => args.length);
const defaults = task({ name: "defaults", maxRetries: 0 }, (a: unknown = "a", b: unknown = "b") => [a, b]);

export const inner = task({ name: "inner" }, async () => {
  const c = new Checks();
  for (const [name, value] of Object.entries(SAME)) {
    c.equal(name, echo(value), value);
    c.equal(`${name}, later`, await echoLater(value), value);
    if (value !== null) c.equal(`${name}, its kind`, kind(value), (value as object).constructor.name);
  }
  c.equal("all at once", echo(SAME), SAME);
  for (const [name, [sent, received]] of Object.entries(CHANGED)) c.equal(name, echo(sent), received);
  const set = echo(new Set<unknown>([1, "a", date])) as Set<unknown>;
  c.ok("a set", set instanceof Set && set.has(1) && set.has("a") && set.size === 3);
  c.equal("a set's order", entries(new Set([3, 1, 2])), [3, 1, 2]);
  const map = echo(new Map<unknown, unknown>([["a", 1], [2, new Uint8Array([3])]])) as Map<unknown, unknown>;
  c.ok("a map", map instanceof Map && map.get("a") === 1);
  c.equal("a map's values", map.get(2), new Uint8Array([3]));
  c.equal("undefined at the end", count(1, undefined, undefined), 1);
  c.equal("defaults", [defaults(), defaults(undefined), defaults(1, undefined), defaults(undefined, 2)], [["a", "b"], ["a", "b"], [1, "b"], [null, 2]]);
  const proto = echo(JSON.parse('{"__proto__":{"polluted":1},"constructor":2}')) as object;
  c.equal("a key named __proto__", Object.keys(proto), ["__proto__", "constructor"]);
  c.equal("it pollutes nothing", ({} as { polluted?: unknown }).polluted, undefined);
  const big = "x".repeat(5_000_000);
  c.equal("megabytes of text", (echo(big) as string).length, big.length);
  c.equal("megabytes of bytes", (echo(new Uint8Array(3_000_000)) as Uint8Array).length, 3_000_000);
  let asked = 0;
  c.equal("a getter", echo({ get a() { return ++asked; } }), { a: 1 });
  return c.failures;
});

function refused(call: () => unknown): [type: string, message: string] | unknown {
  try {
    return call();
  } catch (error) {
    return error instanceof TaskError ? [error.type, error.message] : String(error);
  }
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

const cycle: unknown[] = [];
cycle.push({ again: cycle });

/** What can't cross, and how messages go on after the path. */
const BAD: Record<string, [make: () => unknown, path: string, why: RegExp]> = {
  NaN: [() => ({ items: [1, { price: Number.NaN }] }), ".items[1].price", /^the number is NaN, which JSON doesn't have$/],
  Infinity: [() => [-Infinity], "[0]", /^the number is -Infinity/],
  BigInt: [() => [1n], "[0]", /^a BigInt/],
  function: [() => ({ f: () => 1 }), ".f", /^a function/],
  symbol: [() => [Symbol("s")], "[0]", /^a symbol/],
  class: [() => new Point(1), "", /^a Point object isn't a JSON value/],
  error: [() => [new Error("x")], "[0]", /^an Error object isn't a JSON value/],
  promise: [() => [Promise.resolve(1)], "[0]", /^a Promise object isn't a JSON value; await it$/],
  cycle: [() => cycle, "[0].again", /contains itself/],
  date: [() => ({ when: new Date(Number.NaN) }), ".when", /^an invalid Date$/],
  surrogate: [() => ["\ud800"], "[0]", /^text with a lone surrogate/],
  getter: [() => ({ get x() { throw new Error("boom"); } }), ".x", /^reading it threw Error: boom$/],
};

const give = task({ name: "give", maxRetries: 0 }, (name: string) => BAD[name]![0]());
const giveLater = task({ name: "give_later", maxRetries: 0 }, async (name: string) => [await BAD[name]![0]()][0]);
const giveDeep = task({ name: "give_deep", maxRetries: 0 }, (depth: number) => nested(depth));
const giveMuch = task({ name: "give_much", maxRetries: 0 }, (megabytes: number) => "x".repeat(megabytes * 1_000_000));

export const refusals = task({ name: "refusals" }, async () => {
  const c = new Checks();
  const check = (what: string, outcome: unknown, type: string, start: string, why: RegExp): void => {
    const [got, message] = Array.isArray(outcome) ? outcome : ["no error", String(outcome)];
    const fits = got === type && message.startsWith(`${start}: `) && why.test(message.slice(start.length + 2));
    c.ok(`${what}: ${got} ${String(message).slice(0, 300)}`, fits);
  };
  for (const [name, [make, path, why]] of Object.entries(BAD)) {
    check(`${name} out`, refused(() => give(name)), "bad_output", `result${path}`, why);
    const later = await giveLater(name).catch((error: TaskError) => [error.type, error.message]);
    check(`${name} out, later`, later, "bad_output", `result${path}`, why);
    check(`${name} in`, refused(() => echo(make())), "bad_input", `argument 1${path}`, why);
    check(`${name} in, second`, refused(() => count(0, make())), "bad_input", `argument 2${path}`, why);
  }
  c.equal("deep enough", JSON.stringify(giveDeep(150)), JSON.stringify(nested(150)));
  c.ok("too long", (refused(() => giveMuch(80)) as string[])[0] === "bad_output");
  return c.failures;
});

export const tooDeep = task({ name: "too_deep" }, () => {
  const c = new Checks();
  c.ok("out", (refused(() => giveDeep(100_000)) as string[])[0] === "bad_output");
  c.ok("in", (refused(() => echo(nested(100_000))) as string[])[0] === "bad_input");
  return c.failures;
});

/** The outer forms. */
export const main = task({ name: "main" }, () => ({
  ...SAME,
  set: new Set([3, 1, 2]),
  map: new Map<unknown, unknown>([["a", new Set([1])], [2, date]]),
  money: new Money(),
  left: undefined,
}));

/** Keyword arguments of the command line are one object, the last argument. */
export const named = task({ name: "named" }, (...args: unknown[]) => args);
