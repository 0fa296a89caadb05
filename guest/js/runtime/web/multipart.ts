/**
 * Owns multipart/form-data (RFC 7578, as the HTML and Fetch standards use it) in both directions, and reading
 * application/x-www-form-urlencoded into a FormData.
 *
 *   --BOUNDARY CRLF Content-Disposition: form-data; name="…" [; filename="…"] CRLF [Content-Type: … CRLF] CRLF content CRLF
 *   … --BOUNDARY-- CRLF
 */
import * as native from "capsule:native";
import { blobBytes, File } from "./blob.js";
import { joined } from "./bytes.js";
import { TextDecoder } from "./encoding.js";
import { FormData } from "./form_data.js";
import { URLSearchParams } from "./url.js";

function escaped(name: string): string {
  return name.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
}

function unescaped(name: string): string {
  return name.replaceAll("%0A", "\n").replaceAll("%0D", "\r").replaceAll("%22", '"');
}

function withCrlf(text: string): string {
  return text.replace(/\r\n|\r|\n/g, "\r\n");
}

function newBoundary(): string {
  const random = new Uint8Array(16);
  native.randomFill(random);
  return `----formdata-capsule-${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** A form as bytes, and the boundary that separates its fields. */
export function encodeMultipart(form: FormData): { bytes: Uint8Array; boundary: string } {
  const boundary = newBoundary();
  const parts: Uint8Array[] = [];
  for (const [name, value] of form) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(withCrlf(name))}"`;
    if (typeof value === "string") {
      parts.push(native.encodeUtf8(`${head}\r\n\r\n${withCrlf(value)}\r\n`));
      continue;
    }
    head += `; filename="${escaped(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}\r\n\r\n`;
    parts.push(native.encodeUtf8(head), blobBytes(value), native.encodeUtf8("\r\n"));
  }
  parts.push(native.encodeUtf8(`--${boundary}--\r\n`));
  return { bytes: joined(parts), boundary };
}

interface PartHead {
  name: string;
  filename: string | undefined;
  type: string | undefined;
}

function malformed(why: string): TypeError {
  return new TypeError(`Failed to parse body as FormData: ${why}`);
}

/** The header of a part. `text` has a character per byte, so names are decoded from UTF-8 here. */
function readHead(text: string): PartHead {
  const head: Partial<PartHead> = {};
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw malformed("a part's header is no header");
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    const name = line.slice(0, colon).toLowerCase();
    if (name === "content-type") head.type = value;
    else if (name === "content-disposition") readDisposition(value, head);
  }
  if (head.name === undefined) throw malformed("a part has no name");
  return { filename: undefined, type: undefined, ...head } as PartHead;
}

function readDisposition(value: string, head: Partial<PartHead>): void {
  if (!/^form-data\s*(;|$)/i.test(value)) throw malformed("a part is no form-data");
  for (const [, key, quoted, token] of value.matchAll(/;\s*([^=;\s]+)=(?:"([^"]*)"|([^;\s]*))/g)) {
    const text = unescaped(native.decodeUtf8(latin1Bytes(quoted ?? token ?? ""), false));
    if (key!.toLowerCase() === "name") head.name = text;
    else if (key!.toLowerCase() === "filename") head.filename = text;
  }
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/**
 * A form of the bytes of a multipart body.
 *
 * @throws TypeError if they're malformed
 */
export function decodeMultipart(bytes: Uint8Array, boundary: string): FormData {
  const form = new FormData();
  const text = native.decodeLatin1(bytes); // positions in it are positions in the bytes
  const delimiter = `--${boundary}`;
  let at = text.startsWith(delimiter) ? 0 : text.indexOf(`\r\n${delimiter}`) + 2;
  if (at < 2 && !text.startsWith(delimiter)) throw malformed("the boundary isn't there");
  for (;;) {
    at += delimiter.length;
    if (text.startsWith("--", at)) return form;
    const start = /^[ \t]*\r\n/.exec(text.slice(at, at + 256));
    if (start === null) throw malformed("a boundary isn't followed by a line end");
    at += start[0].length;
    const headEnd = text.indexOf("\r\n\r\n", at);
    const end = headEnd < 0 ? -1 : text.indexOf(`\r\n${delimiter}`, headEnd + 2);
    if (end < 0) throw malformed("a part doesn't end");
    const content = bytes.subarray(headEnd + 4, Math.max(end, headEnd + 4));
    addPart(form, readHead(text.slice(at, headEnd)), content);
    at = end + 2;
  }
}

function addPart(form: FormData, head: PartHead, content: Uint8Array): void {
  if (head.filename === undefined) {
    form.append(head.name, new TextDecoder("utf-8", { ignoreBOM: true }).decode(content));
    return;
  }
  form.append(head.name, new File([content], head.filename, { type: head.type ?? "text/plain" }));
}

/** A form of the bytes of an urlencoded body; nothing is malformed. */
export function decodeUrlencoded(bytes: Uint8Array): FormData {
  const form = new FormData();
  for (const [name, value] of new URLSearchParams(native.decodeUtf8(bytes, false).replace(/^\?/, "%3F")))
    form.append(name, value);
  return form;
}
