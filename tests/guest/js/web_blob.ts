/** Blob, File, FormData and their way over the wire: the facts of web-platform-tests' FileAPI/ and xhr/formdata/. */
import { task } from "@capsule-run/sdk";
import { Checks, drain, utf8 } from "./checks.js";

/** FileAPI/blob/Blob-constructor.any.js */
async function blobs(c: Checks): Promise<void> {
  const rows: [string, any, any, string, string][] = [
    ["nothing", undefined, undefined, "", ""],
    [
      "parts",
      ["a", utf8("b"), utf8("c").buffer, new Blob(["d"]), new DataView(utf8("xey").buffer, 1, 1)],
      undefined,
      "abcde",
      "",
    ],
    ["other things", [1, null, undefined, { toString: () => "o" }, ["x", "y"]], undefined, "1nullundefinedox,y", ""],
    ["an iterable", new Set(["a", "b"]), undefined, "ab", ""],
    ["a string object", new String("xyz"), undefined, "xyz", ""],
    ["a view of 16 bits", [new Uint16Array([0x4241])], undefined, "AB", ""],
    ["lone surrogates", ["\ud800"], undefined, "\ufffd", ""],
    ["type", ["x"], { type: "Text/HTML; Charset=x" }, "x", "text/html; charset=x"],
    ["a bad type", ["x"], { type: "te\u00e4t" }, "x", ""],
    ["line ends stay", ["a\r\nb\rc\n"], {}, "a\r\nb\rc\n", ""],
    ["line ends native", ["a\r\nb\rc\n"], { endings: "native" }, "a\nb\nc\n", ""],
  ];
  for (const [what, parts, options, text, type] of rows) {
    const blob = new Blob(parts, options);
    c.equal(what, [await blob.text(), blob.size, blob.type], [text, utf8(text).length, type]);
  }
  for (const bad of [null, 1, "text", true, {}])
    c.throws(`Blob(${JSON.stringify(bad)})`, TypeError, () => new Blob(bad as any));
  c.throws("endings", TypeError, () => new Blob([], { endings: "x" as any }));
  c.throws("options", TypeError, () => new Blob([], "x" as any));
  const source = utf8("abc");
  const copy = new Blob([source]);
  source[0] = 0x7a;
  c.equal("a copy", await copy.text(), "abc");
  const given = await copy.bytes();
  given[0] = 0x7a;
  c.equal("its bytes stay", await copy.text(), "abc");
  c.equal("arrayBuffer", new Uint8Array(await copy.arrayBuffer()), utf8("abc"));
  c.equal("BOM", await new Blob(["\ufeffx"]).text(), "x");
  c.equal("tag", String(copy), "[object Blob]");
}

/** FileAPI/blob/Blob-slice.any.js, Blob-stream.any.js */
async function slices(c: Checks): Promise<void> {
  const blob = new Blob(["squ", "iggle"], { type: "a/b" });
  const rows: [unknown[], string, string][] = [
    [[], "squiggle", ""],
    [[3], "iggle", ""],
    [[2, 5], "uig", ""],
    [[-3], "gle", ""],
    [[-5, -2], "igg", ""],
    [[5, 2], "", ""],
    [[100], "", ""],
    [[0, 100, "X/Y"], "squiggle", "x/y"],
    [[NaN, 2], "sq", ""],
    [[1, 4, "\u00e4"], "qui", ""],
    [[null, 1], "s", ""],
  ];
  for (const [args, text, type] of rows) {
    const part = (blob.slice as any)(...args);
    c.equal(`slice(${args})`, [await part.text(), part.size, part.type], [text, text.length, type]);
  }
  c.equal("a slice of a slice", await blob.slice(1, 7).slice(2, 4).text(), "ig");
  const large = new Blob([new Uint8Array(200_000).fill(7), new Uint8Array(5).fill(8)]);
  const chunks = (await drain(large.stream())) as Uint8Array[];
  c.ok("in chunks", chunks.length > 1 && chunks.every((chunk) => chunk instanceof Uint8Array));
  c.equal(
    "all of it",
    chunks.reduce((n, chunk) => n + chunk.length, 0),
    200_005,
  );
  const reader = blob.stream().getReader({ mode: "byob" });
  c.equal("byob", new TextDecoder().decode((await reader.read(new Uint8Array(4))).value), "squi");
}

/** FileAPI/file/File-constructor.any.js */
async function files(c: Checks): Promise<void> {
  const file = new File(["a", "b"], "n\u00e4me/x.txt", { type: "T/x", lastModified: 12.9 });
  c.equal(
    "attributes",
    [file.name, file.type, file.lastModified, file.size, await file.text()],
    ["n\u00e4me/x.txt", "t/x", 12, 2, "ab"],
  );
  c.ok("now", Math.abs(new File([], "x").lastModified - Date.now()) < 5000);
  c.ok("is a Blob", file instanceof Blob && !(file.slice() instanceof File));
  c.throws("no name", TypeError, () => new (File as any)([]));
  c.equal("tag", String(file), "[object File]");
  c.equal("a surrogate", new File([], "\ud800").name, "\ufffd");
}

/** xhr/formdata/*.any.js */
function forms(c: Checks): void {
  const f = new FormData();
  f.append("a", "1");
  f.append("b", "2");
  f.append("a", 3 as any);
  c.equal(
    "get",
    [f.get("a"), f.getAll("a"), f.get("none"), f.has("b"), f.has("none")],
    ["1", ["1", "3"], null, true, false],
  );
  c.equal(
    "entries",
    [...f],
    [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ],
  );
  f.set("a", "9");
  f.set("c", "new");
  c.equal(
    "set",
    [...f.entries()],
    [
      ["a", "9"],
      ["b", "2"],
      ["c", "new"],
    ],
  );
  f.delete("b");
  c.equal(
    "keys, values",
    [[...f.keys()], [...f.values()]],
    [
      ["a", "c"],
      ["9", "new"],
    ],
  );
  const seen: unknown[] = [];
  f.forEach((value, name, all) => seen.push([value, name, all === f]));
  c.equal("forEach", seen, [
    ["9", "a", true],
    ["new", "c", true],
  ]);
}

function formFiles(c: Checks): void {
  const f = new FormData();
  f.append("blob", new Blob(["x"], { type: "a/b" }));
  f.append("named", new Blob(["x"]), "n.txt");
  const file = new File(["y"], "y.txt", { lastModified: 5 });
  f.append("file", file);
  f.append("renamed", file, "z.txt");
  const [blob, named, same, renamed] = ["blob", "named", "file", "renamed"].map((name) => f.get(name) as File);
  c.equal(
    "files",
    [blob!.name, blob!.type, blob instanceof File, named!.name, same === file, renamed!.name, renamed!.lastModified],
    ["blob", "a/b", true, "n.txt", true, "z.txt", 5],
  );
  c.throws("a name for text", TypeError, () => f.append("x", "y" as any, "z"));
  c.throws("one argument", TypeError, () => (f as any).append("x"));
  c.throws("an argument", TypeError, () => new FormData({} as any));
  f.append("\ud800", "\udc00");
  c.equal("surrogates", f.get("\ufffd"), "\ufffd");
}

/** fetch/content-type/multipart*, xhr/formdata/*, fetch/api/body/formdata.any.js */
async function multipart(c: Checks): Promise<void> {
  const f = new FormData();
  f.append("text", "l\u00efne\none\r\ntwo");
  f.append('na"me\r\n', "x");
  f.append("file", new File([new Uint8Array([0, 255, 13, 10, 45, 45])], 'f\u00fc"r\n.bin', { type: "image/x" }));
  f.append("untyped", new Blob(["--\r\n"]));
  f.append("empty", "");
  const response = new Response(f);
  const type = response.headers.get("content-type")!;
  const boundary = /^multipart\/form-data; boundary=([\w-]+)$/.exec(type)?.[1];
  c.ok(`Content-Type ${type}`, boundary);
  const sent = await response.clone().text();
  const start = `--${boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\nl\u00efne\r\none\r\ntwo\r\n--${boundary}\r\nContent-Disposition: form-data; name="na%22me%0D%0A"\r\n\r\nx\r\n--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f\u00fc%22r%0A.bin"\r\nContent-Type: image/x\r\n\r\n`;
  c.equal("as sent", sent.slice(0, start.length), start);
  c.ok("its end", sent.endsWith(`\r\n--${boundary}--\r\n`));
  const back = await response.formData();
  c.equal("names", [...back.keys()], ["text", 'na"me\r\n', "file", "untyped", "empty"]);
  const file = back.get("file") as File;
  c.equal(
    "file",
    [file.name, file.type, new Uint8Array(await file.arrayBuffer())],
    ['f\u00fc"r\n.bin', "image/x", new Uint8Array([0, 255, 13, 10, 45, 45])],
  );
  const untyped = back.get("untyped") as File;
  c.equal(
    "untyped",
    [untyped.name, untyped.type, await untyped.text()],
    ["blob", "application/octet-stream", "--\r\n"],
  );
  c.equal("texts", [back.get("text"), back.get("empty")], ["l\u00efne\r\none\r\ntwo", ""]);
  const none = await new Response(new FormData()).formData();
  c.equal("an empty form", [...none], []);
}

async function decoding(c: Checks): Promise<void> {
  const read = async (text: string, type: string) => {
    const form = await new Response(text, { headers: { "content-type": type } }).formData();
    return [...form].map(([name, value]) => [name, typeof value === "string" ? value : `${value.name} ${value.type}`]);
  };
  const multi = "multipart/form-data; boundary=B";
  const rows: [string, string, unknown][] = [
    [
      "a=1&b=%C3%A4+x&a=",
      "application/x-www-form-urlencoded;charset=UTF-8",
      [
        ["a", "1"],
        ["b", "\u00e4 x"],
        ["a", ""],
      ],
    ],
    ["?a", "application/x-www-form-urlencoded", [["?a", ""]]],
    ['--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--B--', multi, [["a", "1"]]],
    [
      '--B\r\nContent-Disposition: form-data; name="a"; filename="\u00fc.txt"\r\n\r\nx\r\n--B--\r\n',
      'multipart/form-data; boundary="B"',
      [["a", "\u00fc.txt text/plain"]],
    ],
    [
      '--B\r\nContent-Disposition: form-data; name="a"; filename=""\r\nContent-Type: X/y\r\n\r\n\r\n--B--\r\n',
      multi,
      [["a", " x/y"]],
    ],
    ['--B\r\nContent-Disposition: form-data; name="a"\r\nX-Other: y\r\n\r\n\r\n\r\n--B--\r\n', multi, [["a", "\r\n"]]],
  ];
  for (const [text, type, expected] of rows)
    c.equal(`formData of ${JSON.stringify(text)}`, await read(text, type), expected);
  const bad: [string, string][] = [
    ["x", "text/plain"],
    ["x", "multipart/form-data"],
    ["", multi],
    ["--B\r\n\r\nx\r\n--B--", multi],
    ['--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nno end', multi],
    ["--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--", multi],
  ];
  for (const [text, type] of bad)
    await c.rejects(`formData of ${JSON.stringify(text)} as ${type}`, TypeError, () => read(text, type));
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ blobs, slices, files, forms, formFiles, multipart, decoding }))
    await c.block(name, () => run(c));
  return c.failures;
});
