/** Owns Request: what a fetch is asked to do. What only browsers have (mode, credentials, cache, …) is kept and means nothing. */
import { AbortController, AbortSignal } from "./abort.js";
import { bodyOf, mixBody, type Body, type BodyInit, type BodyState } from "./body.js";
import { fill, Headers, type HeadersInit } from "./headers.js";
import { showAs } from "./inspect.js";
import { URL } from "./url.js";
import { isPlainUrl } from "./plain_url.js";

/** What a request may be made of. */
export type RequestInfo = string | URL | Request;

/** Options of {@link Request} and fetch. */
export interface RequestInit {
  method?: string;
  headers?: HeadersInit;
  body?: BodyInit | null;
  signal?: AbortSignal | null;
  redirect?: "follow" | "error" | "manual";
  /** Needed, with a body that is a stream: the response comes after the body was sent. */
  duplex?: "half";
  mode?: string;
  credentials?: string;
  cache?: string;
  referrer?: string;
  referrerPolicy?: string;
  integrity?: string;
  keepalive?: boolean;
  priority?: string;
  window?: null;
}

/** Settings that are text: what each may be, first the default; an empty list: anything. */
const SETTINGS = {
  redirect: ["follow", "error", "manual"],
  mode: ["cors", "no-cors", "same-origin"],
  credentials: ["same-origin", "include", "omit"],
  cache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
  referrerPolicy: [
    "",
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
  ],
  referrer: ["about:client"],
  integrity: [""],
} as const;

type Setting = keyof typeof SETTINGS;

const ANY_TEXT = new Set<Setting>(["referrer", "integrity"]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const UPPERCASED = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);

function methodOf(given: unknown): string {
  const method = String(given);
  const upper = method.toUpperCase();
  if (!TOKEN.test(method)) throw new TypeError(`'${method}' is not a valid HTTP method`);
  if (FORBIDDEN.has(upper)) throw new TypeError(`'${method}' HTTP method is unsupported`);
  return UPPERCASED.has(upper) ? upper : method;
}

function urlOf(input: unknown): string {
  const text = String(input);
  if (isPlainUrl(text)) return text;
  const url = URL.parse(text);
  if (url === null) throw new TypeError(`Failed to parse URL from ${text}`);
  if (url.username !== "" || url.password !== "")
    throw new TypeError("a request's URL can't include credentials: send them in an Authorization header");
  return url.href;
}

/** What a request is. */
interface State {
  readonly url: string;
  readonly method: string;
  readonly settings: Record<Setting, string>;
  readonly keepalive: boolean;
  /** The signal that it was given. */
  readonly signal: AbortSignal | undefined;
  readonly headers: Headers;
  readonly body: BodyState | null;
}

function settingsOf(init: RequestInit, from: State | undefined): Record<Setting, string> {
  const settings = {} as Record<Setting, string>;
  for (const name of Object.keys(SETTINGS) as Setting[]) {
    const allowed: readonly string[] = SETTINGS[name];
    const given = init[name] === undefined ? (from?.settings[name] ?? allowed[0]!) : String(init[name]);
    if (!ANY_TEXT.has(name) && !allowed.includes(given))
      throw new TypeError(`Request: "${given}" is not a valid value for ${name}`);
    settings[name] = given;
  }
  return settings;
}

function signalOf(init: RequestInit, from: AbortSignal | undefined): AbortSignal | undefined {
  const given = init.signal;
  if (given === undefined) return from;
  if (given === null) return undefined;
  if (!(given instanceof AbortSignal)) throw new TypeError("Request: member signal is not of type 'AbortSignal'");
  return given;
}

function bodyFor(method: string, headers: Headers, init: RequestInit, from: BodyState | null): BodyState | null {
  const given = init.body ?? null;
  if ((given ?? from) !== null && (method === "GET" || method === "HEAD"))
    throw new TypeError("Request with GET/HEAD method cannot have body.");
  if (given === null) {
    if (from?.unusable)
      throw new TypeError("Cannot construct a Request with a Request object that has already been used.");
    return from?.move() ?? null;
  }
  const body = bodyOf(given);
  if (body.length === undefined && init.duplex === undefined)
    throw new TypeError("RequestInit: duplex option is required when sending a body.");
  if (body.type !== undefined && !headers.has("content-type")) headers.append("Content-Type", body.type);
  return body;
}

function stateFor(input: unknown, init: RequestInit, from: State | undefined): State {
  const url = from === undefined ? urlOf(input) : from.url;
  const settings = settingsOf(init, from);
  const keepalive = init.keepalive === undefined ? (from?.keepalive ?? false) : Boolean(init.keepalive);
  const method = init.method === undefined ? (from?.method ?? "GET") : methodOf(init.method);
  const signal = signalOf(init, from?.signal);
  const headers = new Headers();
  const given = init.headers ?? from?.headers;
  if (given !== undefined) fill(headers, given);
  const body = bodyFor(method, headers, init, from?.body ?? null);
  return { url, method, settings, keepalive, signal, headers, body };
}

function checkedInit(init: unknown): RequestInit {
  if (init === null || init === undefined) return {};
  if (typeof init !== "object" && typeof init !== "function")
    throw new TypeError("Request: the options have to be an object");
  const options = init as RequestInit;
  if (options.window !== undefined && options.window !== null)
    throw new TypeError("Request: 'window' option must be null");
  if (options.duplex !== undefined && options.duplex !== "half")
    throw new TypeError(`Request: "${options.duplex}" is not a valid value for duplex`);
  if (options.priority !== undefined && !/^(auto|low|high)$/.test(String(options.priority)))
    throw new TypeError(`Request: "${options.priority}" is not a valid value for priority`);
  return options;
}

let stateOf: (request: Request) => State;

/** A request. */
export class Request {
  readonly #state: State;
  #signal: AbortSignal | undefined;

  static {
    stateOf = (request) => request.#state;
  }

  /**
   * @param input an absolute URL, or a request; a request's body moves to the new one
   * @throws TypeError for what can't be requested
   */
  constructor(input: RequestInfo, init: RequestInit | null = {}) {
    if (arguments.length === 0) throw new TypeError("Request: 1 argument required, but only 0 present");
    this.#state = stateFor(input, checkedInit(init), input instanceof Request ? input.#state : undefined);
  }

  get method(): string {
    return this.#state.method;
  }
  get url(): string {
    return this.#state.url;
  }
  get headers(): Headers {
    return this.#state.headers;
  }
  get destination(): "" {
    return "";
  }
  get referrer(): string {
    return this.#state.settings.referrer;
  }
  get referrerPolicy(): string {
    return this.#state.settings.referrerPolicy;
  }
  get mode(): string {
    return this.#state.settings.mode;
  }
  get credentials(): string {
    return this.#state.settings.credentials;
  }
  get cache(): string {
    return this.#state.settings.cache;
  }
  get redirect(): "follow" | "error" | "manual" {
    return this.#state.settings.redirect as "follow";
  }
  get integrity(): string {
    return this.#state.settings.integrity;
  }
  get keepalive(): boolean {
    return this.#state.keepalive;
  }
  get isReloadNavigation(): false {
    return false;
  }
  get isHistoryNavigation(): false {
    return false;
  }
  /** Follows the signal that was given. */
  get signal(): AbortSignal {
    const given = this.#state.signal;
    this.#signal ??= given === undefined ? new AbortController().signal : AbortSignal.any([given]);
    return this.#signal;
  }
  get duplex(): "half" {
    return "half";
  }

  /** A second request; both bodies can be read. @throws TypeError if this one's was */
  clone(): Request {
    if (this.#state.body?.unusable) throw new TypeError("Request.clone: Body has already been consumed.");
    const body = this.#state.body?.clone();
    return new Request(this, body === undefined ? {} : { body: body as never, duplex: "half" });
  }
}

export interface Request extends Body {}
mixBody(Request.prototype, (request) => stateOf(request).body);

showAs(Request.prototype, (request) => ({
  method: request.method,
  url: request.url,
  headers: request.headers,
  destination: request.destination,
  referrer: request.referrer,
  referrerPolicy: request.referrerPolicy,
  mode: request.mode,
  credentials: request.credentials,
  cache: request.cache,
  redirect: request.redirect,
  integrity: request.integrity,
  keepalive: request.keepalive,
  isReloadNavigation: request.isReloadNavigation,
  isHistoryNavigation: request.isHistoryNavigation,
  signal: request.signal,
}));

/** The body of a request, null if it has none. */
export const requestBody = (request: Request): BodyState | null => stateOf(request).body;

/** The signal that a request was given. Unlike `signal` it makes none. */
export const givenSignal = (request: Request): AbortSignal | undefined => stateOf(request).signal;
