/**
 * Owns the body of a response that the host holds: http.read and http.close of guest/abi.h.
 *
 * A request holds one of the task's places until its end was read or it's closed. A program that drops a response without reading it does
 * neither, so the garbage collector does it.
 */
import * as native from "capsule:native";
import type { Remote } from "./body.js";
import { submit, take, tell, whenDone } from "./completion.js";
import { blameHost } from "./http_error.js";

/** Bytes that are asked for at once. The host reads ahead by less, so nothing waits for more. */
const READ_MAX = 1024 * 1024;

/**
 * From so many open bodies on some may be garbage that wasn't found yet: a body whose stream was looked at is part of a cycle. A task has 64
 * places as a rule, and one that fills them with garbage would wait for ever.
 */
const OPEN_MANY = 32;
const OPEN_MORE = 8;

let open = 0;

const dropped = new FinalizationRegistry<number>((request) => {
  open--;
  closeRequest(request);
});

/** Ends a request whatever its state. The reply is of no interest. */
export function closeRequest(request: number): void {
  tell(`{"op":"http.close","request":${request}}`);
}

/** The unread rest of a response. */
export class HostBody implements Remote {
  readonly #request: number;
  readonly #error: TypeError;
  /** Takes it off the list of what may be dropped. Not the body itself: QuickJS forgets the body then. */
  readonly #token = {};
  /** Bytes that are still to come, where the response says how many. */
  #left: number;
  #open = true;
  #failure: { reason: unknown } | undefined;
  /** Rejects the read that's under way. */
  #reject: ((reason: unknown) => void) | undefined;
  onFailure?: (reason: unknown) => void;
  /** Called when there's nothing more to come. */
  onEnd?: () => void;

  /**
   * @param request the operation that brought the head
   * @param length bytes of the body; NaN if that isn't known
   * @param error what a failure of the host is told by
   */
  constructor(request: number, length: number, error: TypeError) {
    this.#request = request;
    this.#left = length;
    this.#error = error;
    dropped.register(this, request, this.#token);
    if (++open >= OPEN_MANY && open % OPEN_MORE === 0) native.collect();
  }

  read(): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (!this.#open) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      whenDone(submit(this.#question()), (op) => this.#receive(op, resolve));
    });
  }

  #question(): string {
    return `{"op":"http.read","request":${this.#request},"max":${READ_MAX}}`;
  }

  #receive(op: number, resolve: (chunk: Uint8Array | undefined) => void): void {
    const [header, chunk] = take(op);
    if (this.#failure !== undefined) return; // rejected already
    if (!header.ok) {
      this.#end();
      this.fail(blameHost(this.#error, header.error));
      return;
    }
    this.#reject = undefined;
    this.#left -= chunk.length;
    if (header.end) this.#end();
    else if (this.#left === 0) this.#finish();
    resolve(chunk.length > 0 ? chunk : undefined);
  }

  /** All has come: nobody needs to wait for the reply that says so, but the host ends the request by giving it. */
  #finish(): void {
    tell(this.#question());
    this.#end();
  }

  #end(): void {
    this.#open = false;
    dropped.unregister(this.#token);
    open--;
    this.onEnd?.();
  }

  close(): void {
    if (!this.#open) return;
    this.#end();
    closeRequest(this.#request);
  }

  /** Ends it with a reason, which whoever reads now or later gets. */
  fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.close();
    this.#reject?.(reason);
    this.#reject = undefined;
    this.onFailure?.(reason);
  }
}
