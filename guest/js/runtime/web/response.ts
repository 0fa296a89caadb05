/** Owns Response: what came back, or what a program makes up as if it had. */
import * as native from "capsule:native";
import { bodyOf, mixBody, ofBytes, type Body, type BodyInit, type BodyState } from "./body.js";
import { fill, freeze, Headers, ofWire, type HeadersInit } from "./headers.js";
import { showAs } from "./inspect.js";
import { statusTextOf } from "./status_text.js";
import { URL } from "./url.js";

/** Options of {@link Response}. */
export interface ResponseInit {
  /** 200 to 599. */
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
}

/** What a response has besides headers and body. */
interface Head {
  type: "default" | "basic" | "error";
  url: string;
  redirected: boolean;
  status: number;
  statusText: string;
}

const NULL_BODY = new Set([101, 103, 204, 205, 304]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

let stateOf: (response: Response) => BodyState | null;
let made: (head: Head, headers: Headers, body: BodyState | null) => Response;

function headOf(init: ResponseInit): Head {
  const status = init.status === undefined ? 200 : Number(init.status) & 0xffff;
  if (status < 200 || status > 599)
    throw new RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
  const statusText = init.statusText === undefined ? "" : String(init.statusText);
  if (!REASON.test(statusText)) throw new TypeError("Invalid statusText");
  return { type: "default", url: "", redirected: false, status, statusText };
}

/** A response. */
export class Response {
  #head: Head;
  #headers: Headers;
  #body: BodyState | null = null;

  static {
    stateOf = (response) => response.#body;
    made = (head, headers, body) => {
      const response = new Response();
      response.#head = head;
      response.#headers = headers;
      response.#body = body;
      return response;
    };
  }

  /** @throws RangeError for a status outside of 200 to 599; TypeError for a body where the status allows none */
  constructor(body: BodyInit | null | undefined = null, init: ResponseInit | null = {}) {
    if (init !== null && typeof init !== "object" && typeof init !== "function")
      throw new TypeError("Response: the options have to be an object");
    this.#head = headOf(init ?? {});
    this.#headers = new Headers();
    if (init?.headers !== undefined) fill(this.#headers, init.headers);
    if (body === null || body === undefined) return;
    if (NULL_BODY.has(this.#head.status))
      throw new TypeError(`Response constructor: Invalid response status code ${this.#head.status}`);
    this.#body = bodyOf(body);
    const type = this.#body.type;
    if (type !== undefined && !this.#headers.has("content-type")) this.#headers.append("Content-Type", type);
  }

  /** A response of type "error". */
  static error(): Response {
    const head: Head = { type: "error", url: "", redirected: false, status: 0, statusText: "" };
    return made(head, freeze(new Headers()), null);
  }

  /** A redirect. @throws TypeError for what isn't an absolute URL; RangeError for a status that doesn't redirect */
  static redirect(url: string | URL, status: number = 302): Response {
    const target = URL.parse(String(url));
    if (target === null) throw new TypeError(`Failed to parse URL from ${url}`);
    if (!REDIRECTS.has(Number(status) & 0xffff)) throw new RangeError(`Invalid status code ${status}`);
    const response = new Response(null, { status });
    response.#headers.set("Location", target.href);
    freeze(response.#headers);
    return response;
  }

  /** A value as JSON. @throws TypeError for a value that has none */
  static json(data: unknown, init: ResponseInit | null = {}): Response {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Value is not JSON serializable");
    const response = new Response(null, init);
    if (NULL_BODY.has(response.status))
      throw new TypeError(`Response constructor: Invalid response status code ${response.status}`);
    response.#body = ofBytes(native.encodeUtf8(text), "application/json");
    if (!response.#headers.has("content-type")) response.#headers.append("Content-Type", "application/json");
    return response;
  }

  get type(): "default" | "basic" | "error" {
    return this.#head.type;
  }
  /** Where it came from, after redirects. */
  get url(): string {
    return this.#head.url;
  }
  get redirected(): boolean {
    return this.#head.redirected;
  }
  get status(): number {
    return this.#head.status;
  }
  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.#head.status >= 200 && this.#head.status <= 299;
  }
  get statusText(): string {
    return this.#head.statusText;
  }
  get headers(): Headers {
    return this.#headers;
  }

  /** A second response; both bodies can be read. @throws TypeError if this one's was */
  clone(): Response {
    if (this.#body?.unusable) throw new TypeError("Response.clone: Body has already been consumed.");
    const headers = new Headers(this.#headers);
    if (this.#head.type !== "default") freeze(headers);
    return made(this.#head, headers, this.#body?.clone() ?? null);
  }
}

export interface Response extends Body {}
mixBody(Response.prototype, (response) => stateOf(response));

showAs(Response.prototype, (response) => ({
  status: response.status,
  statusText: response.statusText,
  headers: response.headers,
  body: response.body,
  bodyUsed: response.bodyUsed,
  ok: response.ok,
  redirected: response.redirected,
  type: response.type,
  url: response.url,
}));

/** What a server answered, as the host tells it. */
export interface Answer {
  status: number;
  url: string;
  redirected: boolean;
  headers: readonly (readonly [string, string])[];
}

/** Whether a response of this status has no body. */
export function hasNoBody(status: number): boolean {
  return NULL_BODY.has(status);
}

/** A response that came: its headers can't be changed. */
export function responseOf(answer: Answer, body: BodyState | null): Response {
  const { status, url, redirected } = answer;
  const head: Head = { type: "basic", url, redirected, status, statusText: statusTextOf(status) };
  return made(head, ofWire(answer.headers, "immutable"), body);
}
