/**
 * Owns the operations that are under way: who waits for which. fetch and the SDK are built on it.
 *
 * An operation is a number that the host gave (guest/abi.h). Each one's reply is taken exactly once, by whoever waits or, when nobody
 * wants it any more, by {@link discard}. Of what a reply says nothing is judged here: `{"ok": false, …}` is a reply like any other.
 */
import * as native from "capsule:native";

/** What the host answered: the header as JSON, and the bytes after it. */
export type Reply<Body = Uint8Array> = [header: any, body: Body];

/** How a reply is fetched: `native.take` for bytes, `native.takeText` for a body that is text. */
type Take<Body> = (op: number) => [header: string, body: Body];

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
 * @throws Error if the host refuses the message itself, or too many operations are open
 */
export function submit(header: object | string, body?: Uint8Array | string): number {
  const op = native.submit(typeof header === "string" ? header : JSON.stringify(header), body);
  if (op === 0) throw new Error("too many operations are open at once; wait for some of them");
  return op;
}

/** Calls `wake` once when an operation is done; `wake` takes its reply. The event loop goes on until then. */
export function whenDone(op: number, wake: (op: number) => void): void {
  waiting.set(op, wake);
  native.watch(op);
}

/** The reply of an operation that is done. */
export function take<Body = Uint8Array>(op: number, how: Take<Body> = native.take as Take<Body>): Reply<Body> {
  const [header, body] = how(op);
  return [JSON.parse(header), body];
}

/** The reply of an operation that was submitted. */
export function reply(op: number): Promise<Reply> {
  return new Promise((resolve) => whenDone(op, (done) => resolve(take(done))));
}

/** The same with the body as text; faster for JSON. */
export function replyText(op: number): Promise<Reply<string>> {
  return new Promise((resolve) => whenDone(op, (done) => resolve(take(done, native.takeText))));
}

/** The same, blocking the whole sandbox. */
export function replyNow(op: number): Reply {
  native.wait([op], -1);
  return take(op);
}

/** The same with the body as text. */
export function replyTextNow(op: number): Reply<string> {
  native.wait([op], -1);
  return take(op, native.takeText);
}

/** Starts an operation and gives its reply. Parameters and errors: {@link submit}. */
export function operation(header: object | string, body?: Uint8Array | string): Promise<Reply> {
  return new Promise((resolve) => whenDone(submit(header, body), (done) => resolve(take(done))));
}

/** The same, blocking the whole sandbox. */
export function operationNow(header: object | string, body?: Uint8Array | string): Reply {
  return replyNow(submit(header, body));
}

/** Asks the host to end an operation soon. Whoever waits gets its reply all the same: an error of type "cancelled" as a rule. */
export const cancel: (op: number) => void = native.cancel;

/** Starts an operation whose reply nobody wants; while too many are open it isn't started. */
export function tell(header: string): void {
  const op = native.submit(header);
  if (op !== 0) discard(op);
}

/** Lets an operation go on, but nobody wants its reply: it's thrown away when it comes. Nor does the event loop wait for it. */
export function discard(op: number): void {
  waiting.set(op, native.take);
}
