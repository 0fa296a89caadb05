/** Owns the choice of what runs tasks: the host of a sandbox (inside.ts), or this process itself (outside.ts). */
import type { Definition } from "./definition.js";

/** What runs tasks. An operation is one started task, by number. */
export interface Runtime {
  /** A plain call of a task: its result, or a Promise of it for an `async` handler. */
  call(task: Definition, args: unknown[]): unknown;
  /**
   * Starts a task.
   *
   * @throws TaskError the arguments can't cross (type "bad_input")
   */
  start(task: Definition, args: unknown[]): number;
  /** Returns or throws the outcome of an operation that is done, once. */
  finish(task: Definition, op: number): unknown;
  /** Has `arrived` called, once, when the operation is done. It only notes the news: it runs in the middle of other code. */
  expect(op: number, arrived: (op: number) => void): void;
  /** Whether an operation is done. */
  isDone(op: number): boolean;
  /** Blocks until an operation is done. */
  wait(op: number): void;
  /** Blocks until operations that are expected are done. */
  pump(): void;
  /** Asks for an operation's end; it's done as ever, by a failure unless it was quicker. */
  cancel(op: number): void;
  /** How many tasks of a map may run at once. */
  concurrency(task: Definition, wanted: number): number;
}

/** What runs tasks here. */
export let runtime: Runtime;

/** Chooses what runs tasks: once, before any of them is called. */
export function setRuntime(chosen: Runtime): void {
  runtime = chosen;
}
