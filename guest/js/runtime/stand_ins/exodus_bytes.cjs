/* Stands in for @exodus/bytes in whatwg-url, which calls one function of it, here always for UTF-8. See ../bundle.mjs. */
"use strict";

const encoder = new TextEncoder();

function encoded(byte) {
  return (byte < 16 ? "%0" : "%") + byte.toString(16).toUpperCase();
}

function containsOne(text, characters) {
  for (const character of characters) if (text.includes(character)) return true;
  return false;
}

/* https://url.spec.whatwg.org/#string-percent-encode-after-encoding; set: the characters to encode besides C0 controls and all past "~". */
exports.percentEncodeAfterEncoding = (encoding, text, set) => {
  if (encoding.toLowerCase() !== "utf-8") throw new RangeError(`${encoding}: only UTF-8 is supported`);
  if (/^[!-~]*$/.test(text) && !containsOne(text, set)) return text; // as most queries are
  let out = "";
  for (const byte of encoder.encode(text)) {
    const char = String.fromCharCode(byte);
    out += byte <= 0x1f || byte > 0x7e || set.includes(char) ? encoded(byte) : char;
  }
  return out;
};
