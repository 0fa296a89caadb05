/** crypto, atob and btoa, performance, navigator, and how globals look: web-platform-tests' WebCryptoAPI/, html/webappapis/atob/, hr-time/, user-timing/. */
import { task } from "@capsule-run/sdk";
import { Checks, hex, pause, utf8 } from "./checks.js";

/** WebCryptoAPI/getRandomValues.any.js, randomUUID.https.any.js */
function random(c: Checks): void {
  for (const Kind of [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
  ]) {
    const array = new (Kind as any)(16);
    c.ok(`${Kind.name} is given back`, crypto.getRandomValues(array) === array);
    c.ok(
      `${Kind.name} is random`,
      array.some((value: number | bigint) => value != 0),
    );
  }
  for (const Kind of [Float32Array, Float64Array])
    c.throws(Kind.name, "TypeMismatchError", () => crypto.getRandomValues(new Kind(1) as any));
  c.throws("DataView", "TypeMismatchError", () => crypto.getRandomValues(new DataView(new ArrayBuffer(1)) as any));
  c.throws("a buffer", TypeError, () => crypto.getRandomValues(new ArrayBuffer(1) as any));
  c.equal("as many as allowed", crypto.getRandomValues(new Uint8Array(65536)).length, 65536);
  c.throws("more", "QuotaExceededError", () => crypto.getRandomValues(new Uint8Array(65537)));
  c.equal("none", crypto.getRandomValues(new Uint8Array(0)).length, 0);
  const part = new Uint8Array(40);
  crypto.getRandomValues(part.subarray(10, 30));
  c.ok("only the view", part.subarray(0, 10).every((b) => b === 0) && part.subarray(30).every((b) => b === 0));
  const seen = new Set(Array.from({ length: 100 }, () => crypto.randomUUID()));
  c.equal("all different", seen.size, 100);
  c.ok(
    "version 4",
    [...seen].every((uuid) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid)),
  );
}

/** WebCryptoAPI/digest/digest.https.any.js; the vectors are FIPS 180's. */
async function digests(c: Checks): Promise<void> {
  const vectors: [string, string, string][] = [
    ["SHA-1", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
    ["SHA-1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"],
    ["SHA-256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["SHA-256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "SHA-384",
      "abc",
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    ],
    [
      "SHA-512",
      "abc",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ],
  ];
  for (const [name, text, digest] of vectors)
    c.equal(`${name} of "${text}"`, new Uint8Array(await crypto.subtle.digest(name, utf8(text))), hex(digest));
  c.equal(
    "by an object, without case",
    new Uint8Array(await crypto.subtle.digest({ name: "sha-1" }, utf8("abc"))),
    hex(vectors[1]![2]),
  );
  c.equal(
    "of a part",
    new Uint8Array(await crypto.subtle.digest("SHA-1", utf8("xabcx").subarray(1, 4))),
    hex(vectors[1]![2]),
  );
  c.equal(
    "of a buffer",
    new Uint8Array(await crypto.subtle.digest("SHA-1", utf8("abc").buffer as ArrayBuffer)),
    hex(vectors[1]![2]),
  );
  c.equal(
    "of a million",
    new Uint8Array(await crypto.subtle.digest("SHA-256", utf8("a".repeat(1_000_000)))),
    hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
  );
  await c.rejects("MD5", "NotSupportedError", () => crypto.subtle.digest("MD5", utf8("")));
  await c.rejects("no name", TypeError, () => crypto.subtle.digest({} as any, utf8("")));
  await c.rejects("text", TypeError, () => crypto.subtle.digest("SHA-1", "abc" as any));
  for (const name of [
    "encrypt",
    "decrypt",
    "sign",
    "verify",
    "generateKey",
    "importKey",
    "exportKey",
    "deriveKey",
    "deriveBits",
    "wrapKey",
    "unwrapKey",
  ])
    await c.rejects(name, "NotSupportedError", () => (crypto.subtle as any)[name]());
  c.throws("no constructor", TypeError, () => new (Crypto as any)());
}

/** html/webappapis/atob/base64.any.js */
function base64(c: Checks): void {
  const decoded: [any, string | null][] = [
    ["", ""],
    ["abcd", "i\xb7\x1d"],
    [" ab\tcd\n\f\r ", "i\xb7\x1d"],
    ["ab", "i"],
    ["abc", "i\xb7"],
    ["ab==", "i"],
    ["abc=", "i\xb7"],
    ["a", null],
    ["a=", null],
    ["ab=", null],
    ["abc==", null],
    ["abcd=", null],
    ["abcd==", null],
    ["=", null],
    ["ab=c", null],
    ["ab\u00a0cd", null],
    ["ab\0cd", null],
    ["_-", null],
    ["ab===", null],
    ["/A", "\xfc"],
    ["//A", "\xff\xf0"],
    ["++++", "\xfb\xef\xbe"],
    [null, "\x9e\xe9e"],
    [12, "\xd7"],
    [true, "\xb6\xbb\x9e"],
  ];
  for (const [text, expected] of decoded)
    if (expected === null) c.throws(`atob(${JSON.stringify(text)})`, "InvalidCharacterError", () => atob(text));
    else c.equal(`atob(${JSON.stringify(text)})`, atob(text), expected);
  const encoded: [any, string][] = [
    ["", ""],
    ["a", "YQ=="],
    ["ab", "YWI="],
    ["abc", "YWJj"],
    ["\0\xff", "AP8="],
    [undefined, "dW5kZWZpbmVk"],
    [12, "MTI="],
  ];
  for (const [text, expected] of encoded) c.equal(`btoa(${JSON.stringify(text)})`, btoa(text), expected);
  c.throws("btoa of more than a byte", "InvalidCharacterError", () => btoa("\u0100"));
  const all = String.fromCharCode(...Array(256).keys());
  c.equal("round trip", atob(btoa(all)), all);
}

/** hr-time/basic.any.js, user-timing/*.any.js */
async function timing(c: Checks): Promise<void> {
  const before = performance.now();
  await pause(2);
  c.ok("goes on", performance.now() - before >= 1.9);
  c.ok("timeOrigin", Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1000);
  c.equal("timeOrigin stays", performance.timeOrigin, performance.timeOrigin);
  performance.clearMarks();
  performance.clearMeasures();
  const a = performance.mark("a", { startTime: 10, detail: { x: 1 } });
  c.equal("mark", [a.name, a.entryType, a.startTime, a.duration, a.detail], ["a", "mark", 10, 0, { x: 1 }]);
  performance.mark("b", { startTime: 25 });
  const m = performance.measure("m", "a", "b");
  c.equal("measure", [m.name, m.entryType, m.startTime, m.duration], ["m", "measure", 10, 15]);
  c.equal("by times", performance.measure("n", { start: 5, duration: 7 }).duration, 7);
  c.equal(
    "entries",
    performance.getEntries().map((entry) => entry.name),
    ["n", "a", "m", "b"],
  );
  c.equal("by type", performance.getEntriesByType("mark").length, 2);
  c.equal(
    "by name",
    [performance.getEntriesByName("a").length, performance.getEntriesByName("a", "measure").length],
    [1, 0],
  );
  c.throws("no such mark", "SyntaxError" as any, () => performance.measure("x", "none"));
  performance.clearMarks("a");
  performance.clearMeasures();
  c.equal(
    "cleared",
    performance.getEntries().map((entry) => entry.name),
    ["b"],
  );
  c.equal("toJSON", typeof (performance.toJSON() as any).timeOrigin, "number");
}

function globals(c: Checks): void {
  c.ok("self", self === globalThis);
  c.equal("userAgent", navigator.userAgent, "capsule");
  const names = [
    "fetch",
    "Headers",
    "URL",
    "setTimeout",
    "console",
    "crypto",
    "structuredClone",
    "ReadableStream",
    "AbortSignal",
    "performance",
    "navigator",
  ];
  for (const name of names) {
    const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(globalThis, name) ?? {};
    c.equal(`${name} as a property`, [writable, enumerable, configurable], [true, false, true]);
  }
  for (const name of ["Headers", "URL", "Request", "Event", "Blob", "TextEncoder", "ReadableStream", "Crypto"]) {
    const made = (globalThis as any)[name];
    c.equal(`${name}'s name and tag`, [made.name, made.prototype[Symbol.toStringTag]], [name, name]);
  }
  for (const name of ["fetch", "setTimeout", "structuredClone"])
    c.equal(`${name}'s name`, (globalThis as any)[name].name, name);
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ random, digests, base64, timing, globals }))
    await c.block(name, () => run(c));
  return c.failures;
});
