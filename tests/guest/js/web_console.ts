/**
 * console: what each call prints is in web_console.out and web_console.err. Node 20 wrote them for the same calls, but for the two lines
 * where later versions of Node differ (properties of buffers, and keys that are symbols), and but for the last, which is the result.
 */
import { task } from "@capsule-run/sdk";

function values(): void {
  console.log();
  console.log("text", "more", 1, -0, 1.5, NaN, 10n, true, null, undefined, Symbol("s"));
  console.log(["text", 'quo"te', "it's", "a\nb"], "a\nb");
  console.log({
    a: 1,
    "b-c": { d: [1, 2, { e: { f: { g: 1 } } }] },
    f() {},
    g: () => {},
    h: class A {},
    i: class extends Array {},
  });
  console.log([], {}, [[]], [{}], [undefined, null], [, 1, , ,]);
  console.log(
    [1.5, "x", true],
    new Array(3),
    Array.from({ length: 120 }, (_, i) => i),
  );
  console.log(Array.from({ length: 30 }, (_, i) => `item number ${i}`));
  console.log("x".repeat(200), ["y".repeat(100), "z".repeat(100)]);
}

function instances(): void {
  console.log(
    new Map<unknown, unknown>([
      ["a", 1],
      [{ b: 2 }, [3]],
    ]),
    new Set([1, "x", { y: 1 }]),
    new Map(),
    new Set(),
  );
  console.log(new Date(0), [new Date(86400000)], new Date(NaN), /re[g]x/gi, [/a/]);
  console.log(
    new Uint8Array([1, 2, 3]),
    new Float64Array(2),
    new Uint8Array(2).buffer,
    new DataView(new ArrayBuffer(2)),
  );
  console.log(Object(1), Object("text"), Object(true), Object(Symbol("o")), Object(2n));
  console.log(
    new WeakMap(),
    new WeakSet(),
    new (class Point {
      x = 1;
      y = 2;
    })(),
    Object.create(null),
    Object.create({}),
  );
  console.log(Promise.resolve(4), Promise.resolve({ a: [1] }), new Promise(() => {}));
  console.log(
    function named() {},
    () => {},
    async () => {},
    function* gen() {},
    async function* agen() {},
    class B {},
    class C extends Map {},
    Math.max,
  );
}

function shapes(): void {
  console.log({
    get a() {
      return 1;
    },
    set b(x: number) {},
    get c() {
      return 2;
    },
    set c(x: number) {},
  });
  console.log({ [Symbol("key")]: 1, "with space": 2, 3: 4, "\u00e4": 5 });
  const cycle: any = { name: "cycle", list: [] };
  cycle.self = cycle;
  cycle.list.push(cycle, { cycle });
  console.log(cycle);
  console.log({ a: { b: { c: { d: 1 } } } }, [[[[1]]]], { a: { b: { c: {} } } });
  console.log({
    longer: "a value that takes room",
    another: "one that takes room too",
    third: "and this makes it too long",
  });
  console.log(
    [
      ["a", 1],
      ["b", 2],
    ],
    {
      a: [
        { b: 1, c: 2 },
        { b: 3, c: 4 },
      ],
    },
  );
  console.log(globalThis === self, Math, JSON, Reflect === undefined);
  console.log([1, 2, 3].entries(), new Error("shown elsewhere") instanceof Error, [,].length);
}

function formats(): void {
  console.log("%s and %s", "one", 2, "three");
  console.log("%s %s %s %s %s", "text", 1.5, -0, 10n, Symbol("s"), { a: 1 });
  console.log("%s", { a: { b: { c: 1 } } }, "%s", null, undefined, () => {}, class A {});
  console.log("%d %d %d %d %d", 42, "42", "x", 1.5, 10n, {});
  console.log("%i %i %i %i", 42.9, "42.9px", "x", 10n);
  console.log("%f %f %f", 1.5, "1.5px", "x");
  console.log("%j %j %j", { a: [1] }, "text", 5);
  console.log("%o", { a: [1, 2], f: 1 });
  console.log("%O", { a: { b: { c: { d: 1 } } } });
  console.log("%c styled %c", "color: red", "", "rest");
  console.log("100%", "%%", "%% %s", "x");
  console.log("%% %s %x %", "x", "y");
  console.log("%s");
  console.log("a", "%s", "b");
  console.log(5, "%s", "b");
  console.log("%s", "a", { b: 1 }, ["c"]);
  console.info("info %d", 1);
  console.debug("debug %d", 2);
  console.warn("warn %d", 3);
  console.error("error %d", 4, { a: 1 });
}

function groups(): void {
  console.group("first");
  console.log("inside\nof it");
  console.group();
  console.warn("deeper");
  console.log({ a: 1, b: "text that is long enough", c: "to be broken into lines", d: "of its own" });
  console.groupEnd();
  console.groupCollapsed("collapsed %d", 1);
  console.error("a\nb");
  console.groupEnd();
  console.groupEnd();
  console.groupEnd();
  console.log("outside");
}

function tables(): void {
  console.table([
    { a: 1, b: "x" },
    { a: 2, c: true },
  ]);
  console.table([
    [1, 2],
    [3, 4, 5],
  ]);
  console.table([1, "two", { three: 3 }]);
  console.table({ x: { a: 1 }, y: { a: 2 } });
  console.table(
    new Map<unknown, unknown>([
      ["k", 1],
      ["l", { m: 2 }],
    ]),
  );
  console.table(new Set([1, "b"]));
  console.table(
    [
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ],
    ["b"],
  );
  console.table([{ a: { deep: 1 }, b: [1, 2, 3, 4, 5], c: { a: 1, b: 2, c: 3 } }]);
  console.table([]);
  console.table("text");
  console.table(null);
  console.table([
    ["\u00e4\u00f6", "\u4f60\u597d"],
    ["x", "y"],
  ]);
}

/** Errors whose stacks are as if on one machine: real ones have each engine's own. */
function errors(): void {
  const stacked = <T extends Error>(error: T, ...frames: string[]): T => {
    error.stack = [`${error.name}: ${error.message}`, ...frames.map((frame) => `    at ${frame}`)].join("\n");
    return error;
  };
  const plain = stacked(new Error("plain"), "one (a.ts:1:2)", "two (b.ts:3:4)");
  console.log(plain);
  console.error([plain], { plain });
  console.log(stacked(new TypeError("no frames")), [stacked(new RangeError(""))]);
  console.log(Object.assign(stacked(new Error("more"), "f (a.ts:1:2)"), { code: "E_CODE", info: { a: [1] } }));
  console.log(
    stacked(new Error("outer", { cause: plain }), "g (c.ts:5:6)"),
    stacked(new Error("odd", { cause: "text" })),
  );
  console.log(stacked(new AggregateError([plain, 1], "several"), "h (d.ts:7:8)"));
  class Mine extends Error {
    override name = "Mine";
  }
  console.log(stacked(new Mine("of a class"), "i (e.ts:9:1)"), "%s", plain.message);
  console.log("%s|%d|%o", plain.message, plain, "x");
  console.log("two\nlines", stacked(new Error("two\nlines"), "j (f.ts:1:1)"));
}

function others(): void {
  console.dir({ a: { b: { c: { d: 1 } } } });
  console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 });
  console.dirxml("x", { y: 1 });
  console.assert(true, "not shown");
  console.assert(false);
  console.assert(false, "why %s", "not");
  console.assert(0, "with", { a: 1 }, 2);
  console.count();
  console.count();
  console.count("label");
  console.count(undefined);
  console.countReset();
  console.count();
  const { log } = console;
  log("without this");
}

function platform(): void {
  console.log(new URLSearchParams("a=1&b=x y"), new URL("https://user:pw@h:81/p?q=1#f"));
  console.log(new Headers({ "X-A": "1", b: "2" }), new Headers());
  console.log(new Blob(["abc"], { type: "a/b" }));
  console.log(new AbortController(), AbortSignal.abort("x"));
  console.log({ nested: { headers: new Headers({ a: "b" }), url: new URLSearchParams("c=d") } });
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  values();
  instances();
  shapes();
  formats();
  groups();
  tables();
  errors();
  others();
  platform();
  return "the result";
});
