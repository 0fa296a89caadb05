/** Owns URL and URLSearchParams: whatwg-url, the reference implementation of the URL standard, shown as Node shows them. */
import "./early.js";
import { URL, URLSearchParams } from "whatwg-url";
import { custom, inspect, showAs, type InspectOptions } from "./inspect.js";

const PARTS = [
  "href",
  "origin",
  "protocol",
  "username",
  "password",
  "host",
  "hostname",
  "port",
  "pathname",
  "search",
  "searchParams",
  "hash",
] as const;

showAs(URL.prototype, (url) => Object.fromEntries(PARTS.map((part) => [part, url[part]])));

Object.defineProperty(URLSearchParams.prototype, custom, {
  value(this: URLSearchParams, depth: number | null, options: InspectOptions): string {
    if (depth !== null && depth < 0) return "[Object]";
    const pairs = [...this].map(([name, value]) => `${inspect(name, options)} => ${inspect(value, options)}`);
    return pairs.length > 0 ? `URLSearchParams { ${pairs.join(", ")} }` : "URLSearchParams {}";
  },
  writable: true,
  configurable: true,
});

export { URL, URLSearchParams };
