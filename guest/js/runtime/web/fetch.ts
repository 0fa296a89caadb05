/**
 * Owns fetch: a request as operations of the host (guest/abi.h, http.*).
 *
 * The promise resolves when the head has come; the body is read on demand (host_body.ts), so what isn't read waits at the server. A signal
 * ends the request in each of its stages: before it's sent, while its body goes out, while the head is awaited, while the body is read.
 */
import { onAbort, type AbortSignal } from "./abort.js";
import { ofBytes, ofRemote, type BodyState } from "./body.js";
import { discard, submit, take, whenDone, reply } from "./completion.js";
import { readDataUrl } from "./data_url.js";
import { wirePairs } from "./headers.js";
import { closeRequest, HostBody } from "./host_body.js";
import { blame, blameHost, possibleFailure } from "./http_error.js";
import { givenSignal, Request, requestBody, type RequestInfo, type RequestInit } from "./request.js";
import { hasNoBody, responseOf, type Answer, type Response } from "./response.js";
import type { ReadableStreamDefaultReader } from "web-streams-polyfill";

/** Bytes of a body up to which it comes with the head, in one operation instead of three. */
const ANSWER_WHOLE_MAX = 64 * 1024;

/** A body up to this goes with the request, in one message; the limit is 64 MiB with the header (guest/abi.h). */
const WHOLE_MAX = 60 * 1024 * 1024;

/** Bytes of one http.write. */
const PART = 256 * 1024;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

interface Failure {
  reason: unknown;
}

/** One request under way, until its head has come or it failed. */
class Exchange {
  readonly #request: Request;
  readonly #signal: AbortSignal | undefined;
  readonly #url: string;
  readonly #error: TypeError;
  #op = 0;
  #failure: Failure | undefined;
  #reject: (reason: unknown) => void = () => {};
  #body: HostBody | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #takeBack: () => void = () => {};

  constructor(request: Request, error: TypeError) {
    this.#request = request;
    this.#error = error;
    this.#signal = givenSignal(request);
    const hash = request.url.indexOf("#");
    this.#url = hash < 0 ? request.url : request.url.slice(0, hash);
  }

  /** The response, when its head has come. */
  start(): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      try {
        this.#send();
      } catch (error) {
        reject(blame(this.#error, error));
        return;
      }
      whenDone(this.#op, (op) => this.#answer(op, resolve));
      if (this.#signal !== undefined) this.#takeBack = onAbort(this.#signal, () => this.#abort());
    });
  }

  #send(): void {
    const body = requestBody(this.#request);
    const bytes = body?.bytes;
    if (body === null || (bytes !== undefined && bytes.length <= WHOLE_MAX)) {
      this.#op = submit(this.#head(undefined), body?.send());
      return;
    }
    this.#op = submit(this.#head(body));
    this.#upload(body.stream().getReader()).catch((error: unknown) => this.#fail(blame(this.#error, error)));
  }

  #head(upload: BodyState | undefined): object {
    const { method, headers, redirect } = this.#request;
    return {
      op: "http.request",
      method,
      url: this.#url,
      headers: wirePairs(headers),
      ...(redirect === "follow" ? undefined : { redirects: 0 }),
      stream: method !== "HEAD",
      whole: ANSWER_WHOLE_MAX,
      upload: upload !== undefined,
      ...(upload?.length === undefined ? undefined : { length: upload.length }),
    };
  }

  #abort(): void {
    const reason: unknown = this.#signal!.reason;
    if (this.#body !== undefined) this.#body.fail(reason);
    else this.#fail(reason);
  }

  /** Gives the request up before its head has come. */
  #fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.#takeBack();
    if (this.#reader !== undefined) void this.#reader.cancel(reason).catch(() => {});
    discard(this.#op);
    closeRequest(this.#op); // answers the request itself, too
    this.#reject(reason);
  }

  #answer(op: number, resolve: (response: Response) => void): void {
    const [header, bytes] = take(op);
    if (!header.ok) {
      this.#takeBack();
      this.#reject(blameHost(this.#error, header.error));
      return;
    }
    const answer = header as Answer & { stream: boolean };
    const open = answer.stream ? new HostBody(op, lengthOf(answer), this.#error) : undefined;
    if (this.#request.redirect === "error" && REDIRECTS.has(answer.status)) {
      open?.close();
      this.#takeBack();
      this.#reject(blame(this.#error, new TypeError("unexpected redirect")));
      return;
    }
    resolve(this.#response(answer, open, bytes));
  }

  #response(answer: Answer, open: HostBody | undefined, bytes: Uint8Array): Response {
    const told = { ...answer, url: answer.redirected ? answer.url : this.#url };
    const none = hasNoBody(answer.status) || this.#request.method === "HEAD";
    if (open !== undefined && !none) {
      this.#body = open;
      open.onEnd = this.#takeBack;
      return responseOf(told, ofRemote(open));
    }
    open?.close();
    this.#takeBack();
    return responseOf(told, none ? null : ofBytes(bytes, undefined));
  }

  /** Sends the body in parts, each when the host has room. An answer that comes before the end ends it, which isn't an error. */
  async #upload(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    this.#reader = reader;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const chunk: unknown = next.value;
      if (!(chunk instanceof Uint8Array)) throw new TypeError("Received a chunk that is not a Uint8Array");
      for (let at = 0; at < chunk.length; at += PART)
        if (!(await this.#write(chunk.subarray(at, at + PART), false))) {
          await reader.cancel(this.#failure?.reason);
          return;
        }
    }
    this.#reader = undefined;
    await this.#write(undefined, true);
  }

  /** Whether the part was taken. If it wasn't, the reply to the request says why. */
  async #write(part: Uint8Array | undefined, end: boolean): Promise<boolean> {
    if (this.#failure !== undefined) return false;
    const [header] = await reply(submit({ op: "http.write", request: this.#op, end }, part));
    return header.ok;
  }
}

/** What Content-Length says of the body as it comes here; NaN if nothing. */
function lengthOf({ headers }: Answer): number {
  let length = NaN;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === "content-encoding") return NaN; // the host has undone it
    if (lower === "content-length") length = Number(value);
  }
  return length;
}

function fromDataUrl(request: Request, error: TypeError): Response {
  const found = readDataUrl(request.url.replace(/#.*$/s, ""));
  if (found === undefined) throw blame(error, new TypeError("the data: URL is malformed"));
  const body = request.method === "HEAD" ? null : ofBytes(found.bytes, found.type);
  return responseOf(
    { status: 200, url: request.url, redirected: false, headers: [["content-type", found.type]] },
    body,
  );
}

/**
 * Makes a request, through the host and by the task's rules (docs/reference/http.md).
 *
 * @param input an absolute URL (http, https or data), or a request
 * @returns the response, when its head has come; a bad status is no error
 * @throws TypeError (the promise rejects) "fetch failed: …", whose cause has `kind` and `type`; what the signal's reason is, if it aborts
 */
export async function fetch(input: RequestInfo, init?: RequestInit): Promise<Response> {
  if (arguments.length === 0) throw new TypeError("fetch: 1 argument required, but only 0 present");
  const request = new Request(input, init);
  const signal = givenSignal(request);
  if (signal?.aborted) {
    void requestBody(request)
      ?.stream()
      .cancel(signal.reason)
      .catch(() => {});
    throw signal.reason;
  }
  const scheme = request.url.slice(0, request.url.indexOf(":"));
  const error = possibleFailure();
  if (scheme === "data") return fromDataUrl(request, error);
  if (scheme !== "http" && scheme !== "https")
    throw blame(error, new TypeError(`the scheme "${scheme}" is not supported`));
  return new Exchange(request, error).start();
}
