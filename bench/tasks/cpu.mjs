// CPU-bound JavaScript: arithmetic, maps, strings, objects, json, regular expressions, sort. The twin of cpu.py.
//
// Run by cpu_native.mjs and, as a task, by cpu_task.ts.

class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }

  moved(other) {
    return new Point(this.x + other.x, this.y - other.y);
  }
}

function arithmetic() {
  let a = 0;
  let b = 1;
  for (let i = 0; i < 400_000; i++) [a, b] = [b, (a * 31 + b * 17 + i) % 1_000_003];
  return a;
}

function maps() {
  const counts = new Map();
  for (let i = 0; i < 200_000; i++) {
    const key = (i * 7919) % 5003;
    counts.set(key, (counts.get(key) ?? 0) + i);
  }
  let sum = 0;
  for (const n of counts.values()) sum += n;
  return sum;
}

function strings() {
  const parts = [];
  for (let i = 0; i < 60_000; i++) parts.push(`${i.toString(16)}-${i * 3}`);
  return parts.join(",").replaceAll("-", "").toUpperCase().split(",").length;
}

function objects() {
  let point = new Point(0, 0);
  const step = new Point(0.5, 0.25);
  for (let i = 0; i < 120_000; i++) point = point.moved(step);
  return point.x + point.y;
}

function jsons() {
  const items = [];
  for (let i = 0; i < 4_000; i++) items.push({ id: i, name: `name ${i}`, tags: ["a", "b", String(i)] });
  let total = 0;
  for (let i = 0; i < 4; i++) total += JSON.parse(JSON.stringify({ items })).items.length;
  return total;
}

function regexes() {
  const lines = [];
  for (let i = 0; i < 8_000; i++) lines.push(`user${i}@host${i % 97}.example.com wrote line ${i}`);
  const text = lines.join(" ");
  return text.match(/(\w+)@([a-z0-9.]+)/g).length + text.replace(/\d+/g, "#").length;
}

function sorting() {
  const numbers = Array.from({ length: 60_000 }, (_, i) => (i * 7919) % 100_003);
  const words = numbers.slice(0, 20_000).map((n) => `w${n}`);
  numbers.sort((a, b) => a - b);
  words.sort();
  return numbers[100] + words[100].length;
}

const PARTS = { arithmetic, maps, strings, objects, jsons, regexes, sorting };

export function measure() {
  const times = {};
  const began = performance.now();
  for (const [name, part] of Object.entries(PARTS)) {
    const start = performance.now();
    part();
    times[name] = Math.round((performance.now() - start) * 10) / 10;
  }
  times.all = Math.round((performance.now() - began) * 10) / 10;
  return times;
}
