/**
 * Owns `console`: what Node prints for the same calls, on stdout (log, info, debug, dir, table, …) and stderr (warn, error, trace, …).
 * Its state (groups, counts, timers) is the sandbox's own, like everything in memory.
 */
import * as native from "capsule:native";
import { format, inspect, stackOf, type InspectOptions } from "./inspect.js";
import { tableOf } from "./table.js";

const OUT = 1;
const ERR = 2;

let indent = "";
const counts = new Map<string, number>();
const started = new Map<string, number>();

function line(stream: 1 | 2, text: string): void {
  if (indent !== "") text = indent + (text.includes("\n") ? text.replaceAll("\n", `\n${indent}`) : text);
  native.write(stream, text + "\n");
}

function print(stream: 1 | 2, values: unknown[]): void {
  line(stream, values.length === 1 && typeof values[0] === "string" ? values[0] : format(...values));
}

function warnOfUse(text: string): void {
  native.write(ERR, `Warning: ${text}\n`);
}

function pad(value: string | number): string {
  return String(value).padStart(2, "0");
}

/** A span as Node shows it: 1.5ms, 2.000s, 1:02.500 (m:ss.mmm), 1:00:00.000 (h:mm:ss.mmm). */
function spanOf(ms: number): string {
  if (ms < 1000) return `${Number(ms.toFixed(3))}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(3)}s`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const [seconds, millis] = ((ms % 60_000) / 1000).toFixed(3).split(".");
  const short = `${pad(seconds!)}.${millis}`;
  return hours > 0 ? `${hours}:${pad(minutes)}:${short} (h:mm:ss.mmm)` : `${minutes}:${short} (m:ss.mmm)`;
}

function logSpan(method: string, label: string, values: unknown[]): void {
  const start = started.get(label);
  if (start === undefined) warnOfUse(`No such label '${label}' for console.${method}()`);
  else
    print(OUT, [`${label}: ${spanOf(native.monotonicMs() - start)}`.replaceAll("%", "%%"), ...values].map(plainFirst));
}

/** The first of several values is a format; alone it's printed as it is. */
function plainFirst(value: unknown, at: number, all: unknown[]): unknown {
  return at === 0 && all.length === 1 ? String(value).replaceAll("%%", "%") : value;
}

function traceOf(values: unknown[]): string {
  const holder = new Error(format(...values));
  holder.name = "Trace";
  return String(stackOf(holder) ?? holder);
}

const methods = {
  log: (...values: unknown[]): void => print(OUT, values),
  info: (...values: unknown[]): void => print(OUT, values),
  debug: (...values: unknown[]): void => print(OUT, values),
  dirxml: (...values: unknown[]): void => print(OUT, values),
  warn: (...values: unknown[]): void => print(ERR, values),
  error: (...values: unknown[]): void => print(ERR, values),
  trace(...values: unknown[]): void {
    line(ERR, traceOf(values));
  },
  dir(value?: unknown, options?: InspectOptions): void {
    line(OUT, inspect(value, { customInspect: false, ...options }));
  },
  table(data?: unknown, columns?: string[]): void {
    if (columns !== undefined && !Array.isArray(columns))
      throw new TypeError(`The "properties" argument must be an instance of Array. Received ${inspect(columns)}`);
    if (data === null || typeof data !== "object") print(OUT, [data]);
    else line(OUT, tableOf(data, columns));
  },
  assert(condition?: unknown, ...values: unknown[]): void {
    if (condition) return;
    if (typeof values[0] === "string") values[0] = `Assertion failed: ${values[0]}`;
    else values.unshift(values.length > 0 ? "Assertion failed:" : "Assertion failed");
    print(ERR, values);
  },
  group(...values: unknown[]): void {
    if (values.length > 0) print(OUT, values);
    indent += "  ";
  },
  groupCollapsed(...values: unknown[]): void {
    methods.group(...values);
  },
  groupEnd(): void {
    indent = indent.slice(2);
  },
  count(label: unknown = "default"): void {
    const name = String(label);
    const n = (counts.get(name) ?? 0) + 1;
    counts.set(name, n);
    line(OUT, `${name}: ${n}`);
  },
  countReset(label: unknown = "default"): void {
    if (!counts.delete(String(label))) warnOfUse(`Count for '${String(label)}' does not exist`);
  },
  time(label: unknown = "default"): void {
    const name = String(label);
    if (started.has(name)) warnOfUse(`Label '${name}' already exists for console.time()`);
    else started.set(name, native.monotonicMs());
  },
  timeLog(label: unknown = "default", ...values: unknown[]): void {
    logSpan("timeLog", String(label), values);
  },
  timeEnd(label: unknown = "default"): void {
    logSpan("timeEnd", String(label), []);
    started.delete(String(label));
  },
  /** For inspectors alone; there is none. */
  timeStamp(): void {},
  profile(): void {},
  profileEnd(): void {},
};

Object.defineProperty(methods, Symbol.toStringTag, { value: "console", configurable: true });

/** The console object. Its methods need no `this`. */
export const console = methods;
