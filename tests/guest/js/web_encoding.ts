/** TextEncoder, TextDecoder and their streams: the facts of web-platform-tests' encoding/. */
import { task } from "@capsule-run/sdk";
import { Checks, drain, hex, utf8 } from "./checks.js";

/** encoding/api-basics.any.js, encoding/textdecoder-labels.any.js */
const LABELS: [string, string | null][] = [
  ["utf-8", "utf-8"],
  ["UTF-8", "utf-8"],
  [" utf8\t\n", "utf-8"],
  ["unicode-1-1-utf-8", "utf-8"],
  ["utf-16", "utf-16le"],
  ["utf-16le", "utf-16le"],
  ["ucs-2", "utf-16le"],
  ["utf-16be", "utf-16be"],
  ["unicodeFFFE", "utf-16be"],
  ["latin1", "windows-1252"],
  ["ISO-8859-1", "windows-1252"],
  ["ascii", "windows-1252"],
  ["us-ascii", "windows-1252"],
  ["windows-1252", "windows-1252"],
  ["\u00a0utf-8", null],
  ["utf-7", null],
  ["utf-32", null],
  ["", null],
  ["nonsense", null],
];

/** encoding/textdecoder-utf8*: bytes and what they decode to; encoding/textdecoder-fatal.any.js: each is an error when fatal. */
const MALFORMED: [string, string][] = [
  ["ff", "\ufffd"],
  ["c0", "\ufffd"],
  ["c0 00", "\ufffd\0"],
  ["c0 c0", "\ufffd\ufffd"],
  ["c0 80", "\ufffd\ufffd"],
  ["c1 bf", "\ufffd\ufffd"],
  ["80", "\ufffd"],
  ["bf 41", "\ufffdA"],
  ["c3", "\ufffd"],
  ["c3 41", "\ufffdA"],
  ["e0", "\ufffd"],
  ["e0 00", "\ufffd\0"],
  ["e0 c0", "\ufffd\ufffd"],
  ["e0 80", "\ufffd\ufffd"],
  ["e0 80 80", "\ufffd\ufffd\ufffd"],
  ["e0 9f bf", "\ufffd\ufffd\ufffd"],
  ["e0 a0", "\ufffd"],
  ["e0 a0 41", "\ufffdA"],
  ["e2 82", "\ufffd"],
  ["e2 82 e2 82 ac", "\ufffd\u20ac"],
  ["ed a0 80", "\ufffd\ufffd\ufffd"],
  ["ed bf bf", "\ufffd\ufffd\ufffd"],
  ["ed a0 80 ed b0 80", "\ufffd".repeat(6)],
  ["f0 80 80 80", "\ufffd".repeat(4)],
  ["f0 8f bf bf", "\ufffd".repeat(4)],
  ["f0 9f 98", "\ufffd"],
  ["f0 9f 41", "\ufffdA"],
  ["f4 90 80 80", "\ufffd".repeat(4)],
  ["f5 80 80 80", "\ufffd".repeat(4)],
  ["f8 88 80 80 80", "\ufffd".repeat(5)],
  ["fc 84 80 80 80 80", "\ufffd".repeat(6)],
  ["fe", "\ufffd"],
  ["41 f0 9f 98 80 ff 42", "A\u{1f600}\ufffdB"],
];

function labels(c: Checks): void {
  for (const [label, name] of LABELS)
    if (name === null) c.throws(`label ${JSON.stringify(label)}`, RangeError, () => new TextDecoder(label));
    else c.equal(`label ${JSON.stringify(label)}`, new TextDecoder(label).encoding, name);
  const d = new TextDecoder();
  c.equal("defaults", [d.encoding, d.fatal, d.ignoreBOM], ["utf-8", false, false]);
  const set = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  c.equal("options", [set.fatal, set.ignoreBOM], [true, true]);
  c.equal("encoder", new TextEncoder().encoding, "utf-8");
  c.throws("no bytes", TypeError, () => new TextDecoder().decode("x" as any));
}

function utf8Decoding(c: Checks): void {
  for (const [bytes, text] of MALFORMED) {
    c.equal(`decode ${bytes}`, new TextDecoder().decode(hex(bytes)), text);
    c.throws(`decode ${bytes}, fatal`, TypeError, () => new TextDecoder("utf-8", { fatal: true }).decode(hex(bytes)));
    const byByte = new TextDecoder();
    let streamed = "";
    for (const byte of hex(bytes)) streamed += byByte.decode(Uint8Array.of(byte), { stream: true });
    c.equal(`decode ${bytes}, byte by byte`, streamed + byByte.decode(), text);
  }
  const sample = "z\u00a2\u6c34\u{1d11e}\u{f8ff}\u{10fffd}\ufffe";
  c.equal("round trip", new TextDecoder("utf-8", { fatal: true }).decode(utf8(sample)), sample);
  c.equal("view with an offset", new TextDecoder().decode(new DataView(utf8("abcdef").buffer, 2, 2)), "cd");
  c.equal("buffer", new TextDecoder().decode(utf8("abc").buffer as ArrayBuffer), "abc");
  c.equal("nothing", [new TextDecoder().decode(), new TextDecoder().decode(undefined)], ["", ""]);
  c.equal("NUL", new TextDecoder().decode(hex("00 41 00")), "\0A\0");
  const fatal = new TextDecoder("utf-8", { fatal: true });
  c.throws("fatal", TypeError, () => fatal.decode(hex("ff")));
  c.equal("used again after an error", fatal.decode(hex("41")), "A");
  const long = "\u00e4\u20ac\u{1f600}x".repeat(50_000);
  c.equal("long", new TextDecoder().decode(utf8(long)) === long, true);
}

/** encoding/textdecoder-byte-order-marks.any.js, encoding/textdecoder-ignorebom.any.js */
function boms(c: Checks): void {
  const rows: [string, string, string][] = [
    ["utf-8", "ef bb bf 41", "A"],
    ["utf-16le", "ff fe 41 00", "A"],
    ["utf-16be", "fe ff 00 41", "A"],
    ["utf-16le", "fe ff 41 00", "\ufffeA"],
    ["utf-8", "ef bb bf ef bb bf", "\ufeff"],
    ["utf-8", "41 ef bb bf", "A\ufeff"],
  ];
  for (const [label, bytes, text] of rows) {
    c.equal(`${label} ${bytes}`, new TextDecoder(label).decode(hex(bytes)), text);
    const kept = new TextDecoder(label, { ignoreBOM: true }).decode(hex(bytes));
    c.equal(`${label} ${bytes}, kept`, kept, text === "\ufffeA" || text.startsWith("A\ufeff") ? text : `\ufeff${text}`);
  }
  const split = new TextDecoder();
  let text = "";
  for (const byte of hex("ef bb bf 41")) text += split.decode(Uint8Array.of(byte), { stream: true });
  c.equal("in pieces", text + split.decode(), "A");
  c.equal("the next text has one of its own", split.decode(hex("ef bb bf 42")), "B");
}

/** encoding/textdecoder-streaming.any.js, encoding/textdecoder-fatal-streaming.any.js */
function streaming(c: Checks): void {
  const sample = "\x00123ABCabc\x80\xff\u0100\u1000\ufffd\u{10000}\u{10ffff}";
  const encoded: Record<string, Uint8Array> = { "utf-8": utf8(sample) };
  for (const big of [false, true]) {
    const view = new DataView(new ArrayBuffer(sample.length * 2));
    for (let i = 0; i < sample.length; i++) view.setUint16(2 * i, sample.charCodeAt(i), !big);
    encoded[big ? "utf-16be" : "utf-16le"] = new Uint8Array(view.buffer);
  }
  for (const [label, bytes] of Object.entries(encoded))
    for (let size = 1; size <= 5; size++) {
      const decoder = new TextDecoder(label);
      let text = "";
      for (let at = 0; at < bytes.length; at += size)
        text += decoder.decode(bytes.subarray(at, at + size), { stream: true });
      c.equal(`${label} by ${size}`, text + decoder.decode(), sample);
    }
  const fatal = new TextDecoder("utf-8", { fatal: true });
  c.equal("a beginning isn't malformed", fatal.decode(hex("e2 82"), { stream: true }), "");
  c.equal("its end", fatal.decode(hex("ac")), "\u20ac");
  c.equal("a beginning", fatal.decode(hex("e2"), { stream: true }), "");
  c.throws("is malformed at the end", TypeError, () => fatal.decode());
  const latin = new TextDecoder("latin1");
  c.equal(
    "latin1",
    latin.decode(hex("e4"), { stream: true }) + latin.decode(hex("80 81 9f ff")),
    "\u00e4\u20ac\x81\u0178\u00ff",
  );
}

/** encoding/textdecoder-utf16-surrogates.any.js */
function utf16(c: Checks): void {
  const rows: [string, string][] = [
    ["00 d8", "\ufffd"],
    ["00 dc", "\ufffd"],
    ["00 d8 00 00", "\ufffd\0"],
    ["00 dc 00 d8", "\ufffd\ufffd"],
    ["3d d8 00 de", "\u{1f600}"],
    ["41", "\ufffd"],
    ["41 00 42", "A\ufffd"],
    ["3d d8 00", "\ufffd"],
  ];
  for (const [bytes, text] of rows) {
    c.equal(`utf-16le ${bytes}`, new TextDecoder("utf-16le").decode(hex(bytes)), text);
    if (text.includes("\ufffd"))
      c.throws(`utf-16le ${bytes}, fatal`, TypeError, () =>
        new TextDecoder("utf-16le", { fatal: true }).decode(hex(bytes)),
      );
  }
}

/** encoding/api-surrogates-utf8.any.js, encoding/encodeInto.any.js */
function encoding(c: Checks): void {
  const encoder = new TextEncoder();
  const rows: [string, string][] = [
    ["abc123", "616263313233"],
    ["\ud800", "efbfbd"],
    ["a\udc00b", "61efbfbd62"],
    ["\udc00\ud800", "efbfbdefbfbd"],
    ["\ud834\udd1e", "f09d849e"],
    ["\0\u0080\u07ff\u0800\uffff", "00c280dfbfe0a080efbfbf"],
  ];
  for (const [text, bytes] of rows) c.equal(`encode ${JSON.stringify(text)}`, encoder.encode(text), hex(bytes));
  c.equal(
    "encode nothing",
    [encoder.encode().length, encoder.encode(undefined).length, encoder.encode("").length],
    [0, 0, 0],
  );
  c.equal("encode other things", encoder.encode(null as any), utf8("null"));

  const into = (text: string, room: number) => {
    const destination = new Uint8Array(room + 2);
    const { read, written } = encoder.encodeInto(text, destination.subarray(1, 1 + room));
    return [read, written, ...destination];
  };
  const intoRows: [string, number, number[]][] = [
    ["", 1, [0, 0, 0, 0, 0]],
    ["A", 2, [1, 1, 0, 65, 0, 0]],
    ["\u{1d306}", 4, [2, 4, 0, 0xf0, 0x9d, 0x8c, 0x86, 0]],
    ["\u{1d306}A", 3, [0, 0, 0, 0, 0, 0, 0]],
    ["\ud834A\udf06A\u00a5Hi", 8, [4, 8, 0, 0xef, 0xbf, 0xbd, 65, 0xef, 0xbf, 0xbd, 65, 0]],
    ["A\udf06", 4, [2, 4, 0, 65, 0xef, 0xbf, 0xbd, 0]],
    ["\u00a5\u00a5", 3, [1, 2, 0, 0xc2, 0xa5, 0, 0]],
    ["abc", 2, [2, 2, 0, 97, 98, 0]],
  ];
  for (const [text, room, expected] of intoRows)
    c.equal(`encodeInto ${JSON.stringify(text)}, ${room}`, into(text, room), expected);
  c.throws("encodeInto something else", TypeError, () => encoder.encodeInto("x", new Uint16Array(1) as any));
}

/** encoding/streams/*.any.js */
async function streams(c: Checks): Promise<void> {
  const piped = async (chunks: unknown[], through: any): Promise<unknown[]> =>
    drain(ReadableStream.from(chunks).pipeThrough(through));
  c.equal(
    "decode, cut anywhere",
    (await piped([hex("f0 9f"), hex("98"), hex("80 41"), hex("ff")], new TextDecoderStream())).join("|"),
    "\u{1f600}A|\ufffd",
  );
  c.equal("decode, unfinished", await piped([hex("e2 82")], new TextDecoderStream()), ["\ufffd"]);
  await c.rejects("decode, fatal", TypeError, () =>
    piped([hex("ff")], new TextDecoderStream("utf-8", { fatal: true })),
  );
  await c.rejects("decode, unfinished and fatal", TypeError, () =>
    piped([hex("e2")], new TextDecoderStream("utf-8", { fatal: true })),
  );
  await c.rejects("decode no bytes", TypeError, () => piped(["text"], new TextDecoderStream()));
  c.equal("encode", await piped(["a", "", "\u00e4"], new TextEncoderStream()), [utf8("a"), utf8("\u00e4")]);
  c.equal("encode half a pair", await piped(["\ud83d", "\ude00"], new TextEncoderStream()), [utf8("\u{1f600}")]);
  c.equal("encode half at the end", await piped(["x\ud83d"], new TextEncoderStream()), [utf8("x"), utf8("\ufffd")]);
  c.equal("encode two halves", await piped(["\ud83d", "\ud83dx"], new TextEncoderStream()), [hex("efbfbd efbfbd 78")]);
  const d = new TextDecoderStream("utf-16le", { fatal: true });
  c.equal(
    "attributes",
    [d.encoding, d.fatal, d.ignoreBOM, new TextEncoderStream().encoding],
    ["utf-16le", true, false, "utf-8"],
  );
  c.throws("label", RangeError, () => new TextDecoderStream("nonsense"));
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  const blocks = { labels, utf8Decoding, boms, streaming, utf16, encoding, streams };
  for (const [name, run] of Object.entries(blocks)) await c.block(name, () => run(c));
  return c.failures;
});
