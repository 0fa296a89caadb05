"""http.client and urllib.request over the host's HTTP. Only inside a sandbox.

Python's own HTTPConnection writes a request to a socket and reads the response from it. Ours keeps its interface and
its checks, sends the request as an operation of the host, and gives the response to Python's own HTTPResponse as if
it had come from a socket. So urllib.request (redirects, HTTPError, urlretrieve, …), xmlrpc.client and others stay as
they are.
"""

from __future__ import annotations

import http.client
import io
import socket
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from . import _http_inside
from ._http_errors import InvalidRequest, NotAllowed, Timeout
from ._http_request import PART, Request, idna
from ._http_response import Response

_TUNNEL = "proxies can't be used in a sandbox; the host makes the requests"
_OURS = {"host", "connection", "content-length", "transfer-encoding", "te", "keep-alive", "proxy-connection"}
"""Fields that belong to the connection, which is the host's."""

_ON_THE_WIRE = {"connection", "keep-alive", "transfer-encoding"}

_python: Any = http.client.HTTPConnection


class _Wire:
    """In the place of a socket: something that can be closed."""

    def close(self) -> None:
        """There is nothing to close."""

    def settimeout(self, timeout: float | None) -> None:
        """Each request is given its time when it's sent."""


class HTTPConnection(_python):  # type: ignore[misc]
    """http.client.HTTPConnection, over the host."""

    _scheme = "http"
    _HTTPConnection__state: str  # of the base class, whose states we keep

    def connect(self) -> None:
        """Nothing: the host connects when a request is sent, and keeps connections."""
        self.sock = _Wire()

    def set_tunnel(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no proxies."""
        raise OSError(_TUNNEL)

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        """Begin a request."""
        super().putrequest(method, url, skip_host=True, skip_accept_encoding=True)
        if "://" in url.partition("?")[0] and not url.startswith("/"):
            raise InvalidRequest(_TUNNEL, kind="url")
        self._target = url
        self._sent: list[bytes] = []
        self._reply: Response | None = None
        self._late: Timeout | None = None

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """Send the request, unless its body is to come by send()."""
        lines: list[bytes] = self._buffer[1:]
        if self._HTTPConnection__state != http.client._CS_REQ_STARTED:  # type: ignore[attr-defined]
            raise http.client.CannotSendHeader
        self._HTTPConnection__state = http.client._CS_REQ_SENT  # type: ignore[attr-defined]
        del self._buffer[:]
        self._fields = [_field(line) for line in lines]
        if self.sock is None:
            self.connect()
        if message_body is not None:
            self._submit(_body(message_body))
        elif not self._announces_a_body():
            self._submit(b"")

    def _announces_a_body(self) -> bool:
        fields = {name.lower(): value for name, value in self._fields}
        if "transfer-encoding" in fields:
            raise InvalidRequest("send() can't send chunks in a sandbox; hand the body to request()", kind="body")
        return fields.get("content-length", "0") != "0"

    def send(self, data: Any) -> None:
        """Add to the body of a request whose headers are sent."""
        body = _body(data)
        self._sent += [body] if isinstance(body, bytes) else body

    def _submit(self, body: bytes | Iterator[bytes]) -> None:
        request = Request(self._method, self._url())
        request.headers = [(name, value) for name, value in self._fields if name.lower() not in _OURS]
        request.body = body
        fields = {name.lower(): value for name, value in self._fields}
        if fields.get("host", self._authority()).lower() != self._authority().lower():
            raise InvalidRequest("the Host header can't be another than the URL's host", kind="header", url=request.url)
        if not isinstance(body, bytes) and "content-length" in fields:
            request.length = int(fields["content-length"])
        request.redirects = False
        request.stream = True
        try:
            self._reply = _http_inside.send_patiently(request, _nanoseconds(self.timeout))
        except Timeout as e:
            self._late = e

    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        if not host.isascii():
            host = idna(host)
        return host if self.port == self.default_port else f"{host}:{self.port}"

    def _url(self) -> str:
        return f"{self._scheme}://{self._authority()}{self._target if self._target[:1] == '/' else '/' + self._target}"

    def getresponse(self) -> http.client.HTTPResponse:
        """Return the response to the request that was sent."""
        if self._HTTPConnection__state != http.client._CS_REQ_SENT or self._HTTPConnection__response:  # type: ignore[attr-defined]
            raise http.client.ResponseNotReady(self._HTTPConnection__state)
        if self._reply is None and self._late is None:
            self._submit(b"".join(self._sent))
        reply, self._reply = self._reply, None
        if reply is None:  # as from a socket: connecting fails in request(), waiting for the answer here
            assert self._late is not None
            raise self._late
        self._HTTPConnection__state = http.client._CS_IDLE  # type: ignore[attr-defined]
        response: http.client.HTTPResponse = self.response_class(_Socket(reply), method=self._method)
        response.begin()
        return response


class HTTPSConnection(HTTPConnection):
    """The same with TLS, which is the host's work."""

    default_port = http.client.HTTPS_PORT
    _scheme = "https"

    def __init__(self, host: str, port: int | None = None, *, context: Any = None, **options: Any) -> None:
        if context is not None:
            raise ValueError("the host checks certificates, as its system does; an SSL context can't be given")
        super().__init__(host, port, **options)


def _nanoseconds(timeout: Any) -> int:
    if timeout is socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]
        timeout = socket.getdefaulttimeout()
    return -1 if timeout is None else max(round(timeout * 1e9), 1)


def _field(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip().replace("\r\n\t", " ")


def _body(body: Any) -> bytes | Iterator[bytes]:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if hasattr(body, "read"):
        return _read(body)
    if isinstance(body, Iterable):
        return map(bytes, body)
    raise TypeError(f"the body can't be a {type(body).__name__}")


def _read(file: Any) -> Iterator[bytes]:
    while part := file.read(PART):
        yield part.encode("latin-1") if isinstance(part, str) else part


class _Socket:
    """What HTTPResponse reads from: head and body as they would have come over HTTP/1.1."""

    def __init__(self, reply: Response) -> None:
        self.reply = reply

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file of the response."""
        return io.BufferedReader(_Raw(self.reply))


class _Raw(io.RawIOBase):
    def __init__(self, reply: Response) -> None:
        super().__init__()
        self._response = reply
        self._rest = memoryview(_head(reply))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._next(len(buffer)))
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

    def _next(self, most: int) -> bytes:
        source = self._response._source
        if source is None:
            content, self._response._content = self._response._content, b""
            return content or b""
        return source.read(max(most, PART))

    def close(self) -> None:
        if not self.closed:
            self._response.close()
        super().close()


def _head(reply: Response) -> bytes:
    """The head, without what was only true of the bytes on the wire: the host has joined and unpacked them."""
    lines = [f"HTTP/1.1 {reply.status_code} {reply.reason}"]
    unpacked = "content-encoding" in reply.headers
    for name, value in reply.headers.pairs():
        lower = name.lower()
        if lower in _ON_THE_WIRE or (unpacked and lower in ("content-encoding", "content-length")):
            continue
        lines.append(f"{name}: {value}")
    lines.append("Connection: close\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1", "replace")


class HTTPSHandler(urllib.request.AbstractHTTPHandler):
    """urllib.request.HTTPSHandler, which Python lacks where there's no ssl."""

    def __init__(self, debuglevel: int = 0, context: Any = None, check_hostname: bool | None = None) -> None:
        if context is not None:
            raise ValueError("the host checks certificates, as its system does; an SSL context can't be given")
        super().__init__(debuglevel or 0)

    def https_open(self, req: urllib.request.Request) -> Any:
        """Open an https URL."""
        return self.do_open(HTTPSConnection, req)

    https_request = urllib.request.AbstractHTTPHandler.do_request_


def install() -> None:
    """Make http.client and urllib.request work. Before user code can import them."""
    client: Any = http.client
    client.HTTPConnection, client.HTTPSConnection = HTTPConnection, HTTPSConnection
    for one in (HTTPConnection, HTTPSConnection):
        one.__module__ = "http.client"
    requests: Any = urllib.request
    requests.HTTPSHandler = HTTPSHandler
    requests.getproxies = dict  # a proxy in the environment is none of a guest's business
    requests.AbstractHTTPHandler.do_open = _do_open(requests.AbstractHTTPHandler.do_open)


def _do_open(original: Any) -> Any:
    def do_open(self: Any, http_class: Any, req: Any, **options: Any) -> Any:
        try:
            return original(self, http_class, req, **options)
        except urllib.error.URLError as e:
            if isinstance(e.reason, NotAllowed):
                e._capsule_type = "policy"  # type: ignore[attr-defined]
            raise

    return do_open
