/** A stroll through the language and what it brings along: `main` returns the expressions that come to something else. */
import { task } from "@capsule-run/sdk";

/** Expressions, evaluated as they are, and what they come to in JSON. */
const EXPRESSIONS: Record<string, unknown> = {
  // syntax
  "[...'a\u{1F600}'].length": 2,
  "(({ a, ...rest }) => [a, rest])({ a: 1, b: 2 })": [1, { b: 2 }],
  "null?.x ?? 'none'": "none",
  "(() => { let a = null; a ??= 1; a ||= 2; a &&= 3; return a; })()": 3,
  "2 ** 10 + 0b11 + 0o7 + 1_000": 2034,
  "`${1}${`${2}`}`": "12",
  "String.raw`\\n`": "\\n",
  "(() => { label: for (const i of [1, 2]) for (;;) continue label; return 'out'; })()": "out",
  "(class A { static #n = 1; static { A.m = A.#n + 1; } static has(x) { return #n in x; } }).has(class {})": false,
  "new (class { #x = 5; get x() { return this.#x; } })().x": 5,
  "[...(function* () { yield* [1, 2]; return 3; })()]": [1, 2],
  "(() => { try { throw 1 } catch { return 'caught' } finally { } })()": "caught",
  "((a, b = a + 1, ...c) => [a, b, c])(1)": [1, 2, []],
  "(() => { 'use strict'; return this; })() === this": true,
  "Object.entries({ b: 1, a: 2, 1: 3 })": [["1", 3], ["b", 1], ["a", 2]],
  // numbers and text
  "0.1 + 0.2": 0.30000000000000004,
  "(1234.5678).toFixed(2) + (255).toString(16) + (1e21).toString()": "1234.57ff1e+21",
  "Number('0x10') + parseInt('12px') + parseFloat('1.5e1x')": 43,
  "(2n ** 64n).toString()": "18446744073709551616",
  "BigInt.asUintN(8, 257n).toString()": "1",
  "Math.hypot(3, 4) + Math.clz32(1) + Math.fround(5.5) + Math.trunc(-4.7)": 37.5,
  "Math.max(...[1, 3, 2])": 3,
  "'abc'.at(-1) + 'abc'.padStart(5, '*') + ' x '.trim()": "c**abcx",
  "'a-b-c'.replaceAll('-', '+') + 'abc'.replace(/b/, (m) => m.toUpperCase())": "a+b+caBc",
  "'é'.normalize('NFD').length + 'ß'.toUpperCase()": "2SS",
  "'\\ud800'.isWellFormed() + '\\ud800x'.toWellFormed()": "false\ufffdx",
  "['b', 'a', 'C'].sort().concat(['ä', 'z', 'a'].sort((a, b) => a.localeCompare(b)).length)": ["C", "a", "b", 3],
  "encodeURIComponent('a b&é') + decodeURIComponent('%C3%A9') + escape('ü')": "a%20b%26%C3%A9é%FC",
  // regular expressions
  "'2026-01-02'.match(/(?<y>\\d{4})-(?<m>\\d\\d)/).groups.y": "2026",
  "[...'a1b2'.matchAll(/[a-z](\\d)/g)].map((m) => m[1])": ["1", "2"],
  "'price: 10'.match(/(?<=: )\\d+/)[0] + /^\\p{L}+$/u.test('é') + /a.b/s.test('a\\nb')": "10truetrue",
  "/(?<!x)y/.exec('ay').index + /\\bfoo\\b/y.test('foo')": 2,
  "/[\\p{L}--[a-z]]/v.test('a')": false,
  "(() => { const r = /a/dg; return r.exec('ba').indices[0]; })()": [1, 2],
  // collections
  "[3, 1, 2].toSorted().concat([1, 2].toReversed(), [1, 2, 3].with(0, 9), [5].toSpliced(0, 1))": [1, 2, 3, 2, 1, 9, 2, 3],
  "[1, [2, [3, [4]]]].flat(Infinity)": [1, 2, 3, 4],
  "[1, 2, 3, 4].findLast((n) => n % 2)": 3,
  "Object.groupBy([1, 2, 3], (n) => (n % 2 ? 'odd' : 'even'))": { odd: [1, 3], even: [2] },
  "[...new Map([[NaN, 1], [NaN, 2]])].length": 1,
  "[...new Set([1, 2]).union(new Set([3]))].concat([...new Set([1, 2]).intersection(new Set([2]))])": [1, 2, 3, 2],
  "[...[1, 2, 3].values().map((n) => n * 2).filter((n) => n > 2).take(1)]": [4],
  "new WeakMap([[Object, 1]]).get(Object) + new WeakSet([Object]).has(Object)": 2,
  "((held) => typeof new WeakRef(held).deref())({}) + typeof FinalizationRegistry": "objectfunction",
  "[1, 10, 2].sort() + '' + [1, 10, 2].sort((a, b) => a - b)": "1,10,21,2,10",
  "Array.from({ length: 3 }, (_, i) => i * i)": [0, 1, 4],
  "new Array(3).fill(0).map((_, i) => i).copyWithin(0, 1)": [1, 2, 2],
  // objects
  "Object.fromEntries(new Map([['a', 1]]))": { a: 1 },
  "new Proxy({}, { get: (_, name) => name }).anything": "anything",
  "Reflect.ownKeys({ b: 1, [Symbol.iterator]: 2, 1: 3 }).length": 3,
  "structuredClone({ a: [1, { b: 2 }] })": { a: [1, { b: 2 }] },
  "Object.isFrozen(Object.freeze({}))": true,
  "JSON.parse('{\"a\":[1,2]}', (k, v) => (Array.isArray(v) ? v.length : v))": { a: 2 },
  "JSON.stringify({ b: [1], a: undefined }, null, 1)": '{\n "b": [\n  1\n ]\n}',
  // bytes
  "[...new Uint8Array(new Float32Array([1]).buffer)]": [0, 0, 128, 63],
  "new DataView(new Uint8Array([1, 2]).buffer).getUint16(0)": 258,
  "new Uint8ClampedArray([300, -5])[0] + new Int8Array([200])[0]": 199,
  "new BigInt64Array([5n])[0].toString() + new ArrayBuffer(8, { maxByteLength: 16 }).resizable": "5true",
  "new TextDecoder().decode(new TextEncoder().encode('é\u{1F600}'))": "é\u{1F600}",
  "atob(btoa('abc')) + new Uint8Array([255]).toHex()": "abcff",
  // dates
  "new Date(Date.UTC(2026, 0, 2)).toISOString()": "2026-01-02T00:00:00.000Z",
  "Date.parse('2026-01-02T03:04:05.678901+01:00')": 1767319445678,
  "new Date('2026-01-31T00:00:00Z').setUTCMonth(1)": 1772496000000,
  "new Date(NaN).getTime()": null,
  "new Date(2026, 0, 2).getTimezoneOffset()": 0,
  // errors
  "(() => { try { null.x } catch (e) { return e.constructor.name } })()": "TypeError",
  "new Error('outer', { cause: 'inner' }).cause + new AggregateError([1], 'm').errors[0]": "inner1",
  "(() => { try { undefinedName } catch (e) { return e.name } })()": "ReferenceError",
  "(() => { try { eval('a b') } catch (e) { return e.name } })()": "SyntaxError",
  "typeof new Error('x').stack": "string",
  // code that makes code
  "eval('1 + 1') + new Function('a', 'return a * 2')(4)": 10,
  "(0, eval)('typeof globalThis')": "object",
  "typeof globalThis + typeof window + typeof module": "objectundefinedundefined",
  "(() => { with ({ a: 5 }) return a; })()": 5,
};

const LATER: Record<string, unknown> = {
  "await (async () => 1)() + (await Promise.all([1, Promise.resolve(2)])).length": 3,
  "(await Promise.allSettled([Promise.reject(1)]))[0].status": "rejected",
  "await Promise.any([Promise.reject(1), 2])": 2,
  "await (async () => { const all = []; for await (const x of (async function* () { yield 1; yield 2; })()) all.push(x); return all; })()": [1, 2],
  "await Promise.withResolvers().promise.constructor.resolve(4)": 4,
  "await Array.fromAsync([Promise.resolve(1), 2])": [1, 2],
  "await Promise.try(() => 5)": 5,
  "await new Promise((resolve) => setTimeout(resolve, 1, 'late'))": "late",
};

const AsyncFunction = (async () => {}).constructor as new (source: string) => () => Promise<unknown>;

export const main = task({ name: "main" }, async () => {
  const failed: Record<string, unknown> = {};
  const check = async (expression: string, expected: unknown, run: () => unknown): Promise<void> => {
    try {
      const value = await run();
      if (JSON.stringify(value) !== JSON.stringify(expected)) failed[expression] = JSON.stringify(value) ?? "undefined";
    } catch (error) {
      failed[expression] = String(error);
    }
  };
  for (const [expression, expected] of Object.entries(EXPRESSIONS)) {
    await check(expression, expected, () => new Function(`return (${expression})`)());
  }
  for (const [expression, expected] of Object.entries(LATER)) {
    await check(expression, expected, () => new AsyncFunction(`return (${expression})`)());
  }
  return failed;
});
