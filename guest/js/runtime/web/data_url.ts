/** Owns data: URLs, as the Fetch standard reads them. */
import * as native from "capsule:native";
import { mediaTypeText, parseMediaType } from "./mime.js";

function percentDecoded(text: string): Uint8Array {
  const bytes = native.encodeUtf8(text);
  let n = 0;
  for (let at = 0; at < bytes.length; at++, n++) {
    const hex = bytes[at] === 0x25 ? native.decodeLatin1(bytes.subarray(at + 1, at + 3)) : "";
    const escape = /^[0-9A-Fa-f]{2}$/.test(hex);
    bytes[n] = escape ? parseInt(hex, 16) : bytes[at]!;
    if (escape) at += 2;
  }
  return bytes.slice(0, n);
}

/**
 * The media type and the bytes of a data: URL.
 *
 * @param href serialised by URL, without the fragment
 * @returns undefined if it's malformed
 */
export function readDataUrl(href: string): { type: string; bytes: Uint8Array } | undefined {
  const comma = href.indexOf(",");
  if (comma < 0) return undefined;
  const head = href.slice("data:".length, comma).trim();
  let bytes = percentDecoded(href.slice(comma + 1));
  const base64 = /; *base64$/i.exec(head);
  if (base64 !== null) {
    try {
      bytes = Uint8Array.from(atob(native.decodeLatin1(bytes)), (char) => char.charCodeAt(0));
    } catch {
      return undefined;
    }
  }
  const text = base64 === null ? head : head.slice(0, base64.index);
  const type = parseMediaType(text.startsWith(";") ? `text/plain${text}` : text);
  return { type: type === undefined ? "text/plain;charset=US-ASCII" : mediaTypeText(type), bytes };
}
