"""A response: its head at once, its body whole or as it comes, the same for sync and async code.

Everything that costs time (headers, text, JSON) is made when it's asked for. Where the bytes of a streamed body come
from is a Source: the host inside a sandbox (_http_inside.py), a socket outside of one (_http_outside.py).
"""

from __future__ import annotations

import codecs
import http
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol

from ._http_errors import HttpError, StatusError

CHUNK = 256 * 1024
"""Bytes that are read at once where nobody says otherwise."""


_NOT_TEXT = {"base64", "bz2", "hex", "idna", "punycode", "quopri", "rot13", "undefined", "uu", "zlib"}
"""Codecs of Python's that aren't character sets."""


class Source(Protocol):
    """Where the rest of a body comes from; b"" is its end."""

    def read(self, most: int) -> bytes:
        """At least a byte and `most` at the most; b"" at the end."""

    async def aread(self, most: int) -> bytes:
        """The same without blocking other coroutines."""

    def close(self) -> None:
        """Give up what is left unread."""

    async def aclose(self) -> None:
        """The same without blocking other coroutines."""


class Headers(Mapping[str, str]):
    """Header fields. Names are the same in lower and upper case; a name may come more than once."""

    __slots__ = ("_by_name", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = [(name, value) for name, value in pairs]
        self._by_name: dict[str, list[str]] = {}
        for name, value in self._pairs:
            self._by_name.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        """All values of the name, joined by ", "."""
        return ", ".join(self._by_name[name.lower()])

    def get_list(self, name: str) -> list[str]:
        """The values of the name one by one; [] if there are none. For Set-Cookie there's no other way."""
        return list(self._by_name.get(name.lower(), ()))

    def pairs(self) -> list[tuple[str, str]]:
        """All fields in the order and spelling in which they came."""
        return list(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


class Response:
    """The answer to a request.

    Attributes:
        status_code: the status, such as 200.
        url: where the answer came from, after redirects.
        redirected: whether there was a redirect.
        version: of HTTP, "1.1" or "2".

    One with `stream=True` holds a connection until its body is read or it's closed: use it as a context manager.
    """

    __slots__ = ("_content", "_headers", "_pairs", "_source", "redirected", "status_code", "url", "version")

    def __init__(
        self,
        status_code: int,
        url: str,
        pairs: Iterable[tuple[str, str]],
        *,
        version: str = "1.1",
        redirected: bool = False,
        content: bytes | None = None,
        source: Source | None = None,
    ) -> None:
        self.status_code = status_code
        self.url = url
        self.version = version
        self.redirected = redirected
        self._pairs = pairs
        self._headers: Headers | None = None
        self._content = content
        self._source = source

    def __repr__(self) -> str:
        return f"<Response {self.status_code} {self.reason}>".replace(" >", ">")

    # --- the head

    @property
    def headers(self) -> Headers:
        """The header fields."""
        if self._headers is None:
            self._headers = Headers(self._pairs)
        return self._headers

    @property
    def reason(self) -> str:
        """The status in words, such as "Not Found"; "" for one without a name."""
        try:
            return http.HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    def ok(self) -> bool:
        """Whether the status is a success (200 to 299)."""
        return 200 <= self.status_code < 300

    def raise_for_status(self) -> Response:
        """Return self if `ok()`, else raise StatusError."""
        if self.ok():
            return self
        status = f"{self.status_code} {self.reason}".rstrip()
        raise StatusError(f"the server answered {status}", status_code=self.status_code, url=self.url)

    @property
    def encoding(self) -> str:
        """The character set of the text: what Content-Type says, else UTF-8."""
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                try:
                    name = codecs.lookup(value.strip(" \t\"'")).name
                except (LookupError, ValueError):
                    break
                return "utf-8" if name in _NOT_TEXT else name
        return "utf-8"

    # --- the body as a whole

    @property
    def content(self) -> bytes:
        """The body. Of a stream: reads all of it, which has to fit into the task's memory."""
        return self._content if self._content is not None else self.read()

    def read(self) -> bytes:
        """Read the whole body of a stream and return it."""
        if self._content is None:
            self._content = b"".join(self.iter_bytes())
        return self._content

    async def aread(self) -> bytes:
        """As `read`, without blocking other coroutines."""
        if self._content is None:
            self._content = b"".join([part async for part in self.aiter_bytes()])
        return self._content

    def text(self) -> str:
        """The body as text; bytes that aren't in `encoding` become "\N{REPLACEMENT CHARACTER}"."""
        decoder = _text_decoder(self.encoding)
        return decoder.decode(self.content, True)

    def json(self, **options: Any) -> Any:
        """The body as JSON.

        Args:
            **options: for json.loads.

        Raises:
            json.JSONDecodeError: it isn't JSON.
        """
        return json.loads(self.content, **options)

    # --- the body as it comes

    def iter_bytes(self, most: int = CHUNK) -> Iterator[bytes]:
        """Yield the body in parts of at most so many bytes, as they come."""
        if self._content is not None:
            yield from _parts(self._content, most)
            return
        source = self._take_source()
        while part := source.read(most):
            yield part
        self._source = None

    async def aiter_bytes(self, most: int = CHUNK) -> AsyncIterator[bytes]:
        """As `iter_bytes`, for `async for`."""
        if self._content is not None:
            for part in _parts(self._content, most):
                yield part
            return
        source = self._take_source()
        while part := await source.aread(most):
            yield part
        self._source = None

    def iter_text(self) -> Iterator[str]:
        """Yield the body as text, as it comes; no character is cut in two."""
        decoder = _text_decoder(self.encoding)
        for part in self.iter_bytes():
            if text := decoder.decode(part):
                yield text
        if text := decoder.decode(b"", True):
            yield text

    async def aiter_text(self) -> AsyncIterator[str]:
        """As `iter_text`, for `async for`."""
        decoder = _text_decoder(self.encoding)
        async for part in self.aiter_bytes():
            if text := decoder.decode(part):
                yield text
        if text := decoder.decode(b"", True):
            yield text

    def iter_lines(self) -> Iterator[str]:
        """Yield the lines of the body without their ends (LF, CR LF or CR), as they come."""
        lines = _Lines()
        for text in self.iter_text():
            yield from lines.feed(text)
        yield from lines.end()

    async def aiter_lines(self) -> AsyncIterator[str]:
        """As `iter_lines`, for `async for`."""
        lines = _Lines()
        async for text in self.aiter_text():
            for line in lines.feed(text):
                yield line
        for line in lines.end():
            yield line

    def _take_source(self) -> Source:
        if self._source is None:
            raise HttpError("the body of this stream was read or closed already", kind="consumed", url=self.url)
        return self._source

    # --- its end

    def close(self) -> None:
        """Give up what is left unread of a stream; for others there's nothing to do."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    async def aclose(self) -> None:
        """As `close`, without blocking other coroutines."""
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()


def _parts(content: bytes, most: int) -> Iterator[bytes]:
    for start in range(0, len(content), most):
        yield content[start : start + most]


def _text_decoder(encoding: str) -> codecs.IncrementalDecoder:
    """A decoder that never fails and that drops a byte order mark."""
    return codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)("replace")


class _Lines:
    """Text in pieces, cut at the ends of lines."""

    def __init__(self) -> None:
        self._rest: list[str] = []
        self._cr = False

    def feed(self, text: str) -> Iterator[str]:
        if self._cr:  # its LF may come now
            text = text if text.startswith("\n") else "\n" + text
        self._cr = text.endswith("\r")
        if self._cr:
            text = text[:-1]
        first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest.append(first)
        for other in others:
            yield "".join(self._rest)
            self._rest = [other]

    def end(self) -> Iterator[str]:
        rest = "".join(self._rest)
        if rest or self._cr:
            yield rest
