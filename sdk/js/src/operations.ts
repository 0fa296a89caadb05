/** Owns how the host's operations are reached, inside a sandbox. */
import type { Message } from "./message.js";

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

/** The host's operations. */
export let operations: Operations;

/** Says how they are reached. */
export function setOperations(given: Operations): void {
  operations = given;
}

/** Starts an operation. While too many are open, waits until one of those that are expected is done. */
export function submitted(header: string, body: string): number {
  for (;;) {
    const op = operations.submit(header, body);
    if (op !== 0) return op;
    operations.pump();
  }
}
