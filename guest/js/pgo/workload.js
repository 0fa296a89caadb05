// What the profile of the engine is made from: a little of everything that tasks do. Not what bench/ measures: a profile that knew the
// benchmark would flatter it.
"use strict";

const results = [];

function check(name, value) {
  results.push([name, value]);
  if (value === undefined) throw new Error(`${name} gave nothing`);
}

// --- classes, closures, properties

class Account {
  #balance = 0;
  static opened = 0;

  constructor(owner, limit = 100) {
    this.owner = owner;
    this.limit = limit;
    Account.opened++;
  }

  get balance() {
    return this.#balance;
  }

  deposit(amount) {
    if (amount <= 0) throw new RangeError("amount");
    this.#balance += amount;
    return this;
  }
}

class Savings extends Account {
  constructor(owner, rate) {
    super(owner);
    this.rate = rate;
  }

  deposit(amount) {
    return super.deposit(amount * (1 + this.rate));
  }
}

function classes() {
  const accounts = [];
  for (let i = 0; i < 3000; i++) {
    const account = i % 3 ? new Account(`owner ${i}`) : new Savings(`owner ${i}`, 0.02);
    for (let k = 1; k < 10; k++) account.deposit(k);
    accounts.push(account);
  }
  let failures = 0;
  for (let i = 0; i < 2000; i++) {
    try {
      accounts[i].deposit(-1);
    } catch (error) {
      if (error instanceof RangeError) failures++;
    }
  }
  return accounts.reduce((sum, { balance }) => sum + balance, failures);
}

function closures() {
  const compose = (...functions) => (x) => functions.reduceRight((value, f) => f(value), x);
  const add = (a) => (b) => a + b;
  const counter = () => {
    let n = 0;
    return { next: () => ++n, reset: () => (n = 0) };
  };
  const inc = compose(add(1), add(2), (x) => x * 2);
  const c = counter();
  let total = 0;
  for (let i = 0; i < 20_000; i++) total += inc(i) + c.next();
  return total;
}

// --- numbers

function primes() {
  const sieve = new Uint8Array(200_000);
  let count = 0;
  for (let i = 2; i < sieve.length; i++) {
    if (sieve[i]) continue;
    count++;
    for (let k = i * 2; k < sieve.length; k += i) sieve[k] = 1;
  }
  return count;
}

function matrix() {
  const n = 40;
  const make = (f) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, k) => f(i, k)));
  const a = make((i, k) => i * 0.5 + k);
  const b = make((i, k) => i - k * 0.25);
  const c = make(() => 0);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += a[i][j] * b[j][k];
      c[i][k] = sum;
    }
  return c[3][4] + Math.sqrt(c[5][6] ** 2) + Math.floor(c[1][1]) + Math.max(...c[0]);
}

function fib(n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

function bigints() {
  let a = 1n;
  for (let i = 1n; i < 300n; i++) a *= i;
  return a.toString().length + Number(a % 1000007n);
}

// --- collections

function collections() {
  const words = "the quick brown fox jumps over the lazy dog and runs away from the hounds".split(" ");
  const counts = {};
  const index = new Map();
  const seen = new Set();
  for (let i = 0; i < 20_000; i++) {
    const word = words[(i * 7) % words.length];
    counts[word] = (counts[word] ?? 0) + 1;
    if (!index.has(word)) index.set(word, []);
    index.get(word).push(i);
    seen.add(i % 977);
  }
  const sorted = Object.entries(counts).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return sorted.map(([word, n]) => `${word}:${n}`).join(",") + seen.size + [...index.keys()].length;
}

function arrays() {
  const rows = Array.from({ length: 4000 }, (_, i) => ({ id: i, group: `g${i % 17}`, value: (i * 37) % 1001 }));
  const groups = rows.reduce((all, row) => {
    (all[row.group] ||= []).push(row);
    return all;
  }, {});
  const sums = Object.keys(groups).map((name) => ({
    name,
    sum: groups[name].filter((r) => r.value % 2).map((r) => r.value).reduce((a, b) => a + b, 0),
  }));
  const flat = sums.flatMap(({ name, sum }) => [name, sum]).slice(2, 20);
  const copy = [...rows].reverse().sort((a, b) => a.value - b.value || b.id - a.id);
  const spliced = copy.splice(10, 100);
  return flat.concat(spliced.map((r) => r.id)).indexOf(77) + copy.findIndex((r) => r.value > 500) + flat.includes("g3");
}

function* walk(tree) {
  if (!tree) return;
  yield* walk(tree.left);
  yield tree.key;
  yield* walk(tree.right);
}

function trees() {
  let root = null;
  const insert = (node, key) => {
    if (node === null) return { key, left: null, right: null };
    if (key < node.key) node.left = insert(node.left, key);
    else if (key > node.key) node.right = insert(node.right, key);
    return node;
  };
  for (let i = 0; i < 1500; i++) root = insert(root, (i * 7919) % 3001);
  let sum = 0;
  for (const key of walk(root)) sum += key;
  return sum;
}

// --- text

function text() {
  const lines = [];
  for (let i = 0; i < 2000; i++) lines.push(`${i};${(i * 31) % 97};name-${i};"quoted, ${i}"`);
  const csv = lines.join("\n");
  let total = 0;
  for (const line of csv.split("\n")) {
    const [id, value, name] = line.split(";");
    if (name.startsWith("name-1") && name.endsWith("7")) total += Number(id) + parseInt(value, 10);
    total += line.trim().toLowerCase().charCodeAt(3) + line.indexOf("quoted") + line.slice(2, 8).length;
  }
  let out = "";
  for (let i = 0; i < 5000; i++) out += String.fromCharCode(97 + (i % 26)) + (i % 7 ? "" : "ä€😀");
  return total + out.length + [...out].length + out.normalize("NFC").padStart(20_000, "-").length;
}

function regularExpressions() {
  const log = Array.from({ length: 1500 }, (_, i) => `2026-01-${(i % 28) + 1} [${i % 3 ? "INFO" : "WARN"}] user=${i} took ${i % 500}ms`).join("\n");
  let slow = 0;
  for (const { groups } of log.matchAll(/\[(?<level>\w+)\] user=(?<user>\d+) took (?<ms>\d+)ms/g)) if (Number(groups.ms) > 400) slow++;
  const masked = log.replace(/user=\d+/g, (m) => m.replace(/\d/g, "*")).split(/\s+/).length;
  const mail = /^[\w.+-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$/i;
  let valid = 0;
  for (let i = 0; i < 2000; i++) if (mail.test(i % 2 ? `user.${i}@example.com` : `user ${i}@example`)) valid++;
  return slow + masked + valid;
}

function json() {
  const data = { users: Array.from({ length: 800 }, (_, id) => ({ id, name: `User ${id}`, email: `u${id}@x.org`, tags: ["a", "b"], ratio: id / 7, ok: id % 2 === 0, none: null, text: "a \"quoted\" line\nwith ünicode" })) };
  let n = 0;
  for (let i = 0; i < 6; i++) n += JSON.parse(JSON.stringify(data, null, i % 2 ? 2 : undefined)).users.length;
  return n;
}

// --- promises

async function promises() {
  const later = (x) => Promise.resolve().then(() => x);
  let total = 0;
  for (let i = 0; i < 2000; i++) total += await later(i);
  const all = await Promise.all(Array.from({ length: 500 }, async (_, i) => (await later(i)) * 2));
  async function* numbers() {
    for (let i = 0; i < 300; i++) yield i;
  }
  for await (const n of numbers()) total += n;
  const settled = await Promise.allSettled([later(1), Promise.reject(new Error("no"))]);
  return total + all.length + settled.length;
}

// --- what interpreters of templates and schemas do

function interpreter() {
  const parse = (source) => {
    const tokens = source.match(/\d+|[()+*-]/g);
    let at = 0;
    const primary = () => {
      const token = tokens[at++];
      if (token !== "(") return { kind: "number", value: Number(token) };
      const inner = sum();
      at++;
      return inner;
    };
    const product = () => {
      let left = primary();
      while (tokens[at] === "*") (at++, (left = { kind: "*", left, right: primary() }));
      return left;
    };
    const sum = () => {
      let left = product();
      while (tokens[at] === "+" || tokens[at] === "-") left = { kind: tokens[at++], left, right: product() };
      return left;
    };
    return sum();
  };
  const evaluate = (node) => {
    switch (node.kind) {
      case "number":
        return node.value;
      case "+":
        return evaluate(node.left) + evaluate(node.right);
      case "-":
        return evaluate(node.left) - evaluate(node.right);
      default:
        return evaluate(node.left) * evaluate(node.right);
    }
  };
  let total = 0;
  for (let i = 0; i < 400; i++) total += evaluate(parse(`(${i}+2)*3-(4*${i}+(1+2)*3)`));
  const render = new Function("data", "let s=''; for (const [k, v] of Object.entries(data)) s += `<b>${k}</b>: ${v};`; return s");
  for (let i = 0; i < 400; i++) total += render({ a: i, b: "x", c: [1, 2] }).length;
  return total;
}

function copies() {
  const deep = (value) => {
    if (Array.isArray(value)) return value.map(deep);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, deep(inner)]));
  };
  const source = { a: { b: { c: [1, 2, { d: "x" }] } }, e: new Date(0).toISOString(), f: [[1], [2, [3]]] };
  let n = 0;
  for (let i = 0; i < 1500; i++) {
    const copy = { ...deep(source), g: i, ...{ h: [...source.f] } };
    const { a, ...rest } = copy;
    n += Object.keys(rest).length + a.b.c.length + ("e" in copy ? 1 : 0) + (delete copy.g ? 1 : 0);
  }
  return n;
}

async function main() {
  for (let round = 0; round < 3; round++) {
    for (const part of [classes, closures, primes, matrix, bigints, collections, arrays, trees, text, regularExpressions, json, interpreter, copies])
      check(part.name, part());
    check("fib", fib(20));
    check("promises", await promises());
  }
}

await main();
