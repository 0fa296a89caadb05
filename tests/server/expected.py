"""What the programs of tests/guest/http_api.py return, inside a sandbox and outside. {base} is the server's URL."""

NO_BODY = [["content-length", "0"]]


def shape(code: int, reason: str, url: str, redirected: bool = False) -> list[object]:
    return [code, 200 <= code < 300, reason, redirected, url]


def methods(base: str) -> list[object]:
    echoed = {
        name: {"method": name.upper(), "target": "/echo", "headers": headers, "body": ""}
        for names, headers in ((("get", "delete", "options"), []), (("post", "put", "patch"), NO_BODY))
        for name in names
    }
    return [echoed, shape(200, "OK", f"{base}/echo"), True, "PURGE"]


def urls(base: str) -> list[object]:
    targets = [
        "/echo?a=1&a=x+y&c=true&%C3%A4=%26%3D",
        "/echo?first=1&second=2",
        "/echo?q=%C3%BC%20b",
        "/echo?kept=%41%2f+[]",
        "/echo",
    ]
    return [
        targets,
        [["authorization", "Basic bWU6c0BmZQ=="]],
        [["authorization", "Basic w7xzZXI6cGFzczp3b3Jk"]],
    ]


def _sent(method: str, body: str, kind: str, *others: list[str]) -> dict[str, object]:
    headers = [["content-length", str(len(body))], ["content-type", kind], *others]
    return {"method": method, "target": "/echo", "headers": headers, "body": body}


def bodies(base: str) -> list[object]:
    form = "application/x-www-form-urlencoded"
    return [
        _sent("POST", '{"a":[1,null,"\u00c3\u00a4"]}', "application/json"),
        _sent("POST", "a=1&a=2&b=x+y", form),
        _sent("POST", "a=1&a=2", form),
        _sent("PUT", "t\u00c3\u00a4xt", "text/plain"),
        _sent("PUT", "\0raw\u00ff", "x/y"),
        _sent("POST", "false", "application/ld+json", ["x-a", "1"], ["x-b", "2"]),
        "one two three",
        True,
        "t\u00c3\u00a4xt",
        [
            ["TypeError", None],
            ["TypeError", None],
            ["TypeError", None],
            ["ValueError", None],
            ["InvalidRequest", "body"],
            ["TypeError", None],
            ["InvalidRequest", "timeout"],
            ["TypeError", None],
        ],
    ]


def _parts(*parts: tuple[str, str]) -> str:
    whole = "".join(f"--BOUNDARY\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n" for head, body in parts)
    return whole + "--BOUNDARY--\r\n"


def multipart(base: str) -> list[object]:
    octets = "\r\nContent-Type: application/octet-stream"
    whole = _parts(
        ('name="field"', "line\r\none"),
        ('name="n"', "1"),
        ('name="n"', "2"),
        ('name="na%22me%0D%0A"; filename="f\u00c3\u00bcr%0D%0A.txt"\r\nContent-Type: text/plain', "content"),
        (f'name="raw"; filename="raw"{octets}', "\0\1"),
    )
    streamed = _parts(
        (f'name="big"; filename="big.bin"{octets}', "YYY"),
        ('name="page"; filename="a.html"\r\nContent-Type: text/html', "<p>"),
    )
    return [whole, streamed, [True], True]


def answers(base: str) -> list[object]:
    known = {200: "OK", 299: "", 404: "Not Found", 500: "Internal Server Error", 599: ""}
    return [
        [shape(code, reason, f"{base}/status/{code}") for code, reason in known.items()],
        "body of /status/404",
        ["utf-8", "\u00e4"],
        ["utf-8", "\u00e4"],
        ["iso8859-1", "\u00e4"],
        ["utf-16", "\u00e4"],
        ["utf-8", "\ufffd!"],
        ["utf-8", "6869"],
        [[1], {"a": "\u00e4"}],
        ["JSONDecodeError", None],
        ["first, second", ["a=1; Path=/", "b=2"], None, True, 3],
        ["set-cookie", "x-one", "set-cookie", "x-one", "content-length"],
        ["unpacked unpacked ", "unpacked unpacked ", "hello, world", "", "as it was"],
        ["StatusError", "status"],
        200,
    ]


def redirects(base: str) -> list[object]:
    as_get, as_post = [True, "GET", ""], [True, "POST", "body"]
    return [
        {"301": as_get, "302": as_get, "303": as_get, "307": as_post, "308": as_post},
        [True, "PUT", "body"],
        shape(200, "OK", f"{base}/echo?x", True),
        [302, False, "/echo", "moved"],
        [["x-kept", "yes"]],
        [["authorization", "Bearer x"], ["cookie", "a=b"], ["x-kept", "yes"]],
        "arrived",
        ["RedirectError", "redirect"],
        ["RedirectError", "redirect"],
        ["RedirectError", "redirect"],
        shape(304, "Not Modified", f"{base}/status/304"),
    ]


def streams(base: str) -> list[object]:
    lines = ["first", "zw\u00f6lf", "", "last"]
    return [
        1_000_000,
        [True, 200],
        lines,
        "first\r\nzw\u00f6lf\n\nlast",
        [300_000, 300_000, [200_000, 100_000]],
        ["HttpError", "consumed"],
        lines,
    ]


def asynchronous(base: str) -> list[object]:
    targets = [f"/echo?i={i}" for i in range(20)]
    return [["first", "zw\u00f6lf", "", "last"], 300_000, targets, [200] * 5, [1], "one two", ["InvalidRequest"]]


def failures(base: str) -> dict[str, object]:
    return {
        "refused": ["ConnectError", "connect"],
        "nothing": ["ProtocolError", "closed"],
        "short": ["ProtocolError", "closed"],
        "midway": ["ProtocolError", "closed"],
        "never": ["Timeout", "timeout"],
        "scheme": ["InvalidRequest", "url"],
        "relative": ["InvalidRequest", "url"],
        "name": ["InvalidRequest", "url"],
        "control": ["InvalidRequest", "url"],
        "method": ["InvalidRequest", "method"],
        "header": ["InvalidRequest", "header"],
        "async data": ["TypeError", None],
        "classes": [True, True, True, True, True],
    }


PARTS = (methods, urls, bodies, multipart, answers, redirects, streams, asynchronous, failures)
