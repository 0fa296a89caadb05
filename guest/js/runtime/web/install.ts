/** Owns the list of what the web platform is here, and puts it on the global object. Everything is evaluated once, into the image. */
import "./early.js";
import { AbortController, AbortSignal } from "./abort.js";
import { Blob, File } from "./blob.js";
import { structuredClone } from "./clone.js";
import { console } from "./console.js";
import { Crypto, crypto, CryptoKey, SubtleCrypto } from "./crypto.js";
import { TextDecoder, TextEncoder } from "./encoding.js";
import { TextDecoderStream, TextEncoderStream } from "./encoding_streams.js";
import { CustomEvent, ErrorEvent, Event, PromiseRejectionEvent } from "./event.js";
import { EventTarget } from "./event_target.js";
import { define, exposeInterfaces } from "./expose.js";
import { fetch } from "./fetch.js";
import { FormData } from "./form_data.js";
import { Headers } from "./headers.js";
import { Navigator, navigator } from "./navigator.js";
import {
  Performance,
  performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  refresh as refreshPerformance,
} from "./performance.js";
import { reportError } from "./report.js";
import { Request } from "./request.js";
import { Response } from "./response.js";
import { streams } from "./streams.js";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "./timers.js";
import { URL, URLSearchParams } from "./url.js";

const interfaces = {
  AbortController,
  AbortSignal,
  Blob,
  Crypto,
  CryptoKey,
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  File,
  FormData,
  Headers,
  Navigator,
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  PromiseRejectionEvent,
  Request,
  Response,
  SubtleCrypto,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  URL,
  URLSearchParams,
  ...streams,
};

const values = {
  clearInterval,
  clearTimeout,
  console,
  crypto,
  fetch,
  navigator,
  performance,
  reportError,
  setInterval,
  setTimeout,
  structuredClone,
};

/** Defines every global of the web platform. Called once, while the base image is built. */
export function install(target: typeof globalThis): void {
  define(target, "self", target);
  exposeInterfaces(target, interfaces);
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "function") Object.defineProperty(value, "name", { value: name, configurable: true });
    define(target, name, value);
  }
}

/** Forgets what must be a sandbox's own. Called before each task call; next to nothing. */
export function refresh(): void {
  refreshPerformance();
}
