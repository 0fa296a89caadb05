/** Owns the errors that task code meets and throws. */

/** What ended a task; docs/reference/errors.md describes each. */
export type ErrorType =
  | "task_error"
  | "timeout"
  | "out_of_fuel"
  | "out_of_memory"
  | "trap"
  | "cancelled"
  | "policy"
  | "not_found"
  | "bad_input"
  | "bad_output"
  | "interrupted"
  | "diverged"
  | "host_error";

/** Failures after which no further attempt is made: it would end the same way, or isn't for Capsule to decide. */
const NEVER_RETRIED: ReadonlySet<string> = new Set([
  "out_of_fuel",
  "policy",
  "not_found",
  "bad_input",
  "bad_output",
  "cancelled",
  "interrupted",
  "diverged",
]);

/** One HTTP request that a task made; the URL is without user name, password and the values of its query. */
export interface HostRequest {
  readonly method: string;
  readonly url: string;
  /** 0 if there was no response. */
  readonly status: number;
  readonly durationMs: number;
  readonly bytes: number;
}

/** What a failed task cost. Empty if it never ran. */
export interface Execution {
  readonly runId?: string;
  readonly taskName?: string;
  readonly state?: "failed" | "timed_out" | "cancelled" | "interrupted" | "completed";
  readonly durationMs?: number;
  /** Attempts after the first. */
  readonly retries?: number;
  /** Fuel of all attempts. */
  readonly fuelConsumed?: number;
  /** The largest memory, in bytes. */
  readonly ramUsed?: number;
  readonly hostRequests?: readonly HostRequest[];
}

/** Throw it (or a subclass) in a task to fail at once: no further attempt is made, whatever `maxRetries` says. */
export class NonRetryable extends Error {}
Object.defineProperty(NonRetryable.prototype, "name", { value: "NonRetryable", writable: true, configurable: true });

/**
 * No signal came in time: what `waitSignal(name, { timeout })` is rejected with.
 *
 * A task that lets it through isn't tried again: it would only wait for as long once more.
 */
export class SignalTimeout extends NonRetryable {
  /** The name of the signal that was waited for. */
  readonly signalName: string;

  constructor(signalName: string, message = `no signal "${signalName}" came in time`) {
    super(message);
    this.signalName = signalName;
  }
}
Object.defineProperty(SignalTimeout.prototype, "name", { value: "SignalTimeout", writable: true, configurable: true });

/** What a {@link TaskError} is made of. */
export interface TaskErrorDetails {
  type?: ErrorType;
  className?: string | undefined;
  traceback?: string | undefined;
  execution?: Execution | undefined;
  taskName?: string | undefined;
  /** Whether a task that lets this error through may be tried again, as far as its type allows that. */
  retry?: boolean | undefined;
  cause?: unknown;
}

/** Errors after which another attempt of the task that lets them through would end in the same way. */
const final = new WeakSet<TaskError>();

/** Whether a task that lets `error` through may be tried again. */
export function isRetried(error: unknown): boolean {
  return !(error instanceof NonRetryable) && !(error instanceof TaskError && final.has(error));
}

/** A task that was called from this one failed, after all its attempts. */
export class TaskError extends Error {
  /** What ended it: "task_error" (its code threw), "timeout", "out_of_memory", … */
  readonly type: ErrorType;
  /** Name of the error's class for "task_error"; undefined if what was thrown isn't an Error. */
  readonly className: string | undefined;
  /** The task's own traceback. */
  readonly traceback: string | undefined;
  /** Time, retries, fuel and memory of the failed task; empty if it never ran. */
  readonly execution: Execution;
  /** The task that failed. */
  readonly taskName: string | undefined;

  constructor(message: string, details: TaskErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.type = details.type ?? "task_error";
    this.className = details.className;
    this.traceback = details.traceback;
    this.execution = details.execution ?? {};
    this.taskName = details.taskName;
    if (details.retry === false || NEVER_RETRIED.has(this.type)) final.add(this);
  }

  /** The failure in a line: `task 'price' failed: RangeError: no such item`. */
  override toString(): string {
    const where = this.taskName === undefined ? "" : `task '${this.taskName}' failed: `;
    return `${where}${this.className ?? this.type}: ${this.message}`;
  }
}
Object.defineProperty(TaskError.prototype, "name", { value: "TaskError", writable: true, configurable: true });
