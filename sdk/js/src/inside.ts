/**
 * Owns tasks inside a sandbox: what the C shim calls, and the calls of tasks by tasks. Bundled into the guest's image.
 *
 * A call is one host operation, from its start to the reading of its outcome. call() runs once in every sandbox, on memory
 * that was copied from the image, so it's written for few steps and few written pages.
 */
import * as api from "./api.js";
import { CodecError, decode, encode, encodeSimple, SIMPLE_MAX, type Written } from "./codec.js";
import { setFuelLeft } from "./context.js";
import { type Definition, describe, found } from "./definition.js";
import { type ErrorType, type Execution, TaskError } from "./errors.js";
import { errorHeader, failureOf, loadFailure, plainFailure } from "./failure.js";
import { type FileSystem, setFileSystem } from "./files.js";
import { enter, isRunning, leave, running } from "./header.js";
import { type Runtime, setRuntime } from "./runtime.js";

export { describe, errorHeader, failureOf, leave, loadFailure };
export type { Place, RegisteredTask } from "./definition.js";
export type { Failure } from "./failure.js";

/** A message: its header, and its body as text. */
export type Message = [header: string, body: string];

/** The operations of the host, as the runtime offers them (guest/js/runtime/main.ts). */
export interface Operations {
  /** Starts an operation; its number, or 0 while too many are open. */
  submit(header: string, body: string): number;
  /** Parks the sandbox until this operation is done; false if it isn't in time (negative: without limit). */
  wait(op: number, timeoutMs: number): boolean;
  /** The reply of an operation that is done; frees it. Who expected it isn't told any more. */
  take(op: number): Message;
  /** Has `arrived` called, once, by the event loop or by pump(), when an operation is done. */
  expect(op: number, arrived: (op: number) => void): void;
  /** Parks the sandbox until operations that are expected are done, and tells those who expect them. */
  pump(): void;
  /** Asks the host to end an operation soon; it's done as ever. */
  cancel(op: number): void;
}

/** What the runtime gives besides. */
export interface Guest {
  operations: Operations;
  files: FileSystem;
  /** What this attempt may still use, in fuel. */
  fuelLeft(): number;
}

/** A message holds 64 MiB; the header's share is taken off. In characters, which are a byte or more. */
const BODY_MAX = 63 * 1024 * 1024;

const PLAIN = '{"ok":true,"tagged":false}';

const { apply } = Reflect;
const { parse } = JSON;

let operations: Operations;

/** What `import … from "@capsule-run/sdk"` gives in a sandbox. */
export const sdk = { ...api, env: {} as Record<string, string> };

/** Gets ready, while the base image is built. */
export function install(guest: Guest): void {
  operations = guest.operations;
  setRuntime(inside);
  setFileSystem({ ...guest.files, hint });
  setFuelLeft(guest.fuelLeft);
}

// --- calls of other tasks

function started(task: Definition, args: unknown[]): number {
  if (!isRunning()) {
    throw new Error(
      `task "${task.name}" was called while its module is imported; a module's top level runs once, when the image is ` +
        "built, and can't call tasks. Call it from inside a task",
    );
  }
  const { text, tagged } = encodedArguments(task, args);
  const header = task.headers[tagged ? 1 : 0];
  const body = `[${text},{}]`;
  for (;;) {
    const op = operations.submit(header, body);
    if (op !== 0) return op;
    operations.pump();
  }
}

function encodedArguments(task: Definition, args: unknown[]): Written {
  let n = args.length;
  while (n > 0 && args[n - 1] === undefined) n--; // so that defaults of parameters hold
  const text = simpleArguments(args, n);
  if (text !== undefined) return { text, tagged: false };
  try {
    const written = encode(n < args.length ? args.slice(0, n) : args, (i) => `argument ${i + 1}`, false);
    if (written.text.length <= BODY_MAX) return written;
    throw new CodecError(`the arguments are ${megabytes(written.text)}; pass the path of a file instead`);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new TaskError(error.message, { type: "bad_input", taskName: task.name });
  }
}

/** The JSON of arguments that are neither objects nor arrays. */
function simpleArguments(args: unknown[], n: number): string | undefined {
  let text = "";
  for (let i = 0; i < n; i++) {
    const one = encodeSimple(args[i]);
    if (one === undefined || text.length > SIMPLE_MAX) return undefined;
    text += i === 0 ? one : `,${one}`;
  }
  return `[${text}]`;
}

function megabytes(text: string): string {
  return `${Math.ceil(text.length / 1e6)} MB of JSON, and a message holds ${Math.floor(BODY_MAX / 1e6)} MB`;
}

/** What a reply says: the result, or the failure thrown. */
function outcome(task: Definition, [head, body]: Message): unknown {
  if (head === PLAIN) return parse(body);
  const header: ReplyHeader = parse(head);
  if (header.async) task.promises = true;
  if (header.ok) return decode(body, header.tagged ?? false);
  throw failed(task, header.error ?? {});
}

interface ReplyHeader {
  ok: boolean;
  tagged?: boolean;
  async?: boolean;
  error?: WireError;
}

interface WireError {
  type?: ErrorType;
  class?: string;
  message?: string;
  traceback?: string;
  retry?: boolean;
  execution?: Record<string, unknown>;
}

function failed(task: Definition, error: WireError): TaskError {
  return new TaskError(error.message ?? "", {
    type: error.type ?? "host_error",
    className: error.class,
    traceback: error.traceback,
    retry: error.retry,
    taskName: task.name,
    execution: renamed(error.execution ?? {}) as Execution,
  });
}

/** The host's names as JavaScript writes them: duration_ms is durationMs. */
function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (typeof value !== "object" || value === null) return value;
  const camel = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camel(key), renamed(inner)]));
}

function called(task: Definition, args: unknown[]): unknown {
  if (task.isAsync) return calledAsync(task, args);
  const op = started(task, args);
  operations.wait(op, -1);
  const reply = operations.take(op);
  return reply[0] === PLAIN ? parse(reply[1]) : calledSync(task, reply);
}

function calledAsync(task: Definition, args: unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    operations.expect(started(task, args), (op) => {
      try {
        resolve(outcome(task, operations.take(op)));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** A handler that isn't `async` and returned a Promise: the caller gets one, too. */
function calledSync(task: Definition, reply: Message): unknown {
  const gavePromise = reply[0].includes('"async":true') && (parse(reply[0]) as ReplyHeader).async === true;
  if (!gavePromise) return outcome(task, reply);
  return new Promise((resolve) => resolve(outcome(task, reply)));
}

const inside: Runtime = {
  call: called,
  start: started,
  finish: (task, op) => outcome(task, operations.take(op)),
  expect: (op, arrived) => operations.expect(op, arrived),
  isDone: (op) => operations.wait(op, 0),
  wait: (op) => void operations.wait(op, -1),
  pump: () => operations.pump(),
  cancel: (op) => operations.cancel(op),
  concurrency: (_task, wanted) => wanted,
};

// --- the call of this sandbox

/** A reply: the body alone if its header is {"ok":true,"tagged":false}. */
export type Reply = string | Message;

/** Runs a task: once in every sandbox. Throws nothing, and its Promise is never rejected. */
export function call(headerText: string, bodyText: string): Reply | Promise<Reply> {
  try {
    const { task: name, outer, tagged, env } = enter(headerText);
    const task = found(name);
    if (task === undefined) return refusal("not_found", `there is no task "${name}"`);
    if (env !== undefined) Object.assign(sdk.env, env);
    let args: unknown[];
    try {
      args = argumentsOf(bodyText, tagged);
    } catch (error) {
      return refusal("bad_input", `the arguments can't be read: ${(error as Error).message}`);
    }
    const result = apply(task.handler, undefined, args);
    if (typeof result === "object" && result !== null && typeof (result as { then?: unknown }).then === "function") {
      return settled(task, result as PromiseLike<unknown>, outer);
    }
    return encodeSimple(result) ?? encoded(result, outer, false);
  } catch (error) {
    return [errorHeader(failureOf(error)), ""];
  }
}

/** JavaScript has no keyword arguments: those that the command line was given are one object, after the others. */
function argumentsOf(bodyText: string, tagged: boolean): unknown[] {
  const both = decode(bodyText, tagged) as [unknown[], Record<string, unknown>];
  const args = both[0];
  if (!bodyText.endsWith(",{}]") && Object.keys(both[1]).length > 0) args.push(both[1]);
  return args;
}

/** `await` rather than then(): a program may have replaced Promise.prototype.then. */
async function settled(task: Definition, promise: PromiseLike<unknown>, outer: boolean): Promise<Reply> {
  try {
    const result = await promise;
    return (task.isAsync ? encodeSimple(result) : undefined) ?? encoded(result, outer, !task.isAsync);
  } catch (error) {
    return [errorHeader(failureOf(error), !task.isAsync), ""];
  }
}

function encoded(result: unknown, outer: boolean, isAsync: boolean): Reply {
  let written: Written;
  try {
    written = encode(result, "result", outer);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return refusal("bad_output", error.message);
  }
  const { text, tagged } = written;
  if (text.length > BODY_MAX) {
    return refusal("bad_output", `the result is ${megabytes(text)}. Write it to a file instead`);
  }
  if (!tagged && !isAsync) return text;
  return [`{"ok":true,"tagged":${tagged}${isAsync ? ',"async":true' : ""}}`, text];
}

function refusal(type: ErrorType, message: string): Message {
  return [errorHeader(plainFailure(type, message)), ""];
}

// --- files

const NOT_REACHED = new Set(["ENOENT", "EACCES", "EPERM", "ENOTCAPABLE", "EROFS"]);

/** What could help where a file isn't there: it's perhaps none of those that the task was given. */
function hint(path: string, code: string): string | undefined {
  const task = found(running()?.task ?? "");
  if (task === undefined || !NOT_REACHED.has(code)) return undefined;
  const allowed = (task.options["allowed_files"] ?? []) as (string | { path: string; mode?: string })[];
  const over = allowed.find((item) => isWithin(plainPath(path), plainPath(typeof item === "string" ? item : item.path)));
  if (over === undefined) return `a task sees the files that its allowedFiles lists, and those of "${task.name}" don't include this`;
  const readOnly = typeof over !== "string" && over.mode === "ro";
  return readOnly && code !== "ENOENT" ? `allowedFiles lists it with mode "ro"` : undefined;
}

/** A path from the project on, without "." and "..". */
function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.replace(/^\/project(?=\/|$)/, ".").split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return (path.startsWith("/") && !path.startsWith("/project") ? "/" : "") + parts.join("/");
}

function isWithin(path: string, folder: string): boolean {
  return folder === "" || path === folder || path.startsWith(`${folder}/`);
}
