"""Requests by Python's own library, for programs that run outside of a sandbox: `python main.py`, pytest.

The same calls give the same responses and errors. What only the host does is missing: egress rules, secrets, limits,
HTTP/2, kept connections.
"""

from __future__ import annotations

import asyncio
import http.client
import math
import socket
import ssl
import urllib.error
import urllib.request
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

from ._http_errors import (
    ConnectError,
    HttpError,
    InvalidRequest,
    ProtocolError,
    RedirectError,
    Timeout,
    TlsError,
)
from ._http_request import Request
from ._http_response import Response

_LOST_WITH_THE_BODY = {"content-type", "content-length", "content-encoding", "content-language"}
_LOST_WITH_THE_ORIGIN = {"authorization", "cookie"}
_REDIRECTS_MAX = 10


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects as the host follows them: 307 and 308 keep method and body."""

    max_redirections = _REDIRECTS_MAX

    def __init__(self, follow: bool) -> None:
        self.follow = follow

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not self.follow:
            return None
        method, data = req.get_method(), req.data
        kept = {name: value for name, value in req.header_items() if name.lower() != "host"}
        if (code == 303 and method != "HEAD") or (code in (301, 302) and method == "POST"):
            method, data = "GET", None
            kept = {name: value for name, value in kept.items() if name.lower() not in _LOST_WITH_THE_BODY}
        elif data is not None and not isinstance(data, bytes):
            message = "a streamed body can't be sent again after a redirect"
            raise RedirectError(message, kind="redirect", url=req.full_url)
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            kept = {name: value for name, value in kept.items() if name.lower() not in _LOST_WITH_THE_ORIGIN}
        return urllib.request.Request(newurl, data, kept, method=method)


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Redirects go to their handler; every other status is a response."""

    def __init__(self, follow: bool, untyped: bool) -> None:
        self.follow = follow
        self.untyped = untyped

    def http_request(self, req: urllib.request.Request) -> urllib.request.Request:
        if self.untyped:  # urllib has called the body a form
            req.unredirected_hdrs.pop("Content-type", None)
        return req

    def http_response(self, request: Any, response: Any) -> Any:
        if self.follow and response.code in (301, 302, 303, 307, 308) and "location" in response.headers:
            return super().http_response(request, response)
        return response

    https_request = http_request
    https_response = http_response


def send(request: Request) -> Response:
    """Send a request and wait for its response; of a stream, for its head."""
    if isinstance(request.body, AsyncIterator):
        raise TypeError("an asynchronous iterator can only be sent by the asynchronous functions, such as apost")
    return _send(request, request.body)


async def asend(request: Request) -> Response:
    """As `send`, in a thread."""
    body = request.body
    if isinstance(body, AsyncIterator):
        body = iter([part async for part in body])
    return await asyncio.to_thread(_send, request, body)


def _send(request: Request, body: bytes | Iterator[bytes]) -> Response:
    headers: dict[str, Any] = {}
    for name, value in request.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if not isinstance(body, bytes) and request.length is not None:
        headers["Content-Length"] = str(request.length)
    with_body = not isinstance(body, bytes) or body or request.method in ("POST", "PUT", "PATCH")
    try:
        made = urllib.request.Request(request.url, body if with_body else None, method=request.method)
        for name, value in headers.items():
            made.add_unredirected_header(name, value)
        untyped = not made.has_header("Content-type")
        opener = urllib.request.build_opener(_Redirects(request.redirects), _AnyStatus(request.redirects, untyped))
        endless = request.timeout is None or math.isinf(request.timeout)
        got = opener.open(made) if endless else opener.open(made, timeout=request.timeout)
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise _translated(e, request.url) from e
    source = _SocketSource(got, request.url)
    response = Response(
        got.status,
        got.url,
        got.headers.items(),
        version="1.0" if got.version == 10 else "1.1",
        redirected=got.url != request.url,
        source=source,
    )
    if not request.stream:
        try:
            response.read()
        finally:
            response.close()
    return response


def _translated(e: BaseException, url: str) -> HttpError:
    if isinstance(e, HttpError):
        return e
    if isinstance(e, urllib.error.HTTPError):
        return RedirectError(f"more than {_REDIRECTS_MAX} redirects, or a circle", kind="redirect", url=url)
    if isinstance(e, urllib.error.URLError) and isinstance(e.reason, BaseException):
        return _translated(e.reason, url)
    for classes, kind, made in (
        (ssl.SSLError, "tls", TlsError),
        (TimeoutError, "timeout", Timeout),
        (socket.gaierror, "dns", ConnectError),
        (http.client.InvalidURL, "url", InvalidRequest),
        ((http.client.IncompleteRead, ConnectionResetError, BrokenPipeError), "closed", ProtocolError),
        (http.client.HTTPException, "protocol", ProtocolError),
        (zlib.error, "protocol", ProtocolError),
        (OSError, "connect", ConnectError),
        (ValueError, "url", InvalidRequest),
    ):
        if isinstance(e, classes):
            return made(str(e) or type(e).__name__, kind=kind, url=url)
    return HttpError(str(e), url=url)


class _SocketSource:
    """The unread rest of a body, decompressed."""

    def __init__(self, got: Any, url: str) -> None:
        self.got = got
        self.url = url
        coding = (got.headers.get("content-encoding") or "").strip().lower()
        self.unzip = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding in ("gzip", "x-gzip", "deflate") else None

    def read(self, most: int) -> bytes:
        try:
            while True:
                if self.unzip is not None and self.unzip.unconsumed_tail:
                    return self.unzip.decompress(self.unzip.unconsumed_tail, most)
                part: bytes = self.got.read1(most)
                if not part and self.got.length:
                    raise http.client.IncompleteRead(b"", self.got.length)
                if not part or self.unzip is None:
                    return part
                if whole := self.unzip.decompress(part, most):
                    return whole
        except (OSError, http.client.HTTPException, zlib.error) as e:
            raise _translated(e, self.url) from e

    async def aread(self, most: int) -> bytes:
        return await asyncio.to_thread(self.read, most)

    def close(self) -> None:
        self.got.close()

    async def aclose(self) -> None:
        self.close()
