/**
 * Owns maps: one task per item, a bounded number at once.
 *
 * A task is open from its start until its outcome was read; operations that are done stand in the inbox until then. Items
 * are taken from the iterable as tasks may start. After the first failure nothing is started any more, what is open is
 * cancelled and waited for, and the failure is what the caller gets.
 */
import type { Definition } from "./definition.js";
import { TaskError } from "./errors.js";
import { runtime } from "./runtime.js";

/** How a map runs. */
export interface MapOptions {
  /** How many tasks run at once at most; 2,048 by default. Further ones start as others end. */
  readonly concurrency?: number | undefined;
  /** Put a failed task's error in the place of its result, instead of cancelling the others and throwing it. */
  readonly returnErrors?: boolean | undefined;
}

/** How many run at once unless the caller says otherwise. One that waits costs memory only. */
const CONCURRENCY = 2048;

class Batch {
  readonly #task: Definition;
  readonly #concurrency: number;
  readonly #returnErrors: boolean;
  #calls: Iterator<unknown[]> | undefined;
  readonly #open = new Map<number, number>();
  #inbox: number[] = [];
  #wake: (() => void) | undefined;
  readonly #results: unknown[] = [];
  #started = 0;
  #failure: { error: unknown } | undefined;

  constructor(task: Definition, calls: Iterator<unknown[]>, options: MapOptions) {
    this.#task = task;
    this.#calls = calls;
    this.#concurrency = runtime.concurrency(task, limit(options.concurrency));
    this.#returnErrors = options.returnErrors ?? false;
  }

  readonly #arrived = (op: number): void => {
    this.#inbox.push(op);
    this.#wake?.();
    this.#wake = undefined;
  };

  /** Reads what has arrived and starts what may start. */
  advance(): void {
    do {
      if (this.#inbox.length > 0) this.#readInbox();
      this.#startMore();
    } while (this.#inbox.length > 0);
  }

  #readInbox(): void {
    const ops = this.#inbox;
    this.#inbox = [];
    for (const op of ops) {
      const i = this.#open.get(op)!;
      this.#open.delete(op);
      try {
        this.#results[i] = runtime.finish(this.#task, op);
      } catch (error) {
        this.#failed(i, error);
      }
    }
  }

  #startMore(): void {
    while (this.#calls !== undefined && this.#open.size < this.#concurrency) {
      const args = this.#nextCall();
      if (args === undefined) return;
      const i = this.#started++;
      try {
        const op = runtime.start(this.#task, args);
        this.#open.set(op, i);
        runtime.expect(op, this.#arrived);
      } catch (error) {
        if (error instanceof TaskError) this.#failed(i, error);
        else this.#fail(error);
      }
    }
  }

  #nextCall(): unknown[] | undefined {
    try {
      const next = this.#calls!.next();
      if (!next.done) return next.value;
      this.#calls = undefined;
    } catch (error) {
      this.#calls = undefined; // an iterator that threw is over, and isn't closed
      this.#fail(error);
    }
    return undefined;
  }

  #failed(i: number, error: unknown): void {
    if (this.#returnErrors) this.#results[i] = error;
    else this.#fail(error);
  }

  /** Ends with this failure, unless there's one already; what is open is cancelled and has yet to end. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    for (const op of this.#open.keys()) runtime.cancel(op);
    const calls = this.#calls;
    this.#calls = undefined;
    try {
      calls?.return?.();
    } catch {
      // the failure that came first is the one to tell
    }
  }

  ended(): boolean {
    return this.#calls === undefined && this.#open.size === 0;
  }

  results(): unknown[] {
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#results;
  }

  /** Settled when there's something in the inbox. */
  news(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#inbox.length > 0) resolve();
      else this.#wake = resolve;
    });
  }
}

function limit(wanted: number | undefined): number {
  if (wanted === undefined) return CONCURRENCY;
  if (typeof wanted !== "number" || !(wanted >= 1)) {
    throw new RangeError(`concurrency is ${String(wanted)}; at least one task has to run`);
  }
  return wanted;
}

/** Runs a task for each list of arguments: the results, or a Promise of them if the task gives Promises. */
export function runAll(task: Definition, calls: Iterator<unknown[]>, options: MapOptions = {}): unknown {
  if (task.isAsync) return later(task, calls, options);
  const batch = new Batch(task, calls, options);
  batch.advance();
  if (task.promises) return finished(batch);
  while (!batch.ended()) {
    runtime.pump();
    batch.advance();
  }
  return task.promises ? finished(batch) : batch.results();
}

async function later(task: Definition, calls: Iterator<unknown[]>, options: MapOptions): Promise<unknown[]> {
  const batch = new Batch(task, calls, options);
  batch.advance();
  return finished(batch);
}

async function finished(batch: Batch): Promise<unknown[]> {
  while (!batch.ended()) {
    await batch.news();
    batch.advance();
  }
  return batch.results();
}
