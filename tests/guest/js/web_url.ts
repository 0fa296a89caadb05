/** URL and URLSearchParams: the facts of web-platform-tests' url/. */
import { task } from "@capsule-run/sdk";
import { Checks } from "./checks.js";

/** [input, base, href], href null: it fails. url/resources/urltestdata.json */
const PARSED: [string, string | undefined, string | null][] = [
  ["http://example.com", undefined, "http://example.com/"],
  ["HTTP://EXAMPLE.COM:80/../a/./b/../c?Q#F", undefined, "http://example.com/a/c?Q#F"],
  ["https://user:pass@example.com:8443/p?q#f", undefined, "https://user:pass@example.com:8443/p?q#f"],
  ["http://foo:@c:29/d", undefined, "http://foo@c:29/d"],
  ["//host/path", "https://base/x", "https://host/path"],
  ["/rooted", "http://h/a/b?c#d", "http://h/rooted"],
  ["relative", "http://h/a/b?c#d", "http://h/a/relative"],
  ["?q", "http://h/a/b?c#d", "http://h/a/b?q"],
  ["#f", "http://h/a/b?c#d", "http://h/a/b?c#f"],
  ["", "http://h/a/b?c#d", "http://h/a/b?c"],
  ["../../../x", "http://h/a/b/c", "http://h/x"],
  ["\\\\x\\hello", "http://example.org/foo/bar", "http://x/hello"],
  ["http:foo", "http://example.org/a/b", "http://example.org/a/foo"],
  ["http:foo", "https://example.org/a/b", "http://foo/"],
  ["\t :foo.com \n", "http://example.org/foo/bar", "http://example.org/foo/:foo.com"],
  ["ht\ntp://ex\tample.com/\r", undefined, "http://example.com/"],
  ["http://f:/c", undefined, "http://f/c"],
  ["http://f:00000000000000000000080/c", undefined, "http://f/c"],
  ["http://f:65535/c", undefined, "http://f:65535/c"],
  ["http://f:65536/c", undefined, null],
  ["http://f: 21 / b", undefined, null],
  ["http://[1::2]:3:4", undefined, null],
  ["http://2001::1", undefined, null],
  ["http://[::127.0.0.1]", undefined, "http://[::7f00:1]/"],
  ["http://[0:0:0:0:0:0:13.1.68.3]", undefined, "http://[::d01:4403]/"],
  ["http://[2001:DB8::1]", undefined, "http://[2001:db8::1]/"],
  ["http://[1:0::0:2]", undefined, "http://[1::2]/"],
  ["http://[::1%eth0]", undefined, null],
  ["http://[:::1]", undefined, null],
  ["http://192.0x00A80001", undefined, "http://192.168.0.1/"],
  ["http://0300.168.0xF0", undefined, "http://192.168.0.240/"],
  ["http://127.1", undefined, "http://127.0.0.1/"],
  ["http://2130706433/", undefined, "http://127.0.0.1/"],
  ["http://256.256.256.256", undefined, null],
  ["http://1.2.3.4.5/", undefined, null],
  ["http://foo.0x/", undefined, null],
  ["http://4294967296", undefined, null],
  [
    "http://\u{ff10}\u{ff38}\u{ff43}\u{ff10}.\u{ff10}\u{ff12}\u{ff15}\u{ff10}.\u{ff10}\u{ff11}",
    undefined,
    "http://192.168.0.1/",
  ],
  ["http://GO\u200b\u2060\ufeffgoo.com", undefined, "http://gogoo.com/"],
  ["http://www.foo\u3002bar.com", undefined, "http://www.foo.bar.com/"],
  ["http://\u4f60\u597d\u4f60\u597d", undefined, "http://xn--6qqa088eba/"],
  ["http://fa\u00df.ExAmPlE/", undefined, "http://xn--fa-hia.example/"],
  ["http://B\u00fccher.example", undefined, "http://xn--bcher-kva.example/"],
  ["http://xn--/", undefined, "http://xn--/"],
  ["http://\u00ad/", undefined, null],
  ["http://a%b", undefined, null],
  ["http://%41.com", undefined, "http://a.com/"],
  ["http://ho%20st/", undefined, null],
  ["http://a<b", undefined, null],
  ["http://a^b", undefined, null],
  ["http://\ufdd0zyx.com", undefined, null],
  ["http://example.com/\u00e4?\u00f6#\u00fc", undefined, "http://example.com/%C3%A4?%C3%B6#%C3%BC"],
  ["http://example.com/%zz%41", undefined, "http://example.com/%zz%41"],
  ['http://example.com/a b"<>`{}', undefined, "http://example.com/a%20b%22%3C%3E%60%7B%7D"],
  ["http://example.com/?a b\"<>'`{}", undefined, "http://example.com/?a%20b%22%3C%3E%27`{}"],
  ["foo://example.com/?'", undefined, "foo://example.com/?'"],
  ['http://example.com/#a b"<>`', undefined, "http://example.com/#a%20b%22%3C%3E%60"],
  ["http://example.com/\ud800", undefined, "http://example.com/%EF%BF%BD"],
  ["http://example.com/foo%2e/%2E%2e/bar", undefined, "http://example.com/bar"],
  ["http://example.com////../..", undefined, "http://example.com//"],
  ["http://us\u00e9r:p@ss@h/", undefined, "http://us%C3%A9r:p%40ss@h/"],
  ["http://user@/www", undefined, null],
  ["http://", undefined, null],
  ["http:///a", undefined, "http://a/"],
  ["https://x:443/", undefined, "https://x/"],
  ["ws://x:80/", undefined, "ws://x/"],
  ["wss://x:443/", undefined, "wss://x/"],
  ["ftp://x:21/", undefined, "ftp://x/"],
  ["file:///C|/m/", undefined, "file:///C:/m/"],
  ["file:c:\\foo\\bar.html", "file:///tmp/mock/path", "file:///c:/foo/bar.html"],
  ["file://localhost/etc/fstab", undefined, "file:///etc/fstab"],
  ["file://example:1/", undefined, null],
  ["/..//localhost//pork", "file://lion/", "file://lion//localhost//pork"],
  ["mailto:x@y.z", undefined, "mailto:x@y.z"],
  ["javascript:alert(1)", undefined, "javascript:alert(1)"],
  ["data:text/html,a  b", undefined, "data:text/html,a  b"],
  ["non-special://h:00/p/../q", undefined, "non-special://h:0/q"],
  ["non-special:opaque ?q #f", undefined, "non-special:opaque%20?q%20#f"],
  ["sc://\u00f1/", undefined, "sc://%C3%B1/"],
  ["sc:/a/../b", undefined, "sc:/b"],
  ["sc:/..//p", undefined, "sc:/.//p"],
  ["about:blank", undefined, "about:blank"],
  ["blob:https://example.com:443/", undefined, "blob:https://example.com:443/"],
  ["relative", undefined, null],
  ["x", "about:blank", null],
  ["#x", "about:blank", "about:blank#x"],
  ["a:b", "http://h/", "a:b"],
  ["1a:b", "http://h/", "http://h/1a:b"],
];

/** [href, property, value, href afterwards]. url/resources/setters_tests.json */
const SET: [
  string,
  "protocol" | "username" | "password" | "host" | "hostname" | "port" | "pathname" | "search" | "hash",
  string,
  string,
][] = [
  ["http://h/", "protocol", "https", "https://h/"],
  ["http://h/", "protocol", "foo", "http://h/"],
  ["foo://h/", "protocol", "http", "foo://h/"],
  ["http://h:443/", "protocol", "https", "https://h/"],
  ["file://localhost/", "protocol", "http", "file:///"],
  ["http://h/", "username", "me:you", "http://me%3Ayou@h/"],
  ["http://me@h/", "username", "", "http://h/"],
  ["mailto:x", "username", "me", "mailto:x"],
  ["http://h/", "password", "s@c", "http://:s%40c@h/"],
  ["http://h:1/", "host", "other:2", "http://other:2/"],
  ["http://h:1/", "host", "other", "http://other:1/"],
  ["http://h/", "host", "x:80", "http://x/"],
  ["http://h/", "host", "", "http://h/"],
  ["http://h/", "host", "a b", "http://h/"],
  ["http://h/", "hostname", "x:80", "http://h/"],
  ["http://h/", "hostname", "\u00e4.de", "http://xn--4ca.de/"],
  ["mailto:x", "hostname", "h", "mailto:x"],
  ["http://h/", "port", "8080", "http://h:8080/"],
  ["http://h:8080/", "port", "", "http://h/"],
  ["http://h:8080/", "port", "80", "http://h/"],
  ["http://h:8080/", "port", "9000stuff", "http://h:9000/"],
  ["http://h:8080/", "port", "65536", "http://h:8080/"],
  ["http://h:8080/", "port", "x", "http://h:8080/"],
  ["file:///x", "port", "1", "file:///x"],
  ["http://h/a?q#f", "pathname", "b c/../d?", "http://h/d%3F?q#f"],
  ["mailto:x", "pathname", "y", "mailto:x"],
  ["http://h/a", "search", "?q=a b", "http://h/a?q=a%20b"],
  ["http://h/a?x", "search", "", "http://h/a"],
  ["http://h/a", "search", "#", "http://h/a?%23"],
  ["http://h/a", "hash", "f g", "http://h/a#f%20g"],
  ["http://h/a#x", "hash", "", "http://h/a"],
];

function parsing(c: Checks): void {
  for (const [input, base, href] of PARSED) {
    const what = `URL ${JSON.stringify(input)}${base === undefined ? "" : ` on ${base}`}`;
    c.equal(what, URL.parse(input, base)?.href ?? null, href);
    c.equal(`${what}, canParse`, URL.canParse(input, base), href !== null);
    if (href === null) c.throws(what, TypeError, () => new URL(input, base));
    else c.equal(`${what}, again`, new URL(href).href, href);
  }
}

function setting(c: Checks): void {
  for (const [href, property, value, after] of SET) {
    const url = new URL(href);
    url[property] = value;
    c.equal(`${href}: ${property} = ${JSON.stringify(value)}`, url.href, after);
  }
  const url = new URL("http://h/");
  c.throws("href = nonsense", TypeError, () => (url.href = "nonsense"));
  c.equal("href stays", url.href, "http://h/");
}

function parts(c: Checks): void {
  const url = new URL("https://me:pw@ex\u00e4mple.org:8080/a/b?c=d&e#f");
  const { protocol, username, password, host, hostname, port, pathname, search, hash, origin } = url;
  c.equal(
    "parts",
    [protocol, username, password, host, hostname, port, pathname, search, hash, origin],
    [
      "https:",
      "me",
      "pw",
      "xn--exmple-cua.org:8080",
      "xn--exmple-cua.org",
      "8080",
      "/a/b",
      "?c=d&e",
      "#f",
      "https://xn--exmple-cua.org:8080",
    ],
  );
  // url/url-origin.any.js
  for (const [href, expected] of [
    ["blob:https://h:443/x", "https://h"],
    ["blob:ftp://h/x", "null"],
    ["file:///x", "null"],
    ["data:,x", "null"],
    ["ws://h:80/", "ws://h"],
    ["foo://h", "null"],
  ])
    c.equal(`origin of ${href}`, new URL(href!).origin, expected);
  c.equal("toJSON", JSON.stringify({ url }), `{"url":"${url.href}"}`);
  c.equal("toString", String(url), url.href);
  c.equal("tag", Object.prototype.toString.call(url), "[object URL]");
  c.throws("without new", TypeError, () => (URL as any)("http://h"));
  c.throws("no argument", TypeError, () => new (URL as any)());
}

/** url/url-searchparams.any.js */
function live(c: Checks): void {
  const url = new URL("http://h/?a=1&b=2#f");
  const { searchParams } = url;
  c.ok("the same object", searchParams === url.searchParams);
  searchParams.append("c", "x y&z");
  c.equal("append", url.href, "http://h/?a=1&b=2&c=x+y%26z#f");
  searchParams.delete("a");
  c.equal("delete", url.search, "?b=2&c=x+y%26z");
  url.search = "?n=%20+";
  c.equal("search set", [...searchParams], [["n", "  "]]);
  url.href = "http://other/?m";
  c.equal("href set", [...searchParams], [["m", ""]]);
  searchParams.delete("m");
  c.equal("nothing left", url.href, "http://other/");
  c.throws("searchParams can't be set", TypeError, () => {
    "use strict";
    (url as any).searchParams = 1;
  });
}

/** url/urlsearchparams-*.any.js */
function params(c: Checks): void {
  const pairs = (init?: any) => [...new URLSearchParams(init)];
  const rows: [any, [string, string][]][] = [
    [
      "?a=b&c",
      [
        ["a", "b"],
        ["c", ""],
      ],
    ],
    ["a=b=c", [["a", "b=c"]]],
    [
      "&&=&a",
      [
        ["", ""],
        ["a", ""],
      ],
    ],
    ["a+b=c+d", [["a b", "c d"]]],
    ["%61=%zz%F0%9F%92%A9", [["a", "%zz\u{1f4a9}"]]],
    ["a=%ff", [["a", "\ufffd"]]],
    ["\ufeffa=b", [["\ufeffa", "b"]]],
    ["??a", [["?a", ""]]],
    [
      { a: 1, b: "x" },
      [
        ["a", "1"],
        ["b", "x"],
      ],
    ],
    [
      [
        ["a", "1"],
        ["a", "2"],
      ],
      [
        ["a", "1"],
        ["a", "2"],
      ],
    ],
    [new URLSearchParams("q=r"), [["q", "r"]]],
    [new Map([["k", "v"]]), [["k", "v"]]],
    [undefined, []],
    ["", []],
  ];
  for (const [init, expected] of rows) c.equal(`params of ${String(init)}`, pairs(init), expected);
  c.throws("a triple", TypeError, () => new URLSearchParams([["a", "b", "c"]] as any));
  c.throws("not a pair", TypeError, () => new URLSearchParams([["a"]] as any));
}

function changing(c: Checks): void {
  const p = new URLSearchParams("b=1&a=2&b=3&c=4");
  c.equal("size", p.size, 4);
  c.equal("get", [p.get("b"), p.get("none"), p.getAll("b")], ["1", null, ["1", "3"]]);
  c.equal("has", [p.has("a"), p.has("a", "2"), p.has("a", "3")], [true, true, false]);
  p.set("b", "9");
  c.equal("set", p.toString(), "b=9&a=2&c=4");
  p.append("a", "5");
  p.delete("a", "2");
  c.equal("delete a value", p.toString(), "b=9&c=4&a=5");
  p.sort();
  c.equal("sort", p.toString(), "a=5&b=9&c=4");
  const odd = new URLSearchParams("\ufffd=x&\u{1f308}=y&a=z");
  odd.sort();
  c.equal("sort by code units", [...odd.keys()], ["a", "\u{1f308}", "\ufffd"]);
  c.equal("escapes", new URLSearchParams({ "\u00e4 ~*-._": "\0'()!" }).toString(), "%C3%A4+%7E*-._=%00%27%28%29%21");
  c.equal("lone surrogate", new URLSearchParams({ "\ud800": "x" }).toString(), "%EF%BF%BD=x");
  const seen: string[] = [];
  p.forEach((value, name, all) => seen.push(`${name}=${value}${all === p}`));
  c.equal("forEach", seen, ["a=5true", "b=9true", "c=4true"]);
  c.equal(
    "entries",
    [[...p.entries()], [...p.keys()], [...p.values()]],
    [
      [
        ["a", "5"],
        ["b", "9"],
        ["c", "4"],
      ],
      ["a", "b", "c"],
      ["5", "9", "4"],
    ],
  );
  const walked: string[] = [];
  const shrinking = new URLSearchParams("a=1&b=2&c=3");
  for (const [name] of shrinking) {
    walked.push(name);
    if (name === "a") shrinking.delete("b");
  }
  c.equal("changed while walked", walked, ["a", "c"]);
}

const SCHEMES = ["http", "https", "HTTP"];
const HOSTS = ["a", "a.b", "A.b", "127.0.0.1", "127.1", "0x7f.1", "1.2.3.256", "01.2.3.4", "a.1", "a.0x1", "xn--a", "a_b.c", "a..b", "a.b.", "-a.b", "a-.b", "1a", "1.a", "0", "é.com", "[::1]", "a%2eb"];
const PORTS = ["", ":80", ":443", ":8080", ":65536", ":080", ":"];
const PATHS = ["", "/", "/a.b/c", "/./b", "/a/../b", "/.a", "/a.", "/%2e", "/a%20b", "/a b", "//", "/'", "/|", "/a\\b", "/~!$&()*+,;=:@"];
const REST = ["", "?", "?a=b%zz", "?'", "?a b", "#a", "?/?:@"];

/** Requests have a shortcut for URLs that are written normally (web/plain_url.ts): it must agree with the parser. */
function requests(c: Checks): void {
  for (const scheme of SCHEMES)
    for (const host of HOSTS)
      for (const port of PORTS)
        for (const path of PATHS)
          for (const rest of REST) {
            const odd = Number(port !== "") + Number(path !== "/") + Number(rest !== "") + Number(host !== "a.b");
            if (odd > 2) continue; // two oddities at a time are enough
            const text = `${scheme}://${host}${port}${path}${rest}`;
            const parsed = URL.parse(text)?.href;
            let asked: string | undefined;
            try {
              asked = new Request(text).url;
            } catch {
              asked = undefined;
            }
            if (asked !== parsed) c.equal(text, asked, parsed);
          }
}

export const main = task({ name: "main", compute: "HIGH", ram: "512MB" }, async () => {
  const c = new Checks();
  for (const [name, run] of Object.entries({ parsing, setting, parts, live, params, changing }))
    await c.block(name, () => run(c));
  return c.failures;
});

export const shortcut = task({ name: "shortcut", compute: "HIGH" }, async () => {
  const c = new Checks();
  await c.block("requests", () => requests(c));
  return c.failures;
});
