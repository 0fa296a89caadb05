/**
 * A host for tests: runs "tasks" that are functions of the test, in virtual time.
 *
 * A task's function returns its result, throws, or says after(ms, …). Time passes only while somebody waits, so a test can
 * tell whether something waited for an hour.
 */
import type { Message, Operations } from "../../sdk/js/src/inside.js";

interface Op {
  due: number;
  reply: Message;
  arrived?: (op: number) => void;
}

/** A result that takes a while. */
export class After {
  constructor(
    readonly ms: number,
    readonly value: unknown,
    readonly async = false,
  ) {}
}

export const HOUR = 3_600_000;

/** A result after some virtual milliseconds. A function is called then. */
export function after(ms: number, value: unknown = null): After {
  return new After(ms, value);
}

/** What a task throws to fail with this error. */
export class Fails extends Error {
  constructor(readonly error: Record<string, unknown>) {
    super("fails");
  }
}

export function success(value: unknown, tagged = false, isAsync = false): Message {
  return [`{"ok":true,"tagged":${tagged}${isAsync ? ',"async":true' : ""}}`, JSON.stringify(value ?? null)];
}

export function failure(error: Record<string, unknown>): Message {
  return [JSON.stringify({ ok: false, error: { type: "task_error", message: "", retry: true, ...error } }), ""];
}

export class FakeHost implements Operations {
  now = 0;
  /** Everything that was submitted: [name, arguments]. */
  readonly submitted: [name: string, args: unknown[]][] = [];
  readonly headers: Record<string, unknown>[] = [];
  readonly cancelled: number[] = [];
  /** The largest number of operations that were open at once. */
  mostOpen = 0;
  openMax = 16384;
  readonly #ops = new Map<number, Op>();
  #last = 0;
  #looping = false;
  #closed = false;

  constructor(readonly tasks: Record<string, (...args: any[]) => unknown> = {}) {}

  /** Ends it: whoever still waits, waits in vain. */
  close(): void {
    this.#closed = true;
  }

  get open(): number {
    return this.#ops.size;
  }

  submit(headerText: string, body: string): number {
    if (this.#ops.size >= this.openMax) return 0;
    const header = JSON.parse(headerText) as { op: string };
    this.headers.push(header);
    const op = ++this.#last;
    this.#ops.set(op, this.#started(header, body));
    this.mostOpen = Math.max(this.mostOpen, this.#ops.size);
    return op;
  }

  /** A signal that is waited for is a "task", too: named "signal NAME". The clock began in 1970. */
  #started(header: Record<string, any>, body: string): Op {
    switch (header["op"]) {
      case "task.call": {
        const [args] = JSON.parse(body) as [unknown[], object];
        this.submitted.push([header["task"], args]);
        return this.#run(header["task"], args, header["tagged"]);
      }
      case "sleep": {
        const due = "until_ns" in header ? header["until_ns"] / 1e6 : this.now + header["duration_ns"] / 1e6;
        return { due: Math.max(due, this.now), reply: ['{"ok":true}', ""] };
      }
      case "signal.wait":
        return this.#run(`signal ${header["name"]}`, [], false);
      default:
        throw new Error(`unknown operation ${header["op"]}`);
    }
  }

  #run(name: string, args: unknown[], tagged: boolean): Op {
    const task = this.tasks[name];
    if (task === undefined) return { due: this.now, reply: failure({ type: "not_found", message: `no task ${name}` }) };
    try {
      const value = task(...args);
      if (value instanceof After) return { due: this.now + value.ms, reply: success(value.value, tagged, value.async) };
      return { due: this.now, reply: success(value, tagged) };
    } catch (error) {
      if (!(error instanceof Fails)) throw error;
      const { after: ms = 0, ...rest } = error.error as { after?: number };
      return { due: this.now + ms, reply: failure(rest) };
    }
  }

  wait(op: number, timeoutMs: number): boolean {
    const one = this.#get(op);
    if (timeoutMs < 0) this.now = Math.max(this.now, one.due);
    return one.due <= this.now;
  }

  take(op: number): Message {
    const one = this.#get(op);
    if (one.due > this.now) throw new Error(`operation ${op} isn't done`);
    this.#ops.delete(op);
    return one.reply;
  }

  expect(op: number, arrived: (op: number) => void): void {
    this.#get(op).arrived = arrived;
    this.#loop();
  }

  pump(): void {
    const expected = [...this.#ops].filter(([, one]) => one.arrived !== undefined);
    if (expected.length === 0) throw new Error("nothing can wake this sandbox");
    const first = Math.min(...expected.map(([, one]) => one.due));
    this.now = Math.max(this.now, first);
    for (const [op, one] of expected.sort(([, a], [, b]) => a.due - b.due)) {
      if (one.due > this.now || !this.#ops.has(op)) continue;
      const { arrived } = one;
      delete one.arrived;
      arrived?.(op);
    }
  }

  cancel(op: number): void {
    const one = this.#get(op);
    this.cancelled.push(op);
    if (one.due <= this.now) return;
    one.due = this.now;
    one.reply = failure({ type: "cancelled", message: "the task was cancelled", retry: false });
  }

  #get(op: number): Op {
    const one = this.#ops.get(op);
    if (one === undefined) throw new Error(`there is no operation ${op}`);
    return one;
  }

  /** The event loop: when the program waits, time passes. */
  #loop(): void {
    if (this.#looping) return;
    this.#looping = true;
    setImmediate(() => {
      this.#looping = false;
      if (this.#closed || ![...this.#ops.values()].some((one) => one.arrived !== undefined)) return;
      this.pump();
      this.#loop();
    });
  }
}
