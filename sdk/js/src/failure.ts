/**
 * Owns what becomes of something that was thrown: an error of the guest protocol (guest/abi.h). Only inside a sandbox.
 *
 * Nothing here trusts what was thrown: it may be no Error, its text may be huge, and its properties may throw themselves.
 */
import { isRetried, TaskError } from "./errors.js";

/** An error as the host reads it. */
export interface Failure {
  type: string;
  class?: string;
  message: string;
  traceback?: string;
  retry: boolean;
}

const MESSAGE_MAX = 64 * 1024; // characters
const TRACEBACK_MAX = 128 * 1024;
const HEADER_MAX = 1024 * 1024; // bytes
const CHAIN_MAX = 10; // causes and members that a traceback shows

const NO_MEMORY = "the task needs more memory than its ram option allows";
const NO_STACK = "the call stack is full: something calls itself without end, or too deep";

const { stringify } = JSON;

/** An error that nothing thrown stands behind; never retried. */
export function plainFailure(type: string, message: string): Failure {
  return { type, message: clip(message, MESSAGE_MAX), retry: false };
}

/** The error for anything that left a task. */
export function failureOf(error: unknown): Failure {
  const traceback = tracebackOf(error);
  const own = ownType(error, 0);
  if (own !== undefined) return { type: own, message: bareMessageOf(error), traceback, retry: false };
  if (isEngines(error, /out of memory/i)) return { type: "out_of_memory", message: NO_MEMORY, traceback, retry: true };
  const className = classOf(error);
  return {
    type: "task_error",
    ...(className === undefined ? {} : { class: className }),
    message: isEngines(error, /call stack|stack overflow/i) ? NO_STACK : messageOf(error),
    traceback,
    retry: mayRetry(error),
  };
}

/** The error for what ended the loading of a program. */
export function loadFailure(error: unknown): Failure {
  return { ...failureOf(error), type: "import_error", retry: false };
}

/** The header of a reply with this error, within its limit. Built of strings alone: no toJSON of a user's is called. */
export function errorHeader(failure: Failure, isAsync = false): string {
  for (let { message, traceback } = failure; ; ) {
    const head = `{"ok":false,${isAsync ? '"async":true,' : ""}"error":{"type":${quoted(failure.type)}`;
    const className = failure.class === undefined ? "" : `,"class":${quoted(failure.class)}`;
    const trace = traceback === undefined ? "" : `,"traceback":${quoted(traceback)}`;
    const text = `${head}${className},"message":${quoted(message)}${trace},"retry":${failure.retry}}}`;
    if (text.length * 3 <= HEADER_MAX) return text;
    if (traceback !== undefined && traceback.length > 1000) traceback = clip(traceback, traceback.length >> 1);
    else message = clip(message, message.length >> 1);
  }
}

function quoted(text: string): string {
  return stringify(text.toWellFormed());
}

// --- what an error says of itself

/** A property of anything; undefined if there's none, or reading it throws. */
function property(value: unknown, name: string): unknown {
  try {
    return (value as Record<string, unknown> | null | undefined)?.[name];
  } catch {
    return undefined;
  }
}

/** instanceof, which a proxy may refuse to answer. */
function isA<T>(value: unknown, kind: new (...args: never[]) => T): value is T {
  try {
    return value instanceof kind;
  } catch {
    return false;
  }
}

function mayRetry(error: unknown): boolean {
  try {
    return isRetried(error);
  } catch {
    return true;
  }
}

function isEngines(error: unknown, text: RegExp): boolean {
  const name = property(error, "name");
  return (name === "InternalError" || name === "RangeError") && text.test(String(property(error, "message")));
}

/** The type that an error claims by `capsule: {type: "policy"}`, as refusals of fetch and waitSignal do; of a group, one of its members'. */
function ownType(error: unknown, depth: number): string | undefined {
  if (typeof error !== "object" || error === null || depth > CHAIN_MAX) return undefined;
  if (property(property(error, "capsule"), "type") === "policy") return "policy";
  for (const member of membersOf(error)) {
    const type = ownType(member, depth + 1);
    if (type !== undefined) return type;
  }
  return undefined;
}

/** What an AggregateError holds. */
function membersOf(error: unknown): unknown[] {
  const members = property(error, "errors");
  try {
    return Array.isArray(members) ? members.slice(0, CHAIN_MAX) : [];
  } catch {
    return [];
  }
}

/** The name of an error's class: the `name` that it or its class gave it, else the class's own. */
function classOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const name = property(error, "name");
  const inherited = !gaveName(error);
  const constructor = property(property(error, "constructor"), "name");
  if (constructor === "Object" && inherited) return undefined;
  for (const candidate of inherited ? [constructor, name] : [name, constructor]) {
    if (typeof candidate === "string" && candidate !== "") return clip(candidate, 1000);
  }
  return isA(error, Error) ? "Error" : undefined;
}

function gaveName(error: object): boolean {
  try {
    return Object.hasOwn(error, "name") || Object.hasOwn(Object.getPrototypeOf(error), "name");
  } catch {
    return false;
  }
}

function messageOf(error: unknown): string {
  try {
    return clip(textOf(error), MESSAGE_MAX);
  } catch (broken) {
    return `(reading its message threw ${classOf(broken) ?? typeof broken})`;
  }
}

/** The message; of a TaskError without its type, which is said elsewhere. */
function bareMessageOf(error: unknown): string {
  const message = isA(error, TaskError) ? property(error, "message") : undefined;
  return typeof message === "string" ? clip(message, MESSAGE_MAX) : messageOf(error);
}

function textOf(error: unknown): string {
  if (isA(error, TaskError)) return error.toString();
  if (typeof error === "string") return error;
  if (typeof error !== "object" || error === null) return `${describe(error)} was thrown`;
  const { message } = error as { message?: unknown };
  if (typeof message === "string" && message !== "") return message;
  const members = membersOf(error);
  if (members.length > 0) return members.map(messageOf).join("; ");
  return isA(error, Error) ? "" : `an object that isn't an Error was thrown: ${describe(error)}`;
}

function describe(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object") return typeof value === "bigint" ? `${value}n` : String(value);
  try {
    return (stringify(value) ?? String(value)).slice(0, 1000);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** At most `limit` characters: the beginning and the end of a text. */
function clip(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const leftOut = `\n… ${text.length} characters, shortened …\n`;
  const room = Math.max(limit - leftOut.length, 0);
  const end = room >> 2;
  return text.slice(0, room - end) + leftOut + (end > 0 ? text.slice(-end) : "");
}

// --- tracebacks

const PROJECT = "/project/";
const FRAME = /^\s*at /;
const OURS = /\bcapsule:/; // the runtime's own files

/** A traceback as Node prints it, without our own frames, files relative to the project. */
function tracebackOf(error: unknown): string {
  try {
    const lines = written(error, new Set());
    if (typeof error !== "object" || error === null) lines[0] = `Uncaught ${lines[0]}`;
    return clip(lines.join("\n"), TRACEBACK_MAX) + "\n";
  } catch (broken) {
    return `(no traceback: ${classOf(broken) ?? "something"} was thrown while it was written)\n`;
  }
}

/** The lines for one error, and for what is in it. */
function written(error: unknown, seen: Set<unknown>): string[] {
  const head = headline(error);
  if (typeof error !== "object" || error === null) return [head];
  if (seen.has(error) || seen.size >= CHAIN_MAX) return [`${head} (…)`];
  seen.add(error);
  const lines = [head, ...framesOf(error)];
  const inner = [...causes(error, seen), ...groups(error, seen), ...childs(error)];
  if (inner.length === 0) return lines;
  lines[lines.length - 1] += " {";
  return [...lines, ...inner.map((line) => `  ${line}`), "}"];
}

function headline(error: unknown): string {
  const message = messageOf(error);
  const className = classOf(error);
  return className === undefined ? message : message === "" ? className : `${className}: ${message}`;
}

function causes(error: object, seen: Set<unknown>): string[] {
  const cause = property(error, "cause");
  return cause === undefined ? [] : labelled("[cause]: ", written(cause, seen));
}

function groups(error: object, seen: Set<unknown>): string[] {
  const lines = membersOf(error).flatMap((member) => written(member, seen).map((line) => `  ${line}`));
  return lines.length === 0 ? [] : ["[errors]: [", ...lines, "]"];
}

/** What a failed task said of itself. */
function childs(error: object): string[] {
  if (!isA(error, TaskError) || !error.traceback) return [];
  return labelled(`[inside task '${error.taskName}']: `, error.traceback.trimEnd().split("\n"));
}

function labelled(label: string, lines: string[]): string[] {
  return [label + lines[0], ...lines.slice(1)];
}

/** The user's frames of an error's stack. QuickJS's has no head line, V8's has one: frames begin with "at". */
function framesOf(error: object): string[] {
  const stack = property(error, "stack");
  if (typeof stack !== "string") return [];
  const frames = clip(stack, TRACEBACK_MAX)
    .split("\n")
    .filter((line) => FRAME.test(line));
  const last = frames.findLastIndex((line) => !OURS.test(line) && !line.endsWith("(native)"));
  return frames
    .slice(0, last + 1)
    .filter((line) => !OURS.test(line))
    .map((line) => `    ${line.trim().replace(PROJECT, "")}`);
}
