/** Request and Response: the facts of web-platform-tests' fetch/api/request/, fetch/api/response/ and fetch/api/body/. */
import { task } from "@capsule-run/sdk";
import { Checks, drain, utf8 } from "./checks.js";

const stream = (...parts: string[]) => ReadableStream.from(parts.map(utf8));

/** fetch/api/response/response-init-*.any.js, response-static-*.any.js */
async function responses(c: Checks): Promise<void> {
  const r = new Response();
  c.equal(
    "defaults",
    [r.type, r.url, r.redirected, r.status, r.ok, r.statusText, r.body, r.bodyUsed, [...r.headers]],
    ["default", "", false, 200, true, "", null, false, []],
  );
  const full = new Response("x", { status: 404, statusText: "Gone", headers: { a: "b" } });
  c.equal(
    "given",
    [full.status, full.ok, full.statusText, full.headers.get("a"), full.headers.get("content-type")],
    [404, false, "Gone", "b", "text/plain;charset=UTF-8"],
  );
  for (const status of [0, 100, 199, 600, 1000, -1, NaN])
    c.throws(`status ${status}`, RangeError, () => new Response("", { status }));
  for (const statusText of ["\n", "\u0100"])
    c.throws(`statusText ${JSON.stringify(statusText)}`, TypeError, () => new Response("", { statusText }));
  for (const status of [204, 205, 304]) {
    c.throws(`${status} with a body`, TypeError, () => new Response("x", { status }));
    c.equal(`${status} without`, new Response(null, { status }).status, status);
  }
  const bodies: [string, any, string, string | null][] = [
    ["text", "\u00e4", "\u00e4", "text/plain;charset=UTF-8"],
    ["empty text", "", "", "text/plain;charset=UTF-8"],
    ["bytes", utf8("abc"), "abc", null],
    ["a buffer", utf8("abc").buffer, "abc", null],
    ["a view", new DataView(utf8("abc").buffer, 1), "bc", null],
    ["a blob", new Blob(["abc"], { type: "A/b" }), "abc", "a/b"],
    ["a blob without a type", new Blob(["abc"]), "abc", null],
    [
      "parameters",
      new URLSearchParams({ a: "\u00e4 b" }),
      "a=%C3%A4+b",
      "application/x-www-form-urlencoded;charset=UTF-8",
    ],
    ["a stream", stream("a", "bc"), "abc", null],
    ["a number", 5, "5", "text/plain;charset=UTF-8"],
    ["an object", {}, "[object Object]", "text/plain;charset=UTF-8"],
  ];
  for (const [what, body, text, type] of bodies) {
    const response = new Response(body);
    c.equal(
      what,
      [response.headers.get("content-type"), response.bodyUsed, await response.text(), response.bodyUsed],
      [type, false, text, true],
    );
  }
}

async function staticMethods(c: Checks): Promise<void> {
  const error = Response.error();
  c.equal("error", [error.type, error.status, error.ok, error.body, error.statusText], ["error", 0, false, null, ""]);
  c.throws("its headers", TypeError, () => error.headers.set("a", "b"));
  const moved = Response.redirect("http://h/\u00e4", 307);
  c.equal(
    "redirect",
    [moved.status, moved.headers.get("location"), moved.type, Response.redirect("http://h").status],
    [307, "http://h/%C3%A4", "default", 302],
  );
  c.throws("redirect to nothing", TypeError, () => Response.redirect("http://:80x"));
  c.throws("redirect by 200", RangeError, () => Response.redirect("http://h", 200));
  const json = Response.json({ a: [1] }, { status: 201, headers: { x: "y" } });
  c.equal(
    "json",
    [json.status, json.headers.get("content-type"), json.headers.get("x"), await json.json()],
    [201, "application/json", "y", { a: [1] }],
  );
  c.equal(
    "json of another type",
    Response.json(1, { headers: { "content-type": "x/y" } }).headers.get("content-type"),
    "x/y",
  );
  c.throws("json of nothing", TypeError, () => Response.json(undefined));
  c.throws("json with 204", TypeError, () => Response.json(1, { status: 204 }));
  c.equal("tag", String(moved), "[object Response]");
}

/** fetch/api/response/response-consume*.any.js, fetch/api/body/mime-type.any.js */
async function consuming(c: Checks): Promise<void> {
  c.equal("bytes", await new Response("abc").bytes(), utf8("abc"));
  c.equal("arrayBuffer", new Uint8Array(await new Response("abc").arrayBuffer()), utf8("abc"));
  c.equal("json", await new Response('{"a":"\u00e4"}').json(), { a: "\u00e4" });
  c.equal("a BOM", [await new Response("\ufeffx").text(), await new Response("\ufeff1").json()], ["x", 1]);
  c.equal("malformed UTF-8", await new Response(new Uint8Array([0x41, 0xff])).text(), "A\ufffd");
  await c.rejects("json of nothing", SyntaxError, () => new Response("").json());
  c.equal(
    "nothing",
    [await new Response().text(), (await new Response().arrayBuffer()).byteLength, (await new Response().blob()).size],
    ["", 0, 0],
  );
  await c.rejects("json of null", SyntaxError, () => new Response(null).json());
  const types: [string, string][] = [
    ["Text/Plain;Charset=UTF-8", "text/plain;charset=UTF-8"],
    ['a/b; x="q;r"', 'a/b;x="q;r"'],
    ["nonsense", ""],
    ["", ""],
  ];
  for (const [header, type] of types)
    c.equal(
      `blob type of ${header}`,
      (await new Response("x", { headers: { "content-type": header } }).blob()).type,
      type,
    );
}

/** fetch/api/response/response-stream-disturbed-*.any.js, response-from-stream.any.js, response-stream-bad-chunk.any.js */
async function using(c: Checks): Promise<void> {
  const used = new Response("x");
  await used.text();
  await c.rejects("twice", TypeError, () => used.text());
  c.throws("clone of a used one", TypeError, () => used.clone());
  const locked = new Response("x");
  locked.body!.getReader();
  c.equal("locked isn't used", locked.bodyUsed, false);
  await c.rejects("locked", TypeError, () => locked.text());
  c.throws("clone of a locked one", TypeError, () => locked.clone());
  const nothing = new Response(null);
  await nothing.text();
  c.equal("no body is never used", [nothing.bodyUsed, await nothing.text()], [false, ""]);
  const partly = new Response(stream("a", "b"));
  const reader = partly.body!.getReader();
  await reader.read();
  reader.releaseLock();
  c.equal("partly read", partly.bodyUsed, true);
  await c.rejects("what's partly read", TypeError, () => partly.text());
  c.ok("one stream", new Response("x").body instanceof ReadableStream);
  const same = new Response("x");
  c.ok("always the same", same.body === same.body);
  c.equal(
    "through the stream",
    new TextDecoder().decode((await drain(new Response("abc").body!))[0] as Uint8Array),
    "abc",
  );
  const byob = new Response("abcdef").body!.getReader({ mode: "byob" });
  c.equal("byob", new TextDecoder().decode((await byob.read(new Uint8Array(2))).value), "ab");
  const boom = new Error("boom");
  await c.rejectsWith(
    "a failing stream",
    boom,
    new Response(new ReadableStream({ start: (controller) => controller.error(boom) })).text(),
  );
  await c.rejects("chunks of text", TypeError, () => new Response(ReadableStream.from(["text"]) as any).text());
  const busy = stream("x");
  busy.getReader();
  c.throws("a locked stream", TypeError, () => new Response(busy));
  const looked = new Response("abc");
  const text = looked.text();
  c.equal("body while it's read", [looked.body!.locked, await text, looked.bodyUsed], [false, "abc", true]);
  const given = utf8("abc");
  const copied = new Response(given);
  given[0] = 0x7a;
  c.equal("a copy", await copied.text(), "abc");
}

/** fetch/api/response/response-clone.any.js */
async function cloning(c: Checks): Promise<void> {
  for (const [what, made] of [
    ["text", () => new Response("abc", { headers: { a: "b" } })],
    ["stream", () => new Response(stream("a", "bc"))],
    ["blob", () => new Response(new Blob(["abc"]))],
  ] as const) {
    const one = made();
    const other = one.clone();
    c.ok(
      `${what}: headers of its own`,
      one.headers !== other.headers && one.headers.get("a") === other.headers.get("a"),
    );
    c.equal(`${what}: both`, [await one.text(), await other.text()], ["abc", "abc"]);
  }
  const one = new Response(utf8("abc"));
  const other = one.clone();
  const bytes = await one.bytes();
  bytes[0] = 0x7a;
  c.equal("bytes of its own", await other.text(), "abc");
  const opened = new Response("abc");
  void opened.body;
  const clone = opened.clone();
  c.equal("after body was asked for", [await opened.text(), await clone.text()], ["abc", "abc"]);
}

/** fetch/api/request/request-init-*.any.js, request-error.any.js, request-structure.any.js */
async function requests(c: Checks): Promise<void> {
  const r = new Request("HTTP://h/a b#f");
  c.equal(
    "defaults",
    [r.method, r.url, r.redirect, r.bodyUsed, r.body, r.signal.aborted, r.keepalive, r.duplex, [...r.headers]],
    ["GET", "http://h/a%20b#f", "follow", false, null, false, false, "half", []],
  );
  c.ok("one signal", r.signal === r.signal && r.signal instanceof AbortSignal);
  for (const [given, method] of [
    ["get", "GET"],
    ["pOst", "POST"],
    ["delete", "DELETE"],
    ["patch", "patch"],
    ["PURGE", "PURGE"],
  ])
    c.equal(`method ${given}`, new Request("http://h", { method: given! }).method, method);
  for (const method of ["CONNECT", "trace", "TRACK", "a b", "", "\u00e4"])
    c.throws(`method ${method}`, TypeError, () => new Request("http://h", { method }));
  for (const url of ["/relative", "", "http://:x", "http://user:pass@h/", "http://user@h"])
    c.throws(`URL ${url}`, TypeError, () => new Request(url));
  for (const method of ["GET", "HEAD"])
    c.throws(`${method} with a body`, TypeError, () => new Request("http://h", { method, body: "x" }));
  const bad: [string, any][] = [
    ["redirect", "x"],
    ["mode", "x"],
    ["credentials", "x"],
    ["cache", "x"],
    ["referrerPolicy", "x"],
    ["duplex", "full"],
    ["signal", {}],
    ["window", {}],
  ];
  for (const [name, value] of bad)
    c.throws(`${name}: ${String(value)}`, TypeError, () => new Request("http://h", { [name]: value }));
  c.throws("no argument", TypeError, () => new (Request as any)());
  c.equal("tag", String(r), "[object Request]");
}

async function requestBodies(c: Checks): Promise<void> {
  const post = new Request(new URL("http://h/x"), { method: "POST", body: "\u00e4", headers: { a: "b" } });
  c.equal(
    "with a body",
    [
      post.headers.get("content-type"),
      post.headers.get("a"),
      post.body instanceof ReadableStream,
      await post.text(),
      post.bodyUsed,
    ],
    ["text/plain;charset=UTF-8", "b", true, "\u00e4", true],
  );
  c.equal(
    "a type of its own",
    new Request("http://h", { method: "POST", body: "x", headers: { "content-type": "x/y" } }).headers.get(
      "content-type",
    ),
    "x/y",
  );
  c.throws("a stream without duplex", TypeError, () => new Request("http://h", { method: "POST", body: stream("x") }));
  c.equal(
    "a stream",
    await new Request("http://h", { method: "POST", body: stream("x", "y"), duplex: "half" }).text(),
    "xy",
  );
  const form = new FormData();
  form.append("a", "b");
  c.equal("a form", [...(await new Request("http://h", { method: "POST", body: form }).formData())], [["a", "b"]]);
}

/** fetch/api/request/request-consume*.any.js, request-disturbed.any.js, request-clone.sub.html */
async function fromRequests(c: Checks): Promise<void> {
  const stop = new AbortController();
  const base = new Request("http://h/x", {
    method: "POST",
    body: "abc",
    headers: { a: "b" },
    signal: stop.signal,
    redirect: "error",
  });
  const clone = base.clone();
  const copy = new Request(base, { headers: { c: "d" } });
  c.equal("the body has moved", base.bodyUsed, true);
  c.throws("and can't move twice", TypeError, () => new Request(base));
  c.throws("nor be cloned", TypeError, () => base.clone());
  c.equal(
    "copy",
    [copy.method, copy.url, copy.redirect, copy.headers.get("a"), copy.headers.get("c"), await copy.text()],
    ["POST", "http://h/x", "error", null, "d", "abc"],
  );
  c.equal(
    "clone",
    [clone.headers.get("a"), clone.headers.get("content-type"), await clone.text()],
    ["b", "text/plain;charset=UTF-8", "abc"],
  );
  c.ok("a signal of its own", copy.signal !== stop.signal);
  stop.abort("why");
  c.equal("that follows", [copy.signal.aborted, copy.signal.reason, clone.signal.aborted], [true, "why", true]);
  const other = new Request(new Request("http://h", { method: "POST", body: "x" }), { method: "PUT", body: "y" });
  c.equal("replaced", [other.method, await other.text()], ["PUT", "y"]);
  c.throws(
    "a body for GET",
    TypeError,
    () => new Request(new Request("http://h", { method: "POST", body: "x" }), { method: "GET" }),
  );
  const streamed = new Request("http://h", { method: "POST", body: stream("a"), duplex: "half" });
  const moved = new Request(streamed);
  c.equal("a stream moves", [streamed.bodyUsed, await moved.text()], [true, "a"]);
  const headers = new Request("http://h", { headers: new Headers({ a: "b" }) }).headers;
  headers.append("a", "c");
  c.equal("headers can be changed", headers.get("a"), "b, c");
}

/** fetch/data-urls/*.any.js, fetch/api/basic/scheme-*.any.js, fetch/api/abort/general.any.js (before it's sent) */
async function fetching(c: Checks): Promise<void> {
  const rows: [string, string, string][] = [
    ["data:,hello%20world", "text/plain;charset=US-ASCII", "hello world"],
    ["data:text/html,<p>", "text/html", "<p>"],
    ["data:;base64,aGVsbG8=", "text/plain;charset=US-ASCII", "hello"],
    ["data:text/plain;charset=utf-8;base64,w6Q=", "text/plain;charset=utf-8", "\u00e4"],
    ["data:text/plain; BASE64,YWJj", "text/plain", "abc"],
    ["data:;charset=x,%zz%41", "text/plain;charset=x", "%zzA"],
    ["data:,x#fragment", "text/plain;charset=US-ASCII", "x"],
  ];
  for (const [url, type, text] of rows) {
    const response = await fetch(url);
    c.equal(url, [response.status, response.headers.get("content-type"), await response.text()], [200, type, text]);
  }
  for (const url of [
    "data:nothing",
    "data:;base64,*",
    "ftp://h/",
    "file:///etc/passwd",
    "about:blank",
    "blob:null/x",
    "foo:x",
  ])
    await c.rejects(url, TypeError, () => fetch(url));
  await c.rejects("relative", TypeError, () => fetch("/x"));
  await c.rejects("nothing", TypeError, () => (fetch as any)());
  await c.rejects("aborted", "AbortError", () => fetch("http://127.0.0.1:1/", { signal: AbortSignal.abort() }));
  await c.rejectsWith("a reason", "why", fetch("http://127.0.0.1:1/", { signal: AbortSignal.abort("why") }));
  const request = new Request("http://127.0.0.1:1/", { signal: AbortSignal.abort("why") });
  await c.rejectsWith("a request's", "why", fetch(request));
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({
    responses,
    staticMethods,
    consuming,
    using,
    cloning,
    requests,
    requestBodies,
    fromRequests,
    fetching,
  }))
    await c.block(name, () => run(c));
  return c.failures;
});
