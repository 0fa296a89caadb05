"""Requests as operations of the host (guest/abi.h, http.*). Only inside a sandbox.

A request is one operation; its number names it. Of a stream that operation brings the head, and http.read the body in
parts; with an upload http.write takes the request's body in parts before. Whoever gives up before the end says so by
http.close, or the request would hold one of the task's places until the task ends.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from json.encoder import encode_basestring as _quote
from typing import Any

from . import _codec, _loop, _operations
from ._host import HEADER_MAX, MESSAGE_MAX
from ._http_errors import HttpError, Timeout, of_host
from ._http_request import PART, Request, build
from ._http_response import Response

_scan = _codec.scan
_submit = _operations.submit
_reply_now = _operations.reply_now
_WHOLE_MAX = MESSAGE_MAX - 2 * HEADER_MAX
_READ_MAX = MESSAGE_MAX - HEADER_MAX
_TIMEOUT_MAX_MS = 2**31 - 1


def send(request: Request) -> Response:
    """Send a request and wait for its response; of a stream, for its head."""
    return send_patiently(request, -1)


def send_patiently(request: Request, timeout_ns: int) -> Response:
    """As `send`. timeout_ns is for each wait, as with a socket, while request.timeout is for all of it."""
    parts = _upload(request)
    op = _submit(_head(request, parts is not None), b"" if parts is not None else request.body)  # type: ignore[arg-type]
    if parts is not None:
        if not isinstance(parts, Iterator):
            _operations.discard(op)
            raise TypeError("an asynchronous iterator can only be sent by the asynchronous functions, such as apost")
        _write(op, parts)
    if not _operations.wait(op, timeout_ns):
        _give_up(request, op)
        raise Timeout(f"no answer within {timeout_ns / 1e9:g} s", kind="timeout", url=request.url)
    response = _response(op, request.url, _operations.take(op))
    if timeout_ns >= 0 and isinstance(response._source, HostSource):
        response._source.timeout_ns = timeout_ns
    return response


async def asend(request: Request) -> Response:
    """As `send`, without blocking other coroutines."""
    parts = _upload(request)
    op = _submit(_head(request, parts is not None), b"" if parts is not None else request.body)  # type: ignore[arg-type]
    if parts is not None:
        await _awrite(op, parts)
    try:
        reply = await _loop.reply_of(op)
    except BaseException:
        if request.stream:
            _close(op)
        raise
    return _response(op, request.url, reply)


# --- messages


def _head(request: Request, upload: bool) -> bytes:
    text = f'{{"op":"http.request","method":{_quote(request.method)},"url":{_quote(request.url)},"headers":'
    text += _codec.dumps_plain(request.headers) if request.headers else "[]"
    if request.timeout is not None and math.isfinite(request.timeout):
        text += f',"timeout_ms":{min(math.ceil(request.timeout * 1000), _TIMEOUT_MAX_MS)}'
    if not request.redirects:
        text += ',"redirects":0'
    if upload and request.length is not None:
        text += f',"length":{request.length}'
    text += f',"stream":{"true" if request.stream else "false"},"upload":{"true" if upload else "false"}}}'
    return text.encode()


def _response(op: int, url: str, reply: bytes) -> Response:
    n = int.from_bytes(reply[:4], "little") + 4
    header: dict[str, Any] = _scan(reply[4:n].decode(), 0)[0]
    if not header["ok"]:
        raise of_host(header["error"], url)
    streamed = header["stream"]
    return Response(
        header["status"],
        header["url"],
        header["headers"],
        version=header["version"],
        redirected=header["redirected"],
        content=None if streamed else reply[n:],
        source=HostSource(op, url) if streamed else None,
    )


def _parse(reply: bytes, url: str) -> tuple[dict[str, Any], bytes]:
    n = int.from_bytes(reply[:4], "little") + 4
    header: dict[str, Any] = _scan(reply[4:n].decode(), 0)[0]
    if not header["ok"]:
        raise of_host(header["error"], url)
    return header, reply[n:]


# --- the body of a request


def _upload(request: Request) -> Iterator[bytes] | AsyncIterator[bytes] | None:
    """The parts of a body that is streamed or too long for one message."""
    body = request.body
    if not isinstance(body, bytes):
        return body
    if len(body) <= _WHOLE_MAX:
        return None
    request.length = len(body)
    return (body[start : start + PART] for start in range(0, len(body), PART))


def _write_op(op: int, part: bytes, end: bool) -> int:
    head = f'{{"op":"http.write","request":{op},"end":{"true" if end else "false"}}}'
    return _submit(head.encode("ascii"), part)


def _write(op: int, parts: Iterator[bytes]) -> None:
    """Send all parts. A server that answers before it has read them all ends it early, which isn't an error here."""
    try:
        for part in parts:
            for start in range(0, len(part), PART):
                if not _taken(_reply_now(_write_op(op, part[start : start + PART], False))):
                    return
        _reply_now(_write_op(op, b"", True))
    except BaseException:
        _operations.discard(op)
        raise


async def _awrite(op: int, parts: Iterator[bytes] | AsyncIterator[bytes]) -> None:
    try:
        async for part in _as_async(parts):
            for start in range(0, len(part), PART):
                if not _taken(await _loop.reply_of(_write_op(op, part[start : start + PART], False))):
                    return
        await _loop.reply_of(_write_op(op, b"", True))
    except BaseException:
        _operations.discard(op)
        raise


def _taken(reply: bytes) -> bool:
    """Whether a part was taken. If not, the reply to the request says why: an error, or an early answer."""
    n = int.from_bytes(reply[:4], "little") + 4
    return bool(_scan(reply[4:n].decode(), 0)[0]["ok"])


async def _as_async(parts: Iterator[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(parts, AsyncIterator):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part


# --- the body of a response


def _close(op: int) -> None:
    """End a request whatever its state; the host answers this at once."""
    _reply_now(_submit(b'{"op":"http.close","request":%d}' % op, b""))


def _give_up(request: Request, op: int) -> None:
    """End a request whose reply hasn't been taken yet."""
    _operations.discard(op)
    if request.stream:  # its head may have come at the same moment
        _close(op)


class HostSource:
    """The unread rest of a response's body."""

    __slots__ = ("_open", "op", "timeout_ns", "url")

    def __init__(self, op: int, url: str) -> None:
        self.op = op
        self.url = url
        self.timeout_ns = -1
        self._open = True

    def _ask(self, most: int) -> int:
        most = min(most, _READ_MAX)
        return _submit(b'{"op":"http.read","request":%d,"max":%d}' % (self.op, most), b"")

    def _part(self, reply: bytes) -> bytes:
        try:
            header, part = _parse(reply, self.url)
        except HttpError:
            self._open = False
            raise
        self._open = not header["end"]
        return part

    def read(self, most: int) -> bytes:
        """The next part; b"" at the end."""
        if not self._open:
            return b""
        op = self._ask(most)
        if not _operations.wait(op, self.timeout_ns):
            _operations.discard(op)
            self.close()
            raise Timeout(f"nothing came for {self.timeout_ns / 1e9:g} s", kind="timeout", url=self.url)
        return self._part(_operations.take(op))

    async def aread(self, most: int) -> bytes:
        """The same without blocking other coroutines."""
        return self._part(await _loop.reply_of(self._ask(most))) if self._open else b""

    def close(self) -> None:
        """Give up the rest."""
        if self._open:
            self._open = False
            _close(self.op)

    async def aclose(self) -> None:
        """Give up the rest; it never takes long."""
        self.close()

    def __del__(self) -> None:
        self.close()


def warm_up() -> None:
    """Run the common path until the interpreter has specialised it: that writes to its code, better in the image."""
    head = b'{"ok":true,"status":200,"version":"1.1","url":"http://a/","redirected":false,"headers":[],"stream":false}'
    for _ in range(20):
        request = build("GET", "http://127.0.0.1:8080/path?query", params={"a": 1}, headers={"a": "b"}, timeout=1)
        _head(request, _upload(request) is not None)
        _response(1, request.url, len(head).to_bytes(4, "little") + head + b"1").json()
