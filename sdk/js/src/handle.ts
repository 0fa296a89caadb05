/** Owns the handle of a task that was started. */
import type { Definition } from "./definition.js";
import { runtime } from "./runtime.js";

/**
 * A task that was started: what `.start()` returns.
 *
 * `await handle` waits for its result while other code of the task runs; `handle.result()` blocks. Both may be repeated.
 * A failed task throws TaskError, a cancelled one a TaskError of type "cancelled". A handle is accepted wherever a
 * Promise is: `Promise.all`, `Promise.race`, …
 *
 * A task whose handle is forgotten runs on, and is cancelled when the task that started it ends.
 */
export interface Handle<T> extends Promise<T> {
  /** The name of the task that was started. */
  readonly taskName: string;
  /** Whether it has ended: result() wouldn't wait. */
  done(): boolean;
  /**
   * Returns the result; blocks until it's there. In an `async` handler use `await` instead: while this waits, nothing
   * else of the task runs.
   *
   * @throws TaskError the task failed or was cancelled
   */
  result(): T;
  /**
   * Cancels the task and all that it started. It ends soon, not at once; who waits for it gets a TaskError of type
   * "cancelled", unless the task was quicker.
   *
   * @returns false if it had ended before
   */
  cancel(): boolean;
}

class TaskHandle<T> implements Handle<T> {
  readonly #task: Definition;
  readonly #op: number;
  #state: "running" | "done" | "failed" = "running";
  #outcome: unknown;
  #promise: Promise<T> | undefined;
  #settle: (() => void) | undefined;

  constructor(task: Definition, op: number) {
    this.#task = task;
    this.#op = op;
    runtime.expect(op, () => this.#finish());
  }

  get taskName(): string {
    return this.#task.name;
  }

  #finish(): void {
    if (this.#state !== "running") return;
    try {
      this.#outcome = runtime.finish(this.#task, this.#op);
      this.#state = "done";
    } catch (error) {
      this.#outcome = error;
      this.#state = "failed";
    }
    this.#settle?.();
  }

  done(): boolean {
    if (this.#state === "running" && runtime.isDone(this.#op)) this.#finish();
    return this.#state !== "running";
  }

  result(): T {
    if (this.#state === "running") {
      runtime.wait(this.#op);
      this.#finish();
    }
    if (this.#state === "failed") throw this.#outcome;
    return this.#outcome as T;
  }

  cancel(): boolean {
    if (this.done()) return false;
    runtime.cancel(this.#op);
    return true;
  }

  /** Made when somebody asks: the failure of a handle that nobody awaits is no unhandled rejection. */
  #awaited(): Promise<T> {
    return (this.#promise ??= new Promise((resolve, reject) => {
      this.#settle = () => (this.#state === "failed" ? reject(this.#outcome) : resolve(this.#outcome as T));
      if (this.#state !== "running") this.#settle();
    }));
  }

  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#awaited().then(onFulfilled, onRejected);
  }

  catch<Other = never>(onRejected?: ((reason: unknown) => Other | PromiseLike<Other>) | null): Promise<T | Other> {
    return this.#awaited().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.#awaited().finally(onFinally);
  }

  get [Symbol.toStringTag](): string {
    return `Handle of task "${this.#task.name}", ${this.#state}`;
  }
}

/** Starts a task. */
export function start<T>(task: Definition, args: unknown[]): Handle<T> {
  return new TaskHandle<T>(task, runtime.start(task, args));
}
