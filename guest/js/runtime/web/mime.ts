/** Owns media types: the MIME Sniffing standard's parsing and serialising of them. */

/** A media type. Names are in lower case. */
export interface MediaType {
  /** "text/html" */
  readonly essence: string;
  readonly parameters: Map<string, string>;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const QUOTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;

function trimmed(text: string): string {
  return text.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
}

/** What's quoted from `at` on, which is a quote, without its escapes; and where it ends. */
function unquoted(text: string, at: number): [value: string, end: number] {
  let value = "";
  for (at++; at < text.length && text[at] !== '"'; at++) {
    if (text[at] === "\\" && at + 1 < text.length) at++;
    value += text[at];
  }
  return [value, at + 1];
}

function readParameters(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (let at = 0; at < text.length;) {
    const name = /^[^;=]*/.exec(text.slice(at))![0];
    at += name.length;
    if (text[at] !== "=") {
      at++; // a ";" or the end: a parameter without a value
      continue;
    }
    at++;
    const quoted = text[at] === '"';
    let value: string;
    if (quoted) [value, at] = unquoted(text, at);
    else value = /^[^;]*/.exec(text.slice(at))![0].replace(/[\t\n\r ]+$/, "");
    const rest = text.indexOf(";", at);
    at = rest < 0 ? text.length : rest + 1;
    const key = name.replace(/^[\t\n\r ]+/, "").toLowerCase();
    if (TOKEN.test(key) && QUOTABLE.test(value) && (quoted || value !== "") && !parameters.has(key))
      parameters.set(key, value);
  }
  return parameters;
}

/** A media type, undefined for what isn't one. */
export function parseMediaType(text: string): MediaType | undefined {
  const semicolon = text.indexOf(";");
  const essence = trimmed(semicolon < 0 ? text : text.slice(0, semicolon));
  const [type, subtype, ...more] = essence.split("/");
  if (more.length > 0 || !TOKEN.test(type ?? "") || !TOKEN.test(subtype ?? "")) return undefined;
  const parameters = semicolon < 0 ? new Map() : readParameters(text.slice(semicolon + 1));
  return { essence: essence.toLowerCase(), parameters };
}

/** The opposite of {@link parseMediaType}. */
export function mediaTypeText({ essence, parameters }: MediaType): string {
  let text = essence;
  for (const [name, value] of parameters) text += `;${name}=${TOKEN.test(value) ? value : quote(value)}`;
  return text;
}

function quote(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The values of a header that lists some, separated by commas outside of quotes. */
function listed(header: string): string[] {
  return header.match(/(?:[^",]|"(?:[^"\\]|\\.)*(?:"|$))+/gs)?.map(trimmed) ?? [];
}

/**
 * The media type that a Content-Type header gives: the last one in it that is one. A charset is kept while its essence is repeated.
 */
export function extractMediaType(header: string): MediaType | undefined {
  let found: MediaType | undefined;
  let charset: string | undefined;
  for (const text of listed(header)) {
    const type = parseMediaType(text);
    if (type === undefined || type.essence === "*/*") continue;
    const own = type.parameters.get("charset");
    if (type.essence !== found?.essence || own !== undefined) charset = own;
    else if (charset !== undefined) type.parameters.set("charset", charset);
    found = type;
  }
  return found;
}
