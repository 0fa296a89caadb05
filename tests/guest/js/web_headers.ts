/** Headers: the facts of web-platform-tests' fetch/api/headers/. */
import { task } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

/** headers-basic.any.js, headers-record.any.js, headers-structure.any.js */
function making(c: Checks): void {
  const rows: [string, any, [string, string][]][] = [
    ["nothing", undefined, []],
    [
      "a record",
      { "X-B": 1, a: "2" },
      [
        ["a", "2"],
        ["x-b", "1"],
      ],
    ],
    [
      "pairs",
      [
        ["b", "1"],
        ["a", "2"],
        ["B", "3"],
      ],
      [
        ["a", "2"],
        ["b", "1, 3"],
      ],
    ],
    ["headers", new Headers({ a: "1" }), [["a", "1"]]],
    ["a Map", new Map([["a", "1"]]), [["a", "1"]]],
    [
      "values of other types",
      { a: null, b: undefined, c: true, d: ["x", "y"] },
      [
        ["a", "null"],
        ["b", "undefined"],
        ["c", "true"],
        ["d", "x,y"],
      ],
    ],
    ["white space", { a: " \t\r\n x y \n\r\t " }, [["a", "x y"]]],
    ["an empty value", { a: "" }, [["a", ""]]],
    ["Latin-1", { a: "\u00e4\u00ff" }, [["a", "\u00e4\u00ff"]]],
  ];
  for (const [what, init, expected] of rows) c.equal(what, [...new Headers(init)], expected);
  for (const bad of [
    null,
    1,
    "text",
    [["a"]],
    [["a", "b", "c"]],
    ["ab"],
    [[]],
    { "a b": "c" },
    { "": "x" },
    { "\u00e4": "x" },
    { a: "\u0100" },
    { a: "b\r\nc: d" },
    { a: "b\0" },
  ])
    c.throws(`Headers(${JSON.stringify(bad)})`, TypeError, () => new Headers(bad as any));
}

/** headers-combine.any.js, headers-normalize.any.js, headers-casing.any.js */
function methods(c: Checks): void {
  const h = new Headers({ "Content-Type": "a/b" });
  c.equal("get without case", [h.get("content-TYPE"), h.has("CONTENT-type"), h.get("none")], ["a/b", true, null]);
  h.append("X", "1");
  h.append("x", "2");
  h.append("x", "");
  c.equal("combined", h.get("X"), "1, 2, ");
  h.set("x", "3");
  c.equal("set", h.get("x"), "3");
  h.delete("X");
  h.delete("none");
  c.equal("delete", [h.has("x"), [...h.keys()]], [false, ["content-type"]]);
  c.equal(
    "keys, values, entries",
    [[...h.keys()], [...h.values()], [...h.entries()]],
    [["content-type"], ["a/b"], [["content-type", "a/b"]]],
  );
  const seen: unknown[] = [];
  h.forEach(function (this: unknown, value, name, all) {
    seen.push([this, value, name, all === h]);
  }, 7);
  c.equal("forEach", String(seen), String([[7, "a/b", "content-type", true]]));
  for (const name of ["", "a b", "a:b", "a\n", "\u00e4", "(x)", "a,b", "a\0"]) {
    for (const method of ["get", "has", "delete"] as const)
      c.throws(`${method} ${JSON.stringify(name)}`, TypeError, () => h[method](name));
    for (const method of ["set", "append"] as const)
      c.throws(`${method} ${JSON.stringify(name)}`, TypeError, () => h[method](name, "x"));
  }
  for (const value of ["a\nb", "a\rb", "a\0b", "\u20ac"])
    c.throws(`set to ${JSON.stringify(value)}`, TypeError, () => h.set("x", value));
  c.throws("set one argument", TypeError, () => (h as any).set("x"));
  c.throws("append one argument", TypeError, () => (h as any).append("x"));
  h.set("!#$%&'*+-.^_`|~09azAZ", "token");
  c.ok("all characters of a token", h.has("!#$%&'*+-.^_`|~09azaz"));
}

/** header-setcookie.any.js */
function cookies(c: Checks): void {
  const h = new Headers([
    ["Set-Cookie", "a=1"],
    ["x", "y"],
    ["set-cookie", "b=2, c"],
    ["SET-cookie", "a=1"],
  ]);
  c.equal(
    "each alone",
    [...h],
    [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2, c"],
      ["set-cookie", "a=1"],
      ["x", "y"],
    ],
  );
  c.equal("getSetCookie", h.getSetCookie(), ["a=1", "b=2, c", "a=1"]);
  c.equal("get", h.get("set-cookie"), "a=1, b=2, c, a=1");
  c.equal("copied", new Headers(h).getSetCookie(), ["a=1", "b=2, c", "a=1"]);
  h.set("set-cookie", "one");
  c.equal("set", h.getSetCookie(), ["one"]);
  h.delete("set-cookie");
  c.equal("none", h.getSetCookie(), []);
}

function iterating(c: Checks): void {
  const h = new Headers([
    ["b", "1"],
    ["a", "2"],
    ["c", "3"],
  ]);
  c.equal("sorted", [...h.keys()], ["a", "b", "c"]);
  const seen: string[] = [];
  for (const [name] of h) {
    seen.push(name);
    if (name === "a") h.append("aa", "new");
    if (name === "b") h.delete("c");
  }
  c.equal("changed while walked", seen, ["a", "aa", "b"]);
  const iterator = h[Symbol.iterator]();
  c.equal("its tag", Object.prototype.toString.call(iterator), "[object Headers Iterator]");
  c.ok("is its own iterable", (iterator as any)[Symbol.iterator]() === iterator);
  c.ok("the same function", Headers.prototype[Symbol.iterator] === Headers.prototype.entries);
  c.equal("tag", String(h), "[object Headers]");
  c.equal("enumerable", Object.keys(Headers.prototype).includes("append"), true);
  c.throws("another receiver", TypeError, () => Headers.prototype.get.call({} as any, "x"));
}

/** fetch/api/headers/headers-errors.any.js, response-headers-guard.any.js */
function guards(c: Checks): void {
  const { headers } = Response.redirect("http://h/");
  c.throws("append", TypeError, () => headers.append("a", "b"));
  c.throws("set", TypeError, () => headers.set("a", "b"));
  c.throws("delete", TypeError, () => headers.delete("location"));
  c.equal("as it was", [...headers], [["location", "http://h/"]]);
  const open = new Request("http://h/").headers;
  for (const name of ["Host", "Cookie", "Origin", "Content-Length", "User-Agent"]) open.set(name, "x");
  c.equal("nothing is forbidden", [...open.keys()].length, 5);
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ making, methods, cookies, iterating, guards }))
    await c.block(name, () => run(c));
  return c.failures;
});
