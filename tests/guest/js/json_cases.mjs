/** Odd values for JSON.stringify: what they come to, one text each. Run in a sandbox and in Node, which must agree. */
export function all() {
  const out = [];
  const log = (f) => { 
    try {
      out.push(String(f()));
    } catch (error) {
      out.push(error.constructor.name);
    }
   };
  const S = JSON.stringify;
  log(() => S({ b: 1, a: 2, 1: 3, 0: 4 }));
  log(() => S({ a: undefined, b: () => 1, c: Symbol("x"), d: null, [Symbol("y")]: 1 }));
  log(() => S({ get x() { return 1; }, y: 2 }));
  log(() => { const o = { a: 1, get b() { delete o.c; o.d = 5; return 2; }, c: 3 }; return S(o) + S(o); });
  log(() => { const o = { a: { toJSON() { o.b = 9; delete o.c; o.z = 1; return "t"; } }, b: 1, c: 2 }; return S(o); });
  log(() => { const o = { a: { toJSON(k) { Object.defineProperty(o, "b", { get: () => "got", enumerable: true }); return k; } }, b: 1 }; return S(o); });
  log(() => { const o = { a: { toJSON() { Object.defineProperty(o, "b", { enumerable: false, value: 7 }); return 1; } }, b: 1 }; return S(o); });
  log(() => { const o = { a: { toJSON() { Object.setPrototypeOf(o, { c: "proto" }); delete o.c; return 1; } }, c: 1 }; return S(o); });
  log(() => S({ "é": 1, "\ud800": 2, '"q"': 3, "a\nb": 4, "\u2028": 5, "": 6, "😀": 7 }));
  log(() => S(["é", "\ud800", '"q"', "\\", "\u0007", "\x7f", "ÿ", "Ā"]));
  log(() => S({ a: [1, [2, { b: 3 }]], c: {} }, null, 2));
  log(() => S({ a: [], b: {}, c: [{}] }, null, "--"));
  log(() => S({ b: 1, a: { b: 2, c: 3 } }, ["b", "a"]));
  log(() => S({ a: 1, b: [1, 2] }, (k, v) => (typeof v === "number" ? [k, typeof k].join() + v : v)));
  log(() => S([1, 2, { a: 1n }]));
  log(() => S({ a: { toJSON: (k) => typeof k + k } }));
  log(() => S([{ toJSON: (k) => typeof k + k }, { toJSON: (k) => k }]));
  log(() => { BigInt.prototype.toJSON = function (k) { return typeof k + k + this; }; const r = S([1n, { x: 2n }]); delete BigInt.prototype.toJSON; return r; });
  log(() => { const o = {}; o.self = o; return S(o); });
  log(() => S(new Proxy({ b: 1, a: 2 }, { ownKeys: () => ["a", "b"], })));
  log(() => S(Object.create({ inherited: 1 }, { own: { value: 1, enumerable: true }, hidden: { value: 2 } })));
  log(() => S(Object.freeze({ a: 1 })));
  log(() => S(new (class A { #p = 1; q = 2; get r() { return 3; } })()));
  log(() => S({ __proto__: null, a: 1 }));
  log(() => S({ ["__proto__"]: 1 }));
  log(() => S(new Error("x")));
  log(() => S(Object.assign(new Error("x"), { code: 1 })));
  log(() => S(new Date(0)));
  log(() => S([new Number(1), new String("s"), new Boolean(false), Object(1n)]));
  log(() => S(new Map([[1, 2]])));
  log(() => S(arguments_()));
  log(() => S({ a: NaN, b: Infinity, c: -0, d: 1e21, e: 1e-7, f: 0.1 }));
  log(() => S({ 4294967295: 1, 4294967294: 2, a: 3, "01": 4, "-1": 5 }));
  log(() => S("x".repeat(1000)));
  log(() => S({ a: "x".repeat(3) + "é".repeat(3) + "Ā" }));
  log(() => { const o = {}; for (let i = 0; i < 200; i++) o["k" + i] = i; delete o.k5; o.k5 = "late"; return S(o); });
  log(() => { const o = { a: 1, b: 2, c: 3 }; delete o.b; return S(o); });
  log(() => S(globalThis.nothing));
  log(() => S(JSON.rawJSON ? 1 : 1));
  log(() => S({ a: [undefined, () => 1, Symbol()] }));
  log(() => { const o = { a: { toJSON() { for (let i = 0; i < 100; i++) o["n" + i] = i; return 1; } }, b: 2 }; return S(o); });
  log(() => { let s = ""; const r = () => { s += S({ k: Math.floor(1e6 * Math.abs(Math.sin(s.length))), t: ["a", { u: s.length }] }); }; for (let i = 0; i < 300; i++) r(); return s; });
  function arguments_() { return arguments; }
  return out;
}
