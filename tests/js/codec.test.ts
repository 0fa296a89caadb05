/** How values cross: docs/reference/values.md as tables. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CodecError, decode, encode, encodeSimple } from "../../sdk/js/src/codec.js";

const inner = (value: unknown) => encode(value, "result", false);
const outer = (value: unknown) => encode(value, "result", true);
const date = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
const ISO = "2026-01-02T03:04:05.006Z";

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
}
class Money {
  constructor(readonly cents: number) {}
  toJSON() {
    return { cents: this.cents };
  }
}

function nested(depth: number, leaf: unknown): unknown {
  let value = leaf;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

const own = (key: string, value: unknown): object =>
  Object.defineProperty({}, key, { value, enumerable: true, configurable: true, writable: true });

describe("plain JSON", () => {
  const PLAIN: [unknown, string][] = [
    [null, "null"],
    [undefined, "null"],
    [true, "true"],
    [1.5, "1.5"],
    [-0, "0"],
    [2 ** 60, "1152921504606847000"],
    [1e300, "1e+300"],
    ['é\u{1F600}\0"\\', '"é\u{1F600}\\u0000\\"\\\\"'],
    ["\\ud800", '"\\\\ud800"'],
    [[], "[]"],
    [{}, "{}"],
    [[1, [2, { a: [] }]], '[1,[2,{"a":[]}]]'],
    [[undefined, 1], "[null,1]"],
    [[, 1], "[null,1]"],
    [new Array(3), "[null,null,null]"],
    [{ a: undefined, b: 1 }, '{"b":1}'],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [own("__proto__", 1), '{"__proto__":1}'],
    [{ [Symbol("s")]: 1, a: 2 }, '{"a":2}'],
    [Object.defineProperty({ a: 1 }, "hidden", { value: 2 }), '{"a":1}'],
    [new Number(5), "5"],
    [[new String("s"), new Boolean(false)], '["s",false]'],
    [new Money(5), '{"cents":5}'],
    [[{ toJSON: (key: string) => key }], '["0"]'],
    [{ toJSON: () => undefined }, "null"],
    [new URL("http://a.b/c"), '"http://a.b/c"'],
    [new Proxy({ a: [1] }, {}), '{"a":[1]}'],
    [new Proxy([1, 2], {}), "[1,2]"],
    [{ $bytes: "no bytes" }, '{"$bytes":"no bytes"}'],
    [ISO, `"${ISO}"`],
    [[ISO, { a: ISO }], `["${ISO}",{"a":"${ISO}"}]`],
    [Object.assign([1], { extra: 2 }), "[1]"],
    [/a/g.exec("bab"), '["a"]'],
    [nested(150, 1), JSON.stringify(nested(150, 1))],
  ];
  for (const [value, text] of PLAIN) {
    test(text.slice(0, 60), () => {
      assert.deepEqual(pick(inner(value)), { text, tagged: false });
      assert.deepEqual(pick(outer(value)), { text, tagged: false });
      const simple = encodeSimple(value);
      assert.ok(simple === undefined || simple === text);
    });
  }
});

const pick = ({ text, tagged }: { text: string; tagged: boolean }) => ({ text, tagged });

describe("forms", () => {
  const FORMS: [name: string, value: unknown, inner: string, outer: string][] = [
    ["bytes", new Uint8Array([0, 255]), '{"$bytes":"AP8="}', '"AP8="'],
    ["a part of a buffer", new Uint8Array([1, 0, 255]).subarray(1), '{"$bytes":"AP8="}', '"AP8="'],
    ["buffer", new Uint8Array([0, 255]).buffer, '{"$bytes":"AP8="}', '"AP8="'],
    ["view", new DataView(new Uint8Array([0, 255]).buffer), '{"$bytes":"AP8="}', '"AP8="'],
    ["wider numbers", new Uint16Array([0xff00]), '{"$bytes":"AP8="}', '"AP8="'],
    ["no bytes", new Uint8Array(), '{"$bytes":""}', '""'],
    ["date", date, `{"$datetime":"${ISO}"}`, `"${ISO}"`],
    ["far date", new Date(8.64e15), '{"$datetime":"+275760-09-13T00:00:00.000Z"}', '"+275760-09-13T00:00:00.000Z"'],
    ["old date", new Date(-1e14), '{"$datetime":"-001199-02-15T14:13:20.000Z"}', '"-001199-02-15T14:13:20.000Z"'],
    ["set", new Set([2, 1]), '{"$set":[2,1]}', "[2,1]"],
    ["set of sets", new Set([new Set([1])]), '{"$set":[{"$set":[1]}]}', "[[1]]"],
    ["map", new Map([["a", 1]]), '{"$map":[["a",1]]}', '{"a":1}'],
    ["map with numbers", new Map([[1, [date]]]), `{"$map":[[1,[{"$datetime":"${ISO}"}]]]}`, `{"1":["${ISO}"]}`],
    ["map with __proto__", new Map([["__proto__", 1]]), '{"$map":[["__proto__",1]]}', '{"__proto__":1}'],
    [
      "an object that looks like a form, beside one",
      [{ $bytes: "x" }, { $a: 1, b: 2 }, { $$: 1 }, new Set()],
      '[{"$$bytes":"x"},{"$a":1,"b":2},{"$$$":1},{"$set":[]}]',
      '[{"$bytes":"x"},{"$a":1,"b":2},{"$$":1},[]]',
    ],
    ["in toJSON", { toJSON: () => ({ a: new Set([1]) }) }, '{"a":{"$set":[1]}}', '{"a":[1]}'],
    ["a Date's subclass", new (class Day extends Date {})(date), `{"$datetime":"${ISO}"}`, `"${ISO}"`],
  ];
  for (const [name, value, innerText, outerText] of FORMS) {
    test(name, () => {
      assert.deepEqual(pick(inner(value)), { text: innerText, tagged: true });
      assert.deepEqual(pick(outer(value)), { text: outerText, tagged: false });
      assert.deepEqual(pick(inner([value])), { text: `[${innerText}]`, tagged: true });
      assert.deepEqual(pick(outer({ a: value })), { text: `{"a":${outerText}}`, tagged: false });
    });
  }

  test("and back", () => {
    const values = [
      new Uint8Array([0, 255]),
      date,
      new Set<unknown>([1, "a", new Uint8Array([1])]),
      new Map<unknown, unknown>([
        [1, { a: new Set([2]) }],
        ["b", [date]],
      ]),
      { $bytes: "no bytes" },
      { $$bytes: "no bytes" },
      { $a: 1, $b: 2 },
      { deep: [{ er: new Uint8Array([7]) }] },
      ISO,
      null,
      "é\u{1F600}\0",
    ];
    const { text, tagged } = inner(values);
    assert.deepEqual(decode(text, tagged), values);
  });
});

describe("what can't cross", () => {
  const cycle: unknown[] = [];
  cycle.push([cycle]);
  const knot: Record<string, unknown> = {};
  knot["a"] = { b: knot };
  const setCycle = new Set<unknown>();
  setCycle.add({ it: setCycle });
  const REFUSED: [value: unknown, message: string | RegExp][] = [
    [Number.NaN, "result: the number is NaN, which JSON doesn't have"],
    [{ items: [0, { price: -Infinity }] }, "result.items[1].price: the number is -Infinity, which JSON doesn't have"],
    [[1n], "result[0]: a BigInt, which JSON doesn't have; send it as a string"],
    [{ f: function go() {} }, "result.f: a function (go), which can't leave its sandbox"],
    [() => 1, "result: a function, which can't leave its sandbox"],
    [[Symbol("s")], "result[0]: a symbol, which can't leave its sandbox"],
    [new Point(1, 2), "result: a Point object isn't a JSON value; send a plain object, or give its class a toJSON()"],
    [{ e: new TypeError("x") }, "result.e: a TypeError object isn't a JSON value; throw it, or send its message"],
    [[Promise.resolve(1)], "result[0]: a Promise object isn't a JSON value; await it"],
    [new Headers(), "result: a Headers object isn't a JSON value; send an array: [...it]"],
    [[1].values(), /^result: .* isn't a JSON value; send an array/],
    [/x/, /^result: a RegExp object isn't a JSON value/],
    [new WeakMap(), /^result: a WeakMap object isn't a JSON value/],
    [new Date(Number.NaN), "result: an invalid Date"],
    [{ a: [new Date("?")] }, "result.a[0]: an invalid Date"],
    [cycle, /^result\[0\]\[0\]: an array that contains itself/],
    [knot, /^result\.a\.b: an object that contains itself/],
    [setCycle, /^result\[0\]\.it: an object that contains itself/],
    ["\ud800", "result: text with a lone surrogate isn't Unicode; send bytes"],
    [["\\ud800", { "a b": "\udfff" }], 'result[1]["a b"]: text with a lone surrogate isn\'t Unicode; send bytes'],
    [{ "\ud800": 1 }, /^result\["\\ud800"\]: text with a lone surrogate/],
    [nested(300, Number.NaN), /^result(\.a|\[0\])+…: nested deeper than 200 levels$/],
    [nested(100_000, 1), /: nested deeper than 200 levels$/],
    [
      {
        get x() {
          throw new Error("boom");
        },
      },
      "result.x: reading it threw Error: boom",
    ],
    [{ x: { toJSON: () => Number.NaN } }, "result.x: the number is NaN, which JSON doesn't have"],
    [new Set([[1], [() => 1]]), "result[1][0]: a function, which can't leave its sandbox"],
    [
      {
        get x() {
          throw null;
        },
      },
      "result.x: reading it threw something that isn't an Error",
    ],
  ];
  for (const [value, message] of REFUSED) {
    test(String(message).slice(0, 70), () => {
      assert.throws(() => inner(value), (error: unknown) => error instanceof CodecError && matches(error.message, message));
      assert.throws(() => outer(value), (error: unknown) => error instanceof CodecError && matches(error.message, message));
    });
  }

  test("a Map's keys, at the outside", () => {
    assert.throws(() => outer(new Map([[{}, 1]])), /a key of the Map is an Object object; JSON's keys are strings/);
    assert.throws(() => outer({ m: new Map<unknown, unknown>([[1, 1], ["1", 1]]) }), /result\.m: two keys of the Map become the string "1"/);
  });

  test("arguments are named by the caller", () => {
    const name = (i: number) => `argument ${i + 1}`;
    assert.throws(() => encode([1, { a: Number.NaN }], name, false), /^CodecError|argument 2\.a: the number is NaN/);
    assert.throws(() => encode([1, Number.NaN], name, false), /argument 2: the number is NaN/);
  });
});

test("200 levels, counted along the path only", () => {
  const wide = { a: [{ b: [] }, nested(190, { c: [] })], d: Array.from({ length: 1000 }, () => nested(100, 1)) };
  assert.equal(inner(wide).text, JSON.stringify(wide));
  assert.equal(inner(nested(200, 1)).text, JSON.stringify(nested(200, 1)));
  assert.throws(() => inner(nested(201, 1)), /nested deeper than 200 levels/);
  assert.throws(() => inner([{ early: [] }, { first: {}, then: nested(300, 1) }]), /^CodecError|result\[1\]\.then.*: nested deeper/);
});

function matches(text: string, expected: string | RegExp): boolean {
  const fits = typeof expected === "string" ? text === expected : expected.test(text);
  if (!fits) assert.equal(text, expected);
  return fits;
}

describe("once only", () => {
  test("getters", () => {
    let n = 0;
    const value = {
      get a() {
        return ++n;
      },
      bytes: new Uint8Array(1),
    };
    assert.equal(inner(value).text, '{"a":1,"bytes":{"$bytes":"AA=="}}');
    assert.equal(n, 1);
  });

  test("a getter's text that looks like a date", () => {
    let n = 0;
    const value = {
      get a() {
        n++;
        return ISO;
      },
    };
    assert.deepEqual(pick(inner(value)), { text: `{"a":"${ISO}"}`, tagged: false });
    assert.equal(n, 1);
  });

  test("a proxy that changes its mind", () => {
    let n = 0;
    const value = new Proxy({ a: 1 }, { get: (_, key) => (key === "a" ? [++n, Number.NaN][n - 1] : undefined) });
    assert.equal(inner(value).text, '{"a":1}');
  });
});

describe("reading", () => {
  test("keys that could pollute stay keys", () => {
    for (const tagged of [false, true]) {
      const read = decode('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":{"$set":[1]}}', tagged);
      assert.equal(({} as any).polluted, undefined);
      assert.equal(Object.getPrototypeOf(read), Object.prototype);
      assert.deepEqual(Object.keys(read as object), ["__proto__", "constructor", "a"]);
    }
    const inForm = decode('[{"__proto__":{"$bytes":"AA=="}},{"$$__proto__":1}]', true) as object[];
    assert.deepEqual(Object.getOwnPropertyDescriptor(inForm[0]!, "__proto__")?.value, new Uint8Array(1));
    assert.deepEqual(Object.keys(inForm[1]!), ["$__proto__"]);
  });

  test("untagged, forms are objects", () => {
    assert.deepEqual(decode('{"$bytes":"AA=="}', false), { $bytes: "AA==" });
  });

  test("numbers of Python's", () => {
    assert.equal(decode("1267650600228229401496703205376", false), 2 ** 100);
    assert.equal(decode(`1${"0".repeat(400)}`, false), Infinity);
  });

  test("dates of Python's", () => {
    const read = decode('[{"$datetime":"2026-01-02T03:04:05.006000+00:00"},{"$date":"2026-01-02"},{"$time":"03:04:05"}]', true);
    assert.deepEqual(read, [date, "2026-01-02", "03:04:05"]);
  });

  const MALFORMED: [string, RegExp][] = [
    ["", /^not JSON/],
    ["[1", /^not JSON/],
    ['{"$what":1}', /^unknown form "\$what"/],
    ['[{"$bytes":"*"}]', /^malformed \$bytes/],
    ['[{"$set":1}]', /^malformed \$set/],
    ['[{"$map":[1]}]', /^malformed \$map/],
  ];
  for (const [text, message] of MALFORMED) {
    test(text || "nothing", () => {
      assert.throws(() => decode(text, true), (error: unknown) => error instanceof CodecError && message.test(error.message));
    });
  }
});
