/** Owns how the host's refusals and failures look to a program: as Node's, a TypeError "fetch failed" with a cause. */

/** An error of the host, as in a reply's header (guest/abi.h). */
export interface HostFailure {
  type: string;
  kind: string;
  message: string;
}

/** Why a request failed; the cause of the TypeError that fetch rejects with. */
export class HttpError extends Error {
  /** docs/reference/http.md has the list: "dns", "connect", "tls", "timeout", "policy", … */
  readonly kind: string;
  /** "policy", "bad_input", "http_error" or "cancelled". */
  readonly type: string;

  constructor({ type, kind, message }: HostFailure) {
    super(message);
    this.type = type;
    this.kind = kind;
  }
}
Object.defineProperty(HttpError.prototype, "name", { value: "HttpError", writable: true, configurable: true });

/**
 * The error that a fetch may fail with, made when it begins: its stack then names the program's line. When it fails there's only the
 * event loop on the stack.
 */
export function possibleFailure(): TypeError {
  return new TypeError("fetch failed");
}

/** Fills a {@link possibleFailure} in. */
export function blame(error: TypeError, cause: unknown): TypeError {
  error.message = `fetch failed: ${cause instanceof Error ? cause.message : String(cause)}`;
  Object.defineProperty(error, "cause", { value: cause, writable: true, configurable: true });
  return error;
}

/**
 * Fills a {@link possibleFailure} in with what the host says.
 *
 * After a refusal by the task's policy the error also has `capsule`, which isn't enumerable: if nobody catches it, the task ends with the
 * type "policy".
 */
export function blameHost(error: TypeError, failure: HostFailure): TypeError {
  if (failure.type === "policy") {
    const { kind, message } = failure;
    Object.defineProperty(error, "capsule", { value: { type: "policy", kind, message }, configurable: true });
  }
  return blame(error, new HttpError(failure));
}
