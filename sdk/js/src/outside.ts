/**
 * Owns tasks outside of a sandbox, in plain Node: a task is an ordinary function, called here and now.
 *
 * A function that isn't `async` has run when start() returns; what an `async` one computes goes on beside its caller, as
 * Promises do, and can't be stopped: cancelling it only ends the waiting. Errors are those that the functions threw.
 */
import type { Definition } from "./definition.js";
import { TaskError } from "./errors.js";
import { type FileSystem, setFileSystem } from "./files.js";
import { type Runtime, setRuntime } from "./runtime.js";
import { setWaiting } from "./waiting.js";
import { waitingOutside } from "./waiting_outside.js";

/** One started task. */
interface Call {
  state: "running" | "done" | "failed";
  outcome: unknown;
  arrived: ((op: number) => void) | undefined;
}

const calls = new Map<number, Call>();
let lastOp = 0;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** Calls a task's function, whose `this` is nothing, as in a sandbox. */
function run({ handler }: Definition, args: unknown[]): unknown {
  return handler(...args);
}

function settle(op: number, state: "done" | "failed", outcome: unknown): void {
  const call = calls.get(op);
  if (call === undefined || call.state !== "running") return;
  Object.assign(call, { state, outcome });
  call.arrived?.(op);
}

function start(task: Definition, args: unknown[]): number {
  const op = ++lastOp;
  calls.set(op, { state: "running", outcome: undefined, arrived: undefined });
  try {
    const value = run(task, args);
    if (isThenable(value)) {
      task.promises = true;
      value.then(
        (result) => settle(op, "done", result),
        (error: unknown) => settle(op, "failed", error),
      );
    } else settle(op, "done", value);
  } catch (error) {
    settle(op, "failed", error);
  }
  return op;
}

const local: Runtime = {
  call: run,
  start,
  finish(_task, op) {
    const { state, outcome } = calls.get(op)!;
    calls.delete(op);
    if (state === "failed") throw outcome;
    return outcome;
  },
  expect(op, arrived) {
    const call = calls.get(op)!;
    if (call.state === "running") call.arrived = arrived;
    else arrived(op);
  },
  isDone: (op) => calls.get(op)?.state !== "running",
  wait(op) {
    if (!local.isDone(op)) throw new Error("outside of a sandbox nothing can block until a Promise is settled; use await");
  },
  pump() {
    throw new Error("outside of a sandbox nothing can block until Promises are settled; use await");
  },
  cancel(op) {
    settle(op, "failed", new TaskError("the task was cancelled", { type: "cancelled" }));
  },
  concurrency: (task, wanted) => (task.isAsync ? wanted : 1),
};

const disk: FileSystem = {
  read: async (path) => new Uint8Array(await (await import("node:fs/promises")).readFile(path)),
  write: async (path, data) => (await import("node:fs/promises")).writeFile(path, data),
  list: async (path) => (await import("node:fs/promises")).readdir(path),
  exists: async (path) =>
    (await import("node:fs/promises")).access(path).then(
      () => true,
      () => false,
    ),
};

setRuntime(local);
setWaiting(waitingOutside);
setFileSystem(disk);

/** The environment variables that a task sees: in a sandbox those that its `envVariables` name. */
export const env: Readonly<Record<string, string | undefined>> = globalThis.process?.env ?? {};
