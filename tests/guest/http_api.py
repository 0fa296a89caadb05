"""capsule.http as its documentation says: each task tries one part against the test server and returns what it saw.

Runs inside a sandbox and outside of one, by `python`: what comes back must be the same.
"""

import asyncio
import io
import json

from capsule import http, task
from capsule.http import aget, apost, astream, delete, get, head, options, patch, post, put, request, stream

SENT_BY_THE_CLIENT = {"host", "connection", "accept", "accept-encoding", "user-agent"}


def sent(response):
    """What the server says that it got, without what each client adds on its own."""
    echo = response.json()
    echo["headers"] = sorted(
        [name.lower(), value] for name, value in echo["headers"] if name.lower() not in SENT_BY_THE_CLIENT
    )
    return echo


def shape(response):
    return [response.status_code, response.ok(), response.reason, response.redirected, response.url]


def error_of(function, *arguments, **keywords):
    try:
        return repr(function(*arguments, **keywords))
    except Exception as e:
        return [type(e).__name__, getattr(e, "kind", None)]


@task(max_retries=0)
def methods(base):
    calls = {"get": get, "delete": delete, "options": options}
    calls |= {"post": post, "put": put, "patch": patch}
    echoed = {name: sent(call(f"{base}/echo")) for name, call in calls.items()}
    alone = head(f"{base}/echo")
    return [echoed, shape(alone), alone.content == b"", sent(request("purge", f"{base}/echo"))["method"]]


@task(max_retries=0)
def urls(base):
    asked = [
        get(f"{base}/echo", params={"a": [1, "x y"], "b": None, "c": True, "\u00e4": "&="}),
        get(f"{base}/echo?first=1", params=[("second", 2)]),
        get(f"{base}/echo?q=\u00fc b#fragment"),
        get(f"{base}/echo?kept=%41%2f+[]"),
        get(base.replace("http://", "HTTP://") + "/echo"),
    ]
    with_user = sent(get(base.replace("//", "//me:s%40fe@") + "/echo"))
    named = sent(get(f"{base}/echo", auth=("\u00fcser", "pass:word")))
    return [[one.json()["target"] for one in asked], with_user["headers"], named["headers"]]


@task(max_retries=0)
def bodies(base):
    def parts():
        yield "one "
        yield b"two "
        yield bytearray(b"three")

    url = f"{base}/echo"
    return [
        sent(post(url, json={"a": [1, None, "\u00e4"]})),
        sent(post(url, data={"a": [1, 2], "b": "x y"})),
        sent(post(url, data=[("a", 1), ("a", 2)])),
        sent(put(url, data="t\u00e4xt", headers={"Content-Type": "text/plain"})),
        sent(put(url, data=memoryview(b"\0raw\xff"), headers={"content-type": "x/y"})),
        sent(post(url, json=False, headers=[("Content-Type", "application/ld+json"), ("X-A", "1"), ("X-B", 2)])),
        sent(post(url, data=parts(), headers={"content-type": "x/y"}))["body"],
        sent(post(url, data=io.BytesIO(b"x" * 300_000), headers={"content-type": "x/y"}))["body"] == "x" * 300_000,
        sent(post(url, data=io.StringIO("t\u00e4xt"), headers={"content-type": "x/y"}))["body"],
        [
            error_of(post, url, data=1),
            error_of(post, url, data=[1]),
            error_of(post, url, json={1, 2}),
            error_of(post, url, json=float("nan")),
            error_of(post, url, json=1, data=b"x"),
            error_of(get, url, headers={"a": None}),
            error_of(get, url, timeout=0),
            error_of(get, b"http://x"),
        ],
    ]


@task(max_retries=0)
def multipart(base):
    big = io.BytesIO(b"y" * 400_000)
    big.name = "/some/where/big.bin"
    whole = post(
        f"{base}/echo",
        data={"field": "line\none", "n": [1, 2]},
        files={'na"me\r\n': ("f\u00fcr\r\n.txt", "content", "text/plain"), "raw": b"\0\1"},
    )
    streamed = post(f"{base}/echo", files=[("big", big), ("page", ("a.html", io.BytesIO(b"<p>")))])
    wholes, streams = sent(whole), sent(streamed)
    kind = whole.json()["headers"]
    boundary = next(value for name, value in kind if name.lower() == "content-type").partition("boundary=")[2]
    other = dict(streams["headers"])["content-type"].partition("boundary=")[2]
    body = streams["body"].replace(other, "BOUNDARY").replace("y" * 400_000, "YYY")
    lengths = [v == str(len(streams["body"])) for n, v in streams["headers"] if n == "content-length"]
    return [wholes["body"].replace(boundary, "BOUNDARY"), body, lengths, boundary != other]


@task(max_retries=0)
def answers(base):
    def text_of(data, kind=None):
        query = {"hex": data.hex(), "type": kind}
        answer = get(f"{base}/text", params=query)
        return [answer.encoding, answer.text()]

    many = get(f"{base}/cookies")
    headers = many.headers
    return [
        [shape(get(f"{base}/status/{code}")) for code in (200, 299, 404, 500, 599)],
        get(f"{base}/status/404").text(),
        text_of("\u00e4".encode()),
        text_of("\ufeff\u00e4".encode()),
        text_of("\u00e4".encode("latin-1"), 'text/html; Charset="ISO-8859-1"'),
        text_of("\u00e4".encode("utf-16"), "text/plain; charset=utf-16"),
        text_of(b"\xff!", "text/plain; charset=no-such; x=y"),
        text_of(b"6869", "text/plain; charset=hex"),
        [get(f"{base}/text", params={"hex": t.hex()}).json() for t in (b"[1]", '{"a": "\u00e4"}'.encode("utf-16"))],
        error_of(get(f"{base}/text", params={"hex": b"{no".hex()}).json),
        [headers["x-ONE"], headers.get_list("Set-Cookie"), headers.get("none"), "X-one" in headers, len(headers)],
        [name.lower() for name, _ in headers.pairs()],
        [get(f"{base}/{one}").text()[:18] for one in ("gzip", "deflate", "chunked", "empty", "old")],
        error_of(get(f"{base}/status/404").raise_for_status),
        get(f"{base}/echo").raise_for_status().status_code,
    ]


@task(max_retries=0)
def redirects(base, other):
    def to(code, target, method="POST", **keywords):
        answer = request(method, f"{base}/redirect/{code}", params={"to": target}, data=b"body", **keywords)
        return [answer.redirected, answer.json()["method"], answer.json()["body"]]

    left = request("GET", f"{base}/redirect/302", params={"to": "/echo"}, follow_redirects=False)
    secret = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Kept": "yes"}
    away = sent(get(f"{base}/redirect/307", params={"to": f"{other}/echo"}, headers=secret))
    home = sent(get(f"{base}/redirect/307", params={"to": f"{base}/echo"}, headers=secret))
    return [
        {code: to(code, f"{base}/echo") for code in (301, 302, 303, 307, 308)},
        to(302, f"{base}/echo", "PUT"),
        shape(get(f"{base}/redirect/301", params={"to": "/echo?x"})),
        [left.status_code, left.redirected, left.headers["location"], left.text()],
        away["headers"],
        home["headers"],
        get(f"{base}/hops/10").text(),
        error_of(get, f"{base}/hops/11"),
        error_of(get, f"{base}/circle"),
        error_of(post, f"{base}/redirect/307", params={"to": "/echo"}, data=iter([b"once"])),
        shape(get(f"{base}/status/304")),
    ]


@task(max_retries=0)
def streams(base):
    with stream("GET", f"{base}/bytes?n=1000000") as answer:
        first = next(answer.iter_bytes(1000))
        rest = sum(map(len, answer.iter_bytes()))
    with stream("GET", f"{base}/endless") as endless:
        some = [len(next(endless.iter_bytes(10))) <= 10, endless.status_code]
    with get(f"{base}/lines", stream=True) as answer:
        lines = list(answer.iter_lines())
    with get(f"{base}/lines", stream=True) as answer:
        text = "".join(answer.iter_text())
    whole = get(f"{base}/bytes?n=300000", stream=True)
    again = [len(whole.content), len(whole.content), [len(part) for part in whole.iter_bytes(200_000)]]
    closed = get(f"{base}/bytes?n=10", stream=True)
    closed.close()
    return [len(first) + rest, some, lines, text, again, error_of(closed.read), list(get(f"{base}/lines").iter_lines())]


@task(max_retries=0)
async def asynchronous(base):
    async def parts():
        for part in ("one ", b"two"):
            await asyncio.sleep(0)
            yield part

    async with astream("GET", f"{base}/lines") as answer:
        lines = [line async for line in answer.aiter_lines()]
    async with astream("GET", f"{base}/bytes?n=300000") as answer:
        whole = len(await answer.aread())
    texts = await asyncio.gather(*(aget(f"{base}/echo", params={"i": i}) for i in range(20)))
    met = await asyncio.gather(*(aget(f"{base}/meet?n=5") for _ in range(5)))
    async with asyncio.TaskGroup() as group:
        one = group.create_task(apost(f"{base}/echo", json=[1]))
        two = group.create_task(apost(f"{base}/echo", data=parts(), headers={"content-type": "x/y"}))
    return [
        lines,
        whole,
        [answer.json()["target"] for answer in texts],
        [answer.status_code for answer in met],
        json.loads(one.result().json()["body"]),
        two.result().json()["body"],
        [type(e).__name__ for e in await asyncio.gather(aget("ftp://x"), return_exceptions=True)],
    ]


@task(max_retries=0)
def failures(base, closed):
    async def parts():
        yield b""

    return {
        "refused": error_of(get, closed),
        "nothing": error_of(get, f"{base}/nothing"),
        "short": error_of(get, f"{base}/short"),
        "midway": error_of(get, f"{base}/midway"),
        "never": error_of(get, f"{base}/never", timeout=0.2),
        "scheme": error_of(get, "ftp://127.0.0.1/"),
        "relative": error_of(get, "/path"),
        "name": error_of(get, "http://\u2100.example/"),
        "control": error_of(get, f"{base}/a\r\nb"),
        "method": error_of(request, "GET /x", base),
        "header": error_of(get, base, headers={"a": "b\r\nc: d"}),
        "async data": error_of(post, f"{base}/echo", data=parts()),
        "classes": [
            issubclass(http.Timeout, TimeoutError),
            issubclass(http.NotAllowed, PermissionError),
            issubclass(http.InvalidRequest, ValueError),
            issubclass(http.TlsError, ConnectionError),
            issubclass(http.HttpError, OSError),
        ],
    }


@task
def main():
    return "see tests/cli/test_http.py"
