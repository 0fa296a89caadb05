/**
 * fetch against tests/server: main(base) with the server's address, "http://127.0.0.1:PORT". What web-platform-tests' fetch/api/ says, and
 * what docs/reference/http.md says of limits and errors. `other` is the address of a second server.
 */
import { task } from "@capsule-run/sdk";
import { Checks, pause, utf8 } from "./checks.js";

/** What the server says that it got. */
interface Echo {
  method: string;
  target: string;
  headers: [string, string][];
  body: string;
}

async function echoed(url: string, init?: RequestInit): Promise<Echo> {
  return (await fetch(url, init)).json();
}

function header(echo: Echo, name: string): string | undefined {
  return echo.headers.find(([key]) => key.toLowerCase() === name)?.[1];
}

/** [kind, type] of what a fetch fails with; undefined if it doesn't fail as it should. */
async function failure(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run();
    return "no failure";
  } catch (error: any) {
    if (!(error instanceof TypeError) || !error.message.startsWith("fetch failed: ")) return String(error);
    const cause: any = error.cause;
    return [cause?.kind, cause?.type];
  }
}

async function basics(c: Checks, base: string): Promise<void> {
  const response = await fetch(`${base}/echo?a=%20b#fragment`);
  c.equal(
    "head",
    [response.status, response.ok, response.statusText, response.type, response.redirected, response.url],
    [200, true, "OK", "basic", false, `${base}/echo?a=%20b`],
  );
  c.equal("header", response.headers.get("Content-Type"), "application/json");
  c.throws("immutable", TypeError, () => response.headers.append("a", "b"));
  const echo: Echo = await response.json();
  c.equal(
    "request",
    [echo.method, echo.target, echo.body, header(echo, "content-type")],
    ["GET", "/echo?a=%20b", "", undefined],
  );
  c.equal("used", response.bodyUsed, true);
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "purge"])
    c.equal(
      method,
      (await echoed(`${base}/echo`, { method })).method,
      method.toUpperCase() === "PURGE" ? "purge" : method,
    );
  const head = await fetch(`${base}/echo`, { method: "HEAD" });
  c.equal("HEAD", [head.status, head.body, await head.text()], [200, null, ""]);
  for (const [status, text] of [
    [200, "OK"],
    [299, ""],
    [404, "Not Found"],
    [500, "Internal Server Error"],
  ] as const) {
    const one = await fetch(`${base}/status/${status}`);
    c.equal(
      `status ${status}`,
      [one.status, one.statusText, one.ok, await one.text()],
      [status, text, status < 300, `body of /status/${status}`],
    );
  }
  for (const path of ["empty", "status/304"]) {
    const none = await fetch(`${base}/${path}`);
    c.equal(path, [none.body, await none.text()], [null, ""]);
  }
}

async function requestHeaders(c: Checks, base: string): Promise<void> {
  const echo = await echoed(`${base}/echo`, {
    headers: [
      ["X-One", "1"],
      ["x-one", "2"],
      ["X-\u0041", "a"],
    ],
  });
  const sent = echo.headers
    .filter(([name]) => name.toLowerCase().startsWith("x-"))
    .map(([name, value]) => [name.toLowerCase(), value]);
  c.equal("headers", sent, [
    ["x-one", "1"],
    ["x-one", "2"],
    ["x-a", "a"],
  ]);
  const request = new Request(`${base}/echo`, { headers: { a: "1" } });
  c.equal("of a request", header(await echoed(request.url, request as any), "a"), "1");
  c.equal("replaced by init", header(await (await fetch(request, { headers: { a: "2" } })).json(), "a"), "2");
}

async function responseHeaders(c: Checks, base: string): Promise<void> {
  const { headers } = await fetch(`${base}/cookies`);
  c.equal("cookies", [headers.getSetCookie(), headers.get("x-one")], [["a=1; Path=/", "b=2"], "first, second"]);
  for (const path of ["gzip", "deflate"])
    c.equal(path, await (await fetch(`${base}/${path}`)).text(), "unpacked ".repeat(100));
  c.equal("chunked", await (await fetch(`${base}/chunked`)).text(), "hello, world");
  c.equal("HTTP/1.0", await (await fetch(`${base}/old`)).text(), "as it was");
  const coded = async (bytes: string, type: string) =>
    (await fetch(`${base}/text?hex=${bytes}&type=${encodeURIComponent(type)}`)).text();
  c.equal(
    "always UTF-8",
    [
      await coded("c3a4", "text/plain"),
      await coded("e4", "text/plain;charset=latin1"),
      await coded("efbbbf41", "text/plain"),
    ],
    ["\u00e4", "\ufffd", "A"],
  );
  const blob = await (await fetch(`${base}/text?hex=616263&type=${encodeURIComponent("a/b; c=d")}`)).blob();
  c.equal("blob", [blob.type, await blob.text()], ["a/b;c=d", "abc"]);
}

async function requestBodies(c: Checks, base: string): Promise<void> {
  const post = (body: any, more: RequestInit = {}) => echoed(`${base}/echo`, { method: "POST", body, ...more });
  const rows: [string, any, string, string | undefined][] = [
    ["text", "t\u00e4xt", "t\u00c3\u00a4xt", "text/plain;charset=UTF-8"],
    ["parameters", new URLSearchParams({ a: "b c" }), "a=b+c", "application/x-www-form-urlencoded;charset=UTF-8"],
    ["bytes", new Uint8Array([0, 255, 65]), "\0\u00ffA", undefined],
    ["a buffer", utf8("abc").buffer, "abc", undefined],
    ["a blob", new Blob(["abc"], { type: "x/y" }), "abc", "x/y"],
    ["nothing", null, "", undefined],
  ];
  for (const [what, body, text, type] of rows) {
    const echo = await post(body);
    c.equal(what, [echo.body, header(echo, "content-type")], [text, type]);
  }
  const form = new FormData();
  form.append("a", "1");
  form.append("f", new Blob(["content"], { type: "x/y" }), "f.txt");
  const echo = await post(form);
  const boundary = /boundary=(.*)$/.exec(header(echo, "content-type")!)![1];
  c.equal(
    "a form",
    echo.body,
    `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: x/y\r\n\r\ncontent\r\n--${boundary}--\r\n`,
  );
  c.equal("Content-Length", header(await post("12345"), "content-length"), "5");
  c.equal(
    "large",
    await (await fetch(`${base}/length`, { method: "POST", body: new Uint8Array(3_000_000) })).text(),
    "3000000",
  );
}

async function uploads(c: Checks, base: string): Promise<void> {
  async function* parts() {
    for (const part of ["one ", "two ", "three"]) {
      await pause();
      yield utf8(part);
    }
  }
  const echo = await echoed(`${base}/echo`, {
    method: "POST",
    body: ReadableStream.from(parts()) as any,
    duplex: "half",
  });
  c.equal("a stream", echo.body, "one two three");
  let left = 20;
  const large = new ReadableStream({
    pull: (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(100_000)) : controller.close()),
  });
  c.equal(
    "a large one",
    await (await fetch(`${base}/length`, { method: "POST", body: large, duplex: "half" })).text(),
    "2000000",
  );
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    cancel: () => void (cancelled = true),
  });
  const early = await fetch(`${base}/early`, { method: "POST", body: endless, duplex: "half" });
  c.equal("an answer before the end", [early.status, await early.text()], [413, "too much"]);
  await pause(20);
  c.equal("ends the upload", cancelled, true);
  const boom = new Error("boom");
  const failing = new ReadableStream({
    pull: () => {
      throw boom;
    },
  });
  const error: any = await fetch(`${base}/echo`, { method: "POST", body: failing, duplex: "half" }).catch(
    (reason: unknown) => reason,
  );
  c.equal("a failing stream", [error instanceof TypeError, error.cause === boom], [true, true]);
}

async function streams(c: Checks, base: string): Promise<void> {
  const text = (await fetch(`${base}/lines`)).body!.pipeThrough(new TextDecoderStream() as any);
  let lines = "";
  for await (const chunk of text) lines += chunk;
  c.equal("lines", lines, "first\r\nzw\u00f6lf\n\nlast");
  const endless = await fetch(`${base}/endless`);
  const reader = endless.body!.getReader();
  let n = 0;
  while (n < 1_000_000) n += (await reader.read()).value!.length;
  await reader.cancel();
  c.equal("the end of an endless one", (await reader.read()).done, true);
  const byob = (await fetch(`${base}/bytes?n=1000`)).body!.getReader({ mode: "byob" });
  c.equal("byob", [...(await byob.read(new Uint8Array(4))).value!], [0, 1, 2, 3]);
  await byob.cancel();
  const [one, other] = await Promise.all([0, 1].map(async () => (await fetch(`${base}/bytes?n=700000`)).arrayBuffer()));
  c.equal("large", [one!.byteLength, other!.byteLength], [700000, 700000]);
  const response = await fetch(`${base}/bytes?n=300000`);
  const clone = response.clone();
  c.equal("clone", [(await response.bytes()).length, (await clone.bytes()).length], [300000, 300000]);
  const looked = await fetch(`${base}/bytes?n=300000`);
  const reading = looked.arrayBuffer();
  c.ok("body while it's read", looked.body !== null);
  c.equal("doesn't stop that", (await reading).byteLength, 300000);
  const met = await Promise.all(Array.from({ length: 5 }, async () => (await fetch(`${base}/meet?n=5`)).status));
  c.equal("at once", met, [200, 200, 200, 200, 200]);
  for (let i = 0; i < 200; i++) void (await fetch(`${base}/bytes?n=2000`)).status;
  c.ok("responses that nobody reads don't pile up", true);
}

async function redirects(c: Checks, base: string, other: string): Promise<void> {
  const to = (code: number, target: string) => `${base}/redirect/${code}?to=${encodeURIComponent(target)}`;
  const moved = await fetch(to(301, "/echo?x"));
  c.equal("followed", [moved.redirected, moved.url, moved.status], [true, `${base}/echo?x`, 200]);
  for (const [code, method, body] of [
    [301, "GET", ""],
    [302, "GET", ""],
    [303, "GET", ""],
    [307, "POST", "body"],
    [308, "POST", "body"],
  ] as const) {
    const echo = await echoed(to(code, "/echo"), { method: "POST", body: "body" });
    c.equal(`POST and ${code}`, [echo.method, echo.body], [method, body]);
  }
  const manual = await fetch(to(302, "/echo"), { redirect: "manual" });
  c.equal(
    "manual",
    [manual.status, manual.headers.get("location"), manual.redirected, await manual.text()],
    [302, "/echo", false, "moved"],
  );
  const refused: any = await fetch(to(302, "/echo"), { redirect: "error" }).catch((error: unknown) => error);
  c.equal("error", [refused instanceof TypeError, refused.message], [true, "fetch failed: unexpected redirect"]);
  c.equal("ten", await (await fetch(`${base}/hops/10`)).text(), "arrived");
  c.equal("eleven", await failure(() => fetch(`${base}/hops/11`)), ["redirect", "http_error"]);
  const secret = { Authorization: "Bearer x", "X-Kept": "yes" };
  const away = await echoed(to(307, `${other}/echo`), { headers: secret });
  c.equal("elsewhere", [header(away, "authorization"), header(away, "x-kept")], [undefined, "yes"]);
}

async function aborting(c: Checks, base: string): Promise<void> {
  const stop = new AbortController();
  const waiting = fetch(`${base}/never`, { signal: stop.signal });
  await pause(5);
  stop.abort("why");
  await c.rejectsWith("waiting for the head", "why", waiting);
  await c.rejects("a timeout", "TimeoutError", () => fetch(`${base}/never`, { signal: AbortSignal.timeout(20) }));
  const reading = new AbortController();
  const slow = await fetch(`${base}/slow`, { signal: reading.signal });
  const text = slow.text();
  await pause(20);
  reading.abort();
  await c.rejects("while it's read", "AbortError", () => text);
  const idle = new AbortController();
  const endless = await fetch(`${base}/endless`, { signal: idle.signal });
  const reader = endless.body!.getReader();
  await reader.read();
  idle.abort("idle");
  await c.rejectsWith("between two reads", "idle", reader.read());
  const sending = new AbortController();
  let cancelled: unknown;
  const stuck = new ReadableStream({
    start: (controller) => controller.enqueue(utf8("x")),
    cancel: (reason) => void (cancelled = reason),
  });
  const upload = fetch(`${base}/echo`, { method: "POST", body: stuck, duplex: "half", signal: sending.signal });
  await pause(5);
  sending.abort("sent");
  await c.rejectsWith("while it's sent", "sent", upload);
  await pause(1);
  c.equal("the source is cancelled", cancelled, "sent");
  const late = new AbortController();
  const done = await fetch(`${base}/echo`, { signal: late.signal });
  await done.text();
  late.abort();
  c.equal("afterwards", done.status, 200);
}

/** More than may be open at once: what nobody reads gives its place back. */
async function dropped(c: Checks, base: string): Promise<void> {
  for (let i = 0; i < 150; i++) await fetch(`${base}/bytes?n=100000`).then((response) => response.body);
  c.equal("the next one", (await fetch(`${base}/echo`)).status, 200);
}

async function failures(c: Checks, base: string): Promise<void> {
  const text = (path: string) => async () => (await fetch(`${base}${path}`)).text();
  const rows: [string, () => Promise<unknown>, [string, string]][] = [
    ["nothing comes", text("/nothing"), ["closed", "http_error"]],
    ["too short", text("/short"), ["closed", "http_error"]],
    ["ends in the middle", text("/midway"), ["closed", "http_error"]],
    ["no HTTP", text("/garbage"), ["protocol", "http_error"]],
    ["an address that isn't allowed", () => fetch("http://169.254.169.254/"), ["policy", "policy"]],
  ];
  for (const [what, run, expected] of rows) c.equal(what, await failure(run), expected);
  const refused: any = await fetch("http://10.0.0.1/").catch((error: unknown) => error);
  c.equal(
    "a refusal",
    [refused.capsule?.type, Object.keys(refused), refused.message === `fetch failed: ${refused.cause.message}`],
    ["policy", [], true],
  );
}

export const main = task(
  { name: "main", compute: "HIGH", ram: "512MB" },
  async (base: string, other: string = base) => {
    const c = new Checks();
    const blocks = { basics, requestHeaders, responseHeaders, requestBodies, uploads, streams, aborting, dropped, failures };
    for (const [name, run] of Object.entries(blocks)) await c.block(name, () => run(c, base));
    await c.block("redirects", () => redirects(c, base, other));
    return c.failures;
  },
);
