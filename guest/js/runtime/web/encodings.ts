/** Owns the labels of encodings (WHATWG Encoding, "names and labels") that TextDecoder knows, and the tables of windows-1252 and UTF-16. */
import * as native from "capsule:native";

/** Encodings that can be decoded. */
export type EncodingName = "utf-8" | "utf-16le" | "utf-16be" | "windows-1252";

const LABELS: Record<EncodingName, string> = {
  "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
  "utf-16be": "unicodefffe utf-16be",
  "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
  "windows-1252":
    "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 " +
    "iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
};

const names = new Map<string, EncodingName>();
for (const [name, labels] of Object.entries(LABELS))
  for (const label of labels.split(" ")) names.set(label, name as EncodingName);

/** The encoding of a label, undefined if there's none. */
export function encodingOf(label: string): EncodingName | undefined {
  return names.get(label) ?? names.get(label.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase());
}

/** What windows-1252 has at 0x80 to 0x9F; the rest is as in Latin-1. */
const WINDOWS_1252 =
  "\u20AC\x81\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\x8D\u017D\x8F" +
  "\x90\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\x9D\u017E\u0178";

/** Bytes as windows-1252; every byte is a character. */
export function decodeWindows1252(bytes: Uint8Array): string {
  return native.decodeLatin1(bytes).replace(/[\x80-\x9f]/g, (char) => WINDOWS_1252[char.charCodeAt(0) - 0x80]!);
}

/** Code units of a whole number of pairs of bytes; lone surrogates stay. */
export function decodeUtf16(bytes: Uint8Array, littleEndian: boolean): string {
  const units = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const part = new Uint16Array(Math.min(4096, bytes.length / 2));
  let text = "";
  for (let at = 0; at < bytes.length;) {
    let n = 0;
    for (; n < part.length && at < bytes.length; at += 2) part[n++] = units.getUint16(at, littleEndian);
    text += String.fromCharCode.apply(null, part.subarray(0, n) as unknown as number[]);
  }
  return text;
}

/**
 * How many bytes at the end of `bytes` begin a UTF-8 sequence that isn't complete but may become so: 0 to 3.
 * Such a beginning is kept for the next chunk; everything before it can be decoded on its own.
 */
export function unfinishedUtf8(bytes: Uint8Array): number {
  const n = bytes.length;
  for (let back = 1; back <= 3 && back <= n; back++) {
    const lead = bytes[n - back]!;
    if (lead < 0x80 || lead > 0xf4) return 0;
    if (lead < 0xc0) continue; // a continuation: its lead is further back
    const needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
    return back < needed && mayFollow(lead, back > 1 ? bytes[n - back + 1]! : undefined) ? back : 0;
  }
  return 0;
}

/** Whether a second byte can stand after the first: not in overlong forms, surrogates, or past U+10FFFF. */
function mayFollow(lead: number, second: number | undefined): boolean {
  if (second === undefined) return true;
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second <= 0x8f;
  return true;
}
