"""An HTTP server on loopback that can behave and misbehave: one per test session, a thread per connection.

Every route is a function of this file's table; it writes what it likes to the socket. What arrived is kept in
`Server.requests`, so that tests can say what was sent and, above all, what wasn't.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

STEP = 0.05
"""Seconds between two bytes of a server that is slow on purpose."""


@dataclass
class Request:
    """What a client sent."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    port: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def header(self, name: str) -> str | None:
        """All values of a header, joined; None if there's none."""
        values = [value for given, value in self.headers if given.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass
class Server:
    """A listening socket and its threads. `url` is its base: "http://127.0.0.1:PORT".

    With `pages` (path → content type and body) it has those and nothing of the table below.
    """

    context: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    pages: dict[str, tuple[str, str]] | None = None

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.here = threading.Condition()
        self.listener = socket.create_server((self.host, self.port), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def scheme(self) -> str:
        return "https" if self.context else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """As an entry of allowed_hosts."""
        return f"{self.host}:{self.port}"

    def at(self, path: str) -> list[Request]:
        """The requests for a path."""
        return [one for one in self.requests if one.path == path]

    def clear(self) -> None:
        """Forget what came before this test."""
        self.requests.clear()
        self.connections = 0

    def close(self) -> None:
        """Stop at once, in the middle of whatever is under way."""
        self.stopping.set()
        self.listener.close()
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        self.open.add(client)
        self.connections += 1
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
                self.open.add(client)
                if client.selected_alpn_protocol() == "h2":
                    from tests.server.http2 import talk

                    talk(self, client)
                    return
            connection = Connection(self, client)
            while connection.exchange():
                pass
        except OSError:
            pass  # the client went away, or didn't like the certificate
        finally:
            self.open.discard(client)
            client.close()


class Connection:
    """One connection of HTTP/1.1."""

    def __init__(self, server: Server, client: socket.socket) -> None:
        self.server = server
        self.client = client
        self.file = client.makefile("rb")

    def exchange(self) -> bool:
        """One request and its response; whether another may follow."""
        request = self._read_head()
        if request is None:
            return False
        routes = ROUTES if self.server.pages is None else {}
        route, takes_body = routes.get(request.path, (page, True))
        if takes_body:
            self._read_body(request)
        self.server.requests.append(request)
        if route is page:
            route, _ = routes.get("/" + request.path.split("/")[1] + "/*", (page, True))
        return route(self, request) is not False

    def _read_head(self) -> Request | None:
        if self.file.peek(1)[:1] == b"\x16":  # TLS, where there is none
            self.answer("this is a plain server", "400 Bad Request")
            return None
        line = self.file.readline(100_000)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (line := self.file.readline(100_000)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            headers.append((name, value.strip()))
        return Request(method, target, headers, port=self.server.port)

    def _read_body(self, request: Request) -> None:
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            parts = []
            while size := self._read_size():
                parts.append(self.file.read(size))
                self.file.readline()
            self.file.readline()
            request.body = b"".join(parts)
        else:
            request.body = self.file.read(int(request.header("content-length") or 0))

    def _read_size(self) -> int:
        line = self.file.readline()
        if not line:
            raise ConnectionError("the client left in the middle of its body")
        return int(line.split(b";")[0], 16)

    def write(self, data: bytes) -> None:
        self.client.sendall(data)

    def answer(self, body: bytes | str = b"", status: str = "200 OK", method: str = "GET", **headers: str) -> None:
        """A response as it should be. Names of headers: "_" stands for "-"."""
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if method == "HEAD" else data))

    def pause(self, seconds: float) -> None:
        """Wait; an OSError ends the connection's thread when the server stops."""
        if self.server.stopping.wait(seconds):
            raise OSError("stopping")

    def gone(self) -> None:
        """Wait until the client has gone."""
        self.client.settimeout(60)
        while self.client.recv(65536):
            pass


Route = Callable[[Connection, Request], "bool | None"]
ROUTES: dict[str, tuple[Route, bool]] = {}


def route(path: str, takes_body: bool = True) -> Callable[[Route], Route]:
    """Register a route; "/name/*" takes everything below."""

    def register(function: Route) -> Route:
        ROUTES[path] = function, takes_body
        return function

    return register


def page(c: Connection, r: Request) -> None:
    """One of the server's pages, or none."""
    kind, body = (c.server.pages or {}).get(r.path, ("", ""))
    if kind:
        c.answer(body, method=r.method, Content_Type=kind)
    else:
        c.answer("no such page", "404 Not Found", r.method)


def echo_of(r: Request) -> bytes:
    """A request as JSON."""
    return json.dumps(
        {"method": r.method, "target": r.target, "headers": r.headers, "body": r.body.decode("latin-1")}
    ).encode()


# --- that behave


@route("/echo")
def echo(c: Connection, r: Request) -> None:
    c.answer(echo_of(r), "200 OK", r.method, Content_Type="application/json")


@route("/length")
def length(c: Connection, r: Request) -> None:
    """How long the body was."""
    c.answer(str(len(r.body)))


@route("/text")
def text(c: Connection, r: Request) -> None:
    """?hex=BODY&type=CONTENT-TYPE"""
    extra = {"Content_Type": r.query["type"]} if "type" in r.query else {}
    c.answer(bytes.fromhex(r.query["hex"]), **extra)


@route("/bytes")
def some_bytes(c: Connection, r: Request) -> None:
    """?n=COUNT"""
    n = int(r.query["n"])
    c.answer((bytes(range(256)) * (n // 256 + 1))[:n], Content_Type="application/octet-stream")


@route("/status/*")
def status(c: Connection, r: Request) -> None:
    c.answer(f"body of {r.path}", r.path.split("/")[2] + " As Told", r.method)


@route("/empty")
def empty(c: Connection, r: Request) -> None:
    c.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@route("/gzip")
def gzipped(c: Connection, r: Request) -> None:
    c.answer(gzip.compress(b"unpacked " * 100), Content_Encoding="gzip")


@route("/deflate")
def deflated(c: Connection, r: Request) -> None:
    c.answer(zlib.compress(b"unpacked " * 100), Content_Encoding="deflate")


@route("/chunked")
def chunked(c: Connection, r: Request) -> None:
    c.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    c.write(b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n")


@route("/cookies")
def cookies(c: Connection, r: Request) -> None:
    c.write(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nX-One: first\r\nset-cookie: b=2\r\nx-one: second\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@route("/lines")
def lines(c: Connection, r: Request) -> None:
    """Each line goes out alone."""
    c.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for line in ("first\r\n", "zw\u00f6lf\n", "\n", "last"):
        for byte in line.encode():
            c.write(b"1\r\n%c\r\n" % byte)
    c.write(b"0\r\n\r\n")


@route("/redirect/*")
def redirect(c: Connection, r: Request) -> None:
    """/redirect/CODE?to=URL"""
    c.answer("moved", r.path.split("/")[2] + " Moved", r.method, Location=unquote(r.query["to"]))


@route("/hops/*")
def hops(c: Connection, r: Request) -> None:
    """/hops/N: so many redirects, then the end."""
    left = int(r.path.split("/")[2])
    if left:
        c.answer("on", "302 Found", Location=f"/hops/{left - 1}")
    else:
        c.answer("arrived")


@route("/later")
def later(c: Connection, r: Request) -> None:
    """?ms=TIME"""
    c.pause(int(r.query["ms"]) / 1000)
    c.answer("at last")


@route("/meet")
def meet(c: Connection, r: Request) -> None:
    """?n=COUNT: answers when so many are here at once, which proves that they are."""
    server = c.server
    with server.here:
        server.here.notify_all()
        met = server.here.wait_for(lambda: len(server.at("/meet")) >= int(r.query["n"]), timeout=30)
    c.answer("met", "200 OK" if met else "504 Nobody Came")


@route("/early", takes_body=False)
def early(c: Connection, r: Request) -> bool:
    """Answers before it has read the body, and reads no more."""
    c.answer("too much", "413 Content Too Large", Connection="close")
    c.client.shutdown(socket.SHUT_WR)
    c.gone()
    return False


# --- that misbehave


@route("/circle")
def circle(c: Connection, r: Request) -> None:
    c.answer("", "302 Found", Location="/circle")


@route("/never")
def never(c: Connection, r: Request) -> bool:
    c.gone()
    return False


@route("/slow")
def slow(c: Connection, r: Request) -> None:
    """A byte at a time, without end."""
    c.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        c.write(b"x")
        c.pause(STEP)


@route("/slow-head")
def slow_head(c: Connection, r: Request) -> None:
    c.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        c.write(b"X")
        c.pause(STEP)


@route("/endless")
def endless(c: Connection, r: Request) -> None:
    c.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        c.write(b"endless " * 8192)


@route("/headers")
def many_headers(c: Connection, r: Request) -> None:
    """?n=COUNT"""
    fields = "".join(f"X-Field-{i}: value\r\n" for i in range(int(r.query["n"])))
    c.write(f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok".encode())


@route("/short")
def short(c: Connection, r: Request) -> bool:
    c.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    return False


@route("/long")
def long(c: Connection, r: Request) -> bool:
    c.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more than that")
    return False


@route("/midway")
def midway(c: Connection, r: Request) -> bool:
    c.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo")
    return False


@route("/reset")
def reset(c: Connection, r: Request) -> bool:
    c.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly")
    c.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return False


@route("/nothing")
def nothing(c: Connection, r: Request) -> bool:
    return False


@route("/garbage")
def garbage(c: Connection, r: Request) -> bool:
    c.write(b"this is no HTTP\r\n\r\n\0\1\2")
    return False


@route("/old")
def old(c: Connection, r: Request) -> bool:
    """HTTP/1.0, ended by closing."""
    c.write(b"HTTP/1.0 200 OK\r\n\r\nas it was")
    return False


@route("/two-lengths")
def two_lengths(c: Connection, r: Request) -> bool:
    c.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello..")
    return False


@route("/bomb")
def bomb(c: Connection, r: Request) -> None:
    """?mb=SIZE, unpacked"""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(int(r.query["mb"]))) + packer.flush()
    c.answer(packed, Content_Encoding="gzip")


@route("/bad-gzip")
def bad_gzip(c: Connection, r: Request) -> None:
    c.answer(b"\x1f\x8b\x08 this isn't packed", Content_Encoding="gzip")


@route("/bad-location")
def bad_location(c: Connection, r: Request) -> None:
    """?to=URL, as it is"""
    c.answer("", "302 Found", Location=r.query.get("to", ""))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
