/**
 * Owns the operations that are under way: who waits for which. fetch and the SDK are built on it.
 *
 * An operation is a number that the host gave (guest/abi.h). Each one's reply is taken exactly once, by whoever waits or, when nobody
 * wants it any more, by {@link discard}. Of what a reply says nothing is judged here: `{"ok": false, …}` is a reply like any other.
 */
import * as native from "capsule:native";

/** What the host answered: the header as JSON, and the bytes after it. */
export type Reply = [header: any, body: Uint8Array];

const waiting = new Map<number, (op: number) => void>();

native.onDone((op) => {
  const wake = waiting.get(op);
  if (wake !== undefined) {
    waiting.delete(op);
    wake(op);
  }
});

/**
 * Starts an operation.
 *
 * @param header an object, or the JSON of one
 * @param body raw bytes, or text that is sent as UTF-8
 * @returns its number; somebody has to take the reply
 * @throws Error if the host refuses the message itself
 */
export function submit(header: object | string, body?: Uint8Array | string): number {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  for (;;) {
    const op = native.submit(text, body);
    if (op !== 0) return op;
    native.pump(); // too many are open: until one of them is done
  }
}

/** Calls `wake` once when an operation is done; `wake` takes its reply. The event loop goes on until then. */
export function whenDone(op: number, wake: (op: number) => void): void {
  waiting.set(op, wake);
  native.watch(op);
}

/** The reply of an operation that is done. */
export function take(op: number): Reply {
  const [header, body] = native.take(op);
  return [JSON.parse(header), body];
}

/** The reply of an operation that was submitted. */
export function reply(op: number): Promise<Reply> {
  return new Promise((resolve) => whenDone(op, (done) => resolve(take(done))));
}

/** Takes the reply of an operation that is done, its body as text; whoever else waited for it isn't told any more. */
export function takeText(op: number): [header: string, body: string] {
  waiting.delete(op);
  return native.takeText(op);
}

/** Starts an operation whose reply nobody wants; while too many are open it isn't started. */
export function tell(header: string): void {
  const op = native.submit(header);
  if (op !== 0) discard(op);
}

/** Lets an operation go on, but nobody wants its reply: it's thrown away when it comes. Nor does the event loop wait for it. */
export function discard(op: number): void {
  waiting.set(op, native.take);
}
