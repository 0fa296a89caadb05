/** structuredClone: the facts of web-platform-tests' html/webappapis/structured-clone/. */
import { task } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

function primitives(c: Checks): void {
  for (const value of [undefined, null, true, false, 0, -0, 1.5, NaN, Infinity, "", "\ud800x", 123n])
    c.equal(`clone of ${String(value)}`, structuredClone(value), value);
  for (const value of [true, 5, "text", 7n]) {
    const copy: any = structuredClone(Object(value));
    c.equal(`an object of ${value}`, [typeof copy, copy.valueOf()], ["object", value]);
  }
}

function builtIns(c: Checks): void {
  const date = structuredClone(new Date(5));
  c.ok("Date", date instanceof Date && date.getTime() === 5);
  c.ok("an invalid Date", Number.isNaN(structuredClone(new Date(NaN)).getTime()));
  const sticky = /a\/(?<x>b)/giy;
  sticky.lastIndex = 3;
  const expression = structuredClone(sticky);
  c.equal("RegExp", [expression.source, expression.flags, expression.lastIndex], ["a\\/(?<x>b)", "giy", 0]);
  const key = { key: 1 };
  const map = structuredClone(
    new Map<unknown, unknown>([
      [key, [key]],
      ["a", new Map([[1, 2]])],
    ]),
  );
  const [[copiedKey, list]] = [...map] as any;
  c.ok("Map", map.size === 2 && list[0] === copiedKey && copiedKey !== key && (map.get("a") as any).get(1) === 2);
  const set = structuredClone(new Set([1, "x", key]));
  c.ok("Set", set.size === 3 && set.has("x") && !set.has(key));
  class Special extends Map<number, number> {}
  c.ok("a subclass becomes its base", structuredClone(new Special()).constructor === Map);
}

function objects(c: Checks): void {
  const sparse = [1, , 3] as unknown[];
  (sparse as any).extra = "e";
  const copy: any = structuredClone(sparse);
  c.equal("a sparse array", [copy.length, 1 in copy, copy.extra, Array.isArray(copy)], [3, false, "e", true]);
  class Point {
    x: number;
    constructor(x: number) {
      this.x = x;
    }
    get double() {
      return this.x * 2;
    }
  }
  const point: any = structuredClone(new Point(2));
  c.equal(
    "a class becomes a plain object",
    [Object.getPrototypeOf(point) === Object.prototype, point.x, "double" in point],
    [true, 2, false],
  );
  const odd = Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true }, hidden: { value: 3 } });
  odd[Symbol("s")] = 4;
  c.equal("own enumerable ones", structuredClone(odd), { own: 2 });
  const withGetter = structuredClone({
    get a() {
      return 7;
    },
  });
  c.equal("a getter becomes a value", Object.getOwnPropertyDescriptor(withGetter, "a")?.value, 7);
  const proto = structuredClone(JSON.parse('{"__proto__": {"a": 1}}'));
  c.equal(
    "__proto__",
    [Object.hasOwn(proto, "__proto__"), Object.getPrototypeOf(proto) === Object.prototype],
    [true, true],
  );
  const cycle: any = { list: [] };
  cycle.self = cycle;
  cycle.list.push(cycle, cycle.list);
  const copied: any = structuredClone(cycle);
  c.ok(
    "cycles",
    copied !== cycle && copied.self === copied && copied.list[0] === copied && copied.list[1] === copied.list,
  );
  const shared = { a: 1 };
  const twice = structuredClone([shared, shared]);
  c.ok("once for each object", twice[0] === twice[1]);
  c.equal("no prototype", structuredClone(Object.assign(Object.create(null), { a: 1 })), { a: 1 });
  c.equal(
    "arguments",
    structuredClone(
      (function () {
        return arguments;
      })() as any,
    ).length,
    undefined,
  );
}

function errors(c: Checks): void {
  for (const Kind of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    const error = new Kind("message");
    (error as any).extra = 1;
    const copy: any = structuredClone(error);
    c.equal(
      Kind.name,
      [copy.constructor === Kind, copy.message, copy.name, copy.extra, typeof copy.stack],
      [true, "message", Kind.name, undefined, "string"],
    );
  }
  class Mine extends Error {
    override name = "Mine";
  }
  const mine = structuredClone(new Mine("m"));
  c.equal(
    "a subclass",
    [Object.getPrototypeOf(mine) === Error.prototype, mine.name, mine.message],
    [true, "Error", "m"],
  );
  c.equal("no message", Object.hasOwn(structuredClone(new Error()), "message"), false);
  const dom = structuredClone(new DOMException("m", "AbortError"));
  c.equal(
    "DOMException",
    [dom instanceof DOMException, dom.name, dom.message, dom.code],
    [true, "AbortError", "m", 20],
  );
}

function buffers(c: Checks): void {
  const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
  const views = structuredClone([
    new Uint8Array(buffer, 1, 2),
    new Uint16Array(buffer, 2, 1),
    new DataView(buffer, 3, 4),
    buffer,
    new Float64Array(buffer),
  ]) as any[];
  c.equal(
    "views",
    [[...views[0]], views[1].length, views[2].byteLength, views[2].getUint8(0), views[3].byteLength, views[4].length],
    [[2, 3], 1, 4, 4, 8, 1],
  );
  c.ok("share one copy", views[0].buffer === views[3] && views[2].buffer === views[3] && views[3] !== buffer);
  for (const Kind of [
    Int8Array,
    Uint8ClampedArray,
    Int16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    BigInt64Array,
    BigUint64Array,
  ])
    c.ok(Kind.name, structuredClone(new (Kind as any)(2)) instanceof (Kind as any));
  const moved = new Uint8Array([1, 2, 3]);
  const { a, b } = structuredClone({ a: moved, b: moved.buffer }, { transfer: [moved.buffer] });
  c.equal("transfer", [[...a], a.buffer === b, moved.length, moved.buffer.detached], [[1, 2, 3], true, 0, true]);
  c.throws("what's detached", "DataCloneError", () => structuredClone(moved.buffer));
  c.throws("transfer of what's detached", "DataCloneError", () => structuredClone(1, { transfer: [moved.buffer] }));
  const twice = new ArrayBuffer(1);
  c.throws("transfer twice", "DataCloneError", () => structuredClone(1, { transfer: [twice, twice] }));
  c.throws("transfer of others", "DataCloneError", () => structuredClone(1, { transfer: [{}] as any }));
  const kept = new ArrayBuffer(4);
  c.throws("a failure", "DataCloneError", () => structuredClone([kept, () => {}], { transfer: [kept] }));
  c.equal("detaches nothing", kept.detached, false);
  structuredClone(1, { transfer: [kept] });
  c.equal("transferred though not in it", kept.detached, true);
  const growing = new ArrayBuffer(2, { maxByteLength: 8 });
  const tracking = new Uint8Array(growing);
  const copy = structuredClone({ growing, tracking });
  copy.growing.resize(4);
  c.equal("resizable", [copy.growing.maxByteLength, copy.tracking.length, growing.byteLength], [8, 4, 2]);
}

async function platform(c: Checks): Promise<void> {
  const blob = structuredClone({ blob: new Blob(["x"], { type: "a/b" }) }).blob;
  c.equal("Blob", [blob instanceof Blob, blob.type, await blob.text()], [true, "a/b", "x"]);
  const file = structuredClone(new File(["y"], "n", { lastModified: 3 }));
  c.equal("File", [file instanceof File, file.name, file.lastModified, await file.text()], [true, "n", 3, "y"]);
  const refused: Record<string, unknown> = {
    function: () => {},
    class: class {},
    symbol: Symbol("s"),
    "symbol object": Object(Symbol("s")),
    "in an array": [[() => {}]],
    "in a Map": new Map([[1, Symbol()]]),
    WeakMap: new WeakMap(),
    WeakSet: new WeakSet(),
    WeakRef: new WeakRef({}),
    Promise: Promise.resolve(),
    Headers: new Headers(),
    Response: new Response(),
    URL: new URL("http://h"),
    EventTarget: new EventTarget(),
    AbortSignal: AbortSignal.abort(),
    ReadableStream: new ReadableStream(),
    FormData: new FormData(),
    Proxy: new Proxy({}, {}),
    generator: (function* () {})(),
  };
  for (const [name, value] of Object.entries(refused)) c.throws(name, "DataCloneError", () => structuredClone(value));
  c.equal(
    "code",
    (() => {
      try {
        structuredClone(() => {});
      } catch (error) {
        return (error as DOMException).code;
      }
      return 0;
    })(),
    25,
  );
  c.throws("nothing", TypeError, () => (structuredClone as any)());
  const boom = new Error("boom");
  await c.rejectsWith(
    "a getter's error",
    boom,
    (async () =>
      structuredClone({
        get a(): never {
          throw boom;
        },
      }))(),
  );
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ primitives, builtIns, objects, errors, buffers, platform }))
    await c.block(name, () => run(c));
  return c.failures;
});
