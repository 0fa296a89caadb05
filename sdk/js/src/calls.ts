/**
 * Owns the calls of tasks by tasks, inside a sandbox: one host operation each, from its start to the reading of its outcome.
 * Waiting for one parks the whole sandbox; an `async` task's Promise is settled by the event loop.
 */
import { CodecError, decode, encode, encodeSimple, SIMPLE_MAX, type Written } from "./codec.js";
import type { Definition } from "./definition.js";
import { type ErrorType, type Execution, TaskError } from "./errors.js";
import { isRunning } from "./header.js";
import { type Message, PLAIN, tooLong } from "./message.js";
import { operations, submitted } from "./operations.js";
import type { Runtime } from "./runtime.js";

const { parse } = JSON;

function started(task: Definition, args: unknown[]): number {
  if (!isRunning()) {
    throw new Error(
      `task "${task.name}" was called while its module is imported; a module's top level runs once, when the image is ` +
        "built, and can't call tasks. Call it from inside a task",
    );
  }
  const { text, tagged } = encodedArguments(task, args);
  return submitted(task.headers[tagged ? 1 : 0], `[${text},{}]`);
}

function encodedArguments(task: Definition, args: unknown[]): Written {
  let n = args.length;
  while (n > 0 && args[n - 1] === undefined) n--; // so that defaults of parameters hold
  const text = simpleArguments(args, n);
  if (text !== undefined) return { text, tagged: false };
  try {
    const written = encode(n < args.length ? args.slice(0, n) : args, (i) => `argument ${i + 1}`, false);
    const excess = tooLong(written.text);
    if (excess === undefined) return written;
    throw new CodecError(`the arguments are ${excess}. Pass the path of a file instead`);
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

/** What a reply says: the result, or the failure thrown. */
function outcome(task: Definition, reply: Message): unknown {
  if (reply[0] === PLAIN) return parse(reply[1]);
  const header: ReplyHeader = parse(reply[0]);
  if (header.async) task.promises = true;
  if (header.ok) return decode(reply[1], header.tagged ?? false);
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

/** What runs tasks in a sandbox. */
export const inside: Runtime = {
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
