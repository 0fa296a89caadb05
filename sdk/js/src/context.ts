/** Owns what a running task may know about itself. */
import { type CallHeader, isRunning, running } from "./header.js";

/** The task that is running. */
export interface Context {
  /** The run that this task belongs to; the same for all tasks of a run. */
  readonly runId: string;
  /** This task within the run. */
  readonly taskId: string;
  /** Its name, as registered. */
  readonly taskName: string;
  /** 1 for the first attempt, then 2, 3, … */
  readonly attempt: number;
  /**
   * Stays the same over all attempts of this task and over a resumed run. Hand it to services that accept one, and a
   * repeated attempt has its effect once.
   */
  readonly idempotencyKey: string;
  /** When this attempt is stopped, or null. */
  readonly deadline: Date | null;
  /** Fuel that this attempt may still use, now; Infinity outside a sandbox. */
  remainingFuel(): number;
}

let fuelLeft: () => number = () => Infinity;
let current: { header: CallHeader; context: Context } | undefined;

/** Says how the fuel that is left is read. */
export function setFuelLeft(read: () => number): void {
  fuelLeft = read;
}

/**
 * The running task.
 *
 * Outside a sandbox, and while a module's top level runs, there is none to report: the result then has `runId`, `taskId`
 * and `taskName` "local", attempt 1, no deadline, and an idempotency key that is new on every call.
 */
export function context(): Context {
  const header = running();
  if (header === undefined) return made("local", "local", "local", 1, `local-${crypto.randomUUID()}`, null);
  if (current?.header !== header) current = { header, context: described(header) };
  return current.context;
}

function described({ run_id, task_id, task, attempt, key, deadline_ns: ns }: CallHeader): Context {
  return made(run_id, String(task_id), task, attempt, key, ns === undefined ? null : new Date(ns / 1e6));
}

function made(
  runId: string,
  taskId: string,
  taskName: string,
  attempt: number,
  idempotencyKey: string,
  deadline: Date | null,
): Context {
  const remainingFuel = (): number => (isRunning() ? fuelLeft() : Infinity);
  return Object.freeze({ runId, taskId, taskName, attempt, idempotencyKey, deadline, remainingFuel });
}
