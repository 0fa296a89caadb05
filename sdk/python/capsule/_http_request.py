"""A request, from what callers write to what goes over the wire: URL, header fields, body.

Nothing here decides what is allowed: the host parses and checks again what comes out of this file. It only makes
comfortable input (spaces, umlauts, dicts) into what HTTP takes.
"""

from __future__ import annotations

import base64
import io
import json as _json
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any
from urllib.parse import quote, unquote, urlencode

from ._http_errors import InvalidRequest

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]
Content = str | bytes | bytearray | memoryview
Stream = IO[bytes] | IO[str] | Iterable[Content] | AsyncIterable[Content]
Data = Content | Mapping[str, Any] | Sequence[tuple[str, Any]] | Stream
FileContent = Content | IO[bytes]
File = FileContent | tuple[str, FileContent] | tuple[str, FileContent, str]
Files = Mapping[str, File] | Iterable[tuple[str, File]]

PART = 256 * 1024
"""Bytes of one part of a streamed upload."""


class Request:
    """What goes to a transport.

    Attributes:
        body: the whole body, or its parts one by one.
        length: bytes of a body in parts, if that's known.
        timeout: seconds for all of it, or None.
    """

    __slots__ = ("body", "headers", "length", "method", "redirects", "stream", "timeout", "url")

    def __init__(self, method: str, url: str) -> None:
        self.method = method
        self.url = url
        self.headers: list[tuple[str, str]] = []
        self.body: bytes | Iterator[bytes] | AsyncIterator[bytes] = b""
        self.length: int | None = None
        self.timeout: float | None = None
        self.redirects = True
        self.stream = False


def build(
    method: str,
    url: str,
    *,
    params: Pairs | None = None,
    headers: Pairs | None = None,
    json: Any = None,
    data: Data | None = None,
    files: Files | None = None,
    auth: tuple[str, str] | None = None,
    timeout: float | None = None,
    follow_redirects: bool = True,
    stream: bool = False,
) -> Request:
    """Make a request of the arguments of capsule.http.request."""
    if not isinstance(method, str) or not isinstance(url, str):
        raise TypeError("the method and the URL are strings")
    if timeout is not None and not timeout > 0:
        raise InvalidRequest("timeout: seconds, more than 0; None for no limit", kind="timeout", url=url)
    if not _TOKEN.fullmatch(method):
        raise InvalidRequest(f"{method!r:.100} isn't a method", kind="method", url=url)
    request = Request(method.upper(), url)
    request.timeout = timeout
    request.redirects = follow_redirects
    request.stream = stream
    if not _PLAIN_URL.fullmatch(url):
        request.url, user = clean_url(url)
        auth = auth or user
    if params:
        request.url = _with_query(request.url, params)
    if headers:
        request.headers = [(name, _header_value(name, value)) for name, value in _pairs(headers)]
    if auth is not None:
        token = base64.b64encode(f"{auth[0]}:{auth[1]}".encode()).decode("ascii")
        _set_default(request, "Authorization", f"Basic {token}")
    if files is not None:
        _set_multipart(request, data, files)
    elif data is not None:
        _set_data(request, data)
    if json is not None:
        _set_json(request, json, data is not None or files is not None)
    return request


def _pairs(items: Pairs) -> Iterable[tuple[str, Any]]:
    return items.items() if isinstance(items, Mapping) else items


def _set_default(request: Request, name: str, value: str) -> None:
    lower = name.lower()
    if all(given.lower() != lower for given, _ in request.headers):
        request.headers.append((name, value))


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _header_value(name: object, value: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a header is a string, not a {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise InvalidRequest(f"{name!r:.100} isn't the name of a header", kind="header")
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise TypeError(f"header {name!r}: its value is a string, not a {type(value).__name__}")
    text = str(value)
    if any(sign in text for sign in "\r\n\0"):
        raise InvalidRequest(f"header {name!r}: its value has a line end or NUL in it", kind="header")
    return text


# --- the URL

_PLAIN_URL = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]+)?(?:[/?][!$-;=?-Z\[\]_a-z~]*)?")
"""URLs that go to the host as they are: no #, space, umlaut, userinfo or capital in the host's name."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_KEPT = "!$%&'()*+,-./:;=?@[]_|~\\" + "".join(map(chr, (*range(0x20), 0x7F)))
"""Besides letters and digits: what stays in a path and a query. Control characters are left for the host to refuse."""
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_MODERN = re.compile("([\u00df\u03c2])")
"""Letters that old IDNA replaced (IDNA 2003: "ss" and a sigma) and today's browsers keep."""


def clean_url(text: str) -> tuple[str, tuple[str, str] | None]:
    """Return the URL as HTTP takes it, without userinfo and fragment, and the user and password it named."""
    match = _URL.fullmatch(text.strip(" "))
    if match is None or match[1].lower() not in ("http", "https") or not match[2]:
        raise InvalidRequest(f"not an http or https URL: {_shown(text)}", url=None)
    scheme, _, authority, path, query, _ = match.groups()
    user = None
    if "@" in authority and "\\" not in authority:  # a backslash there is a trick; the host says so
        info, _, authority = authority.rpartition("@")
        name, _, password = info.partition(":")
        user = unquote(name), unquote(password)
    if not authority.isascii():
        name, colon, port = authority.partition(":")
        authority = idna(name) + colon + port
    rest = quote(path, safe=_KEPT) + quote(query or "", safe=_KEPT)
    return f"{scheme.lower()}://{authority}{rest}", user


def _shown(text: str) -> str:
    """A URL for an error message: without what may be a secret."""
    head = re.split(r"[?#]", text, maxsplit=1)[0]
    return repr(re.sub(r"//[^/]*@", "//", head)[:200])


def idna(host: str) -> str:
    """A name of a host as DNS knows it.

    Raises:
        InvalidRequest: no name can be spelled so.
    """
    try:
        labels = [_to_ascii(label) for label in _DOTS.split(host)]
    except UnicodeError as e:
        raise InvalidRequest(f"{host!r} can't be the name of a host: {e}") from None
    return ".".join(labels)


def _to_ascii(label: str) -> str:
    if label == "":
        return label
    from encodings import idna as codec

    prepared = "".join(one if _MODERN.fullmatch(one) else codec.nameprep(one) for one in _MODERN.split(label.lower()))
    if not prepared.isascii():
        if prepared.startswith("xn--"):
            raise UnicodeError(f"{label!r} mixes both spellings")
        prepared = "xn--" + prepared.encode("punycode").decode("ascii")
    if not _LABEL.fullmatch(prepared):
        raise UnicodeError(f"{label!r} is empty, too long or has other signs than letters, digits and -")
    return prepared


def _with_query(url: str, params: Pairs) -> str:
    query = form(params)
    if not query:
        return url
    return url + ("&" if url[-1] not in "?&" else "") + query if "?" in url else f"{url}?{query}"


def form(fields: Pairs) -> str:
    """Fields as application/x-www-form-urlencoded: lists give a field each, None none, booleans true and false."""
    flat: list[tuple[str, Any]] = []
    for name, value in _pairs(fields):
        several = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        flat += [(name, _form_value(one)) for one in several if one is not None]
    return urlencode(flat)


def _form_value(value: Any) -> Any:
    return ("false", "true")[value] if isinstance(value, bool) else value


# --- the body

_encode_json = _json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _set_json(request: Request, value: Any, other: bool) -> None:
    if other:
        raise InvalidRequest("json stands alone: data or files would be a second body", kind="body", url=request.url)
    request.body = _encode_json(value).encode()
    _set_default(request, "Content-Type", "application/json")


def _set_data(request: Request, data: Any) -> None:
    if isinstance(data, (str, bytes, bytearray, memoryview)):
        request.body = _bytes(data)
    elif isinstance(data, Mapping) or _is_pairs(data):
        request.body = form(data).encode("ascii")
        _set_default(request, "Content-Type", "application/x-www-form-urlencoded")
    elif hasattr(data, "read"):
        request.length = _size_of_file(data)
        request.body = _read(data)
    elif isinstance(data, AsyncIterable):
        request.body = _bytes_of_async(data)
    elif isinstance(data, Iterable):
        request.body = map(_bytes, data)
    else:
        raise TypeError(f"data can't be a {type(data).__name__}; for JSON use json=")


def _is_pairs(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and all(isinstance(one, (list, tuple)) and len(one) == 2 for one in data)


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a body is made of bytes or str, not of {type(data).__name__}")


async def _bytes_of_async(parts: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield _bytes(part)


def _read(file: Any) -> Iterator[bytes]:
    while part := file.read(PART):
        yield _bytes(part)


def _size_of_file(file: Any) -> int | None:
    """Bytes from where it stands to its end; None if that can't be known, as for text and pipes."""
    if isinstance(file, io.TextIOBase):
        return None
    try:
        here = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(here)
    except (AttributeError, OSError, ValueError):
        return None
    return max(end - here, 0) if isinstance(end, int) else None


# --- multipart/form-data


def _set_multipart(request: Request, data: Any, files: Any) -> None:
    boundary = "capsule-" + os.urandom(16).hex()
    parts: list[tuple[bytes, Any]] = []
    if data is not None:
        if not isinstance(data, Mapping) and not _is_pairs(data):
            raise TypeError("beside files, data must be a dict or pairs: they become fields of the form")
        for name, value in _pairs(data):
            several = value if isinstance(value, (list, tuple)) else (value,)
            parts += [_field(boundary, name, one) for one in several if one is not None]
    parts += [_file(boundary, name, given) for name, given in _pairs(files)]
    end = f"--{boundary}--\r\n".encode("ascii")
    _set_default(request, "Content-Type", f"multipart/form-data; boundary={boundary}")
    if all(isinstance(content, bytes) for _, content in parts):
        request.body = b"".join(b"%s%s\r\n" % part for part in parts) + end
        return
    sizes = [len(head) + 2 + size for head, c in parts if (size := _size_of(c)) is not None]
    if len(sizes) == len(parts):
        request.length = sum(sizes) + len(end)
    request.body = _stream_multipart(parts, end)


def _size_of(content: Any) -> int | None:
    return len(content) if isinstance(content, bytes) else _size_of_file(content)


def _stream_multipart(parts: list[tuple[bytes, Any]], end: bytes) -> Iterator[bytes]:
    for head, content in parts:
        yield head
        if isinstance(content, bytes):
            yield content
        else:
            yield from _read(content)
        yield b"\r\n"
    yield end


def _field(boundary: str, name: str, value: Any) -> tuple[bytes, bytes]:
    content = value if isinstance(value, bytes) else _lines(str(_form_value(value))).encode()
    return _part_head(boundary, name), content


def _file(boundary: str, name: str, given: Any) -> tuple[bytes, Any]:
    filename, kind, content = None, None, given
    if isinstance(given, tuple):
        filename, content, *rest = given
        kind = rest[0] if rest else None
    if filename is None:
        path = getattr(content, "name", None)
        filename = os.path.basename(path) if isinstance(path, str) else name
    if kind is None:
        import mimetypes

        kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    if not kind.isprintable():
        raise InvalidRequest("the type of a file has control characters", kind="body")
    if not hasattr(content, "read"):
        content = _bytes(content)
    return _part_head(boundary, name, filename, kind), content


def _part_head(boundary: str, name: str, filename: str | None = None, kind: str | None = None) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(_lines(name))}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"\r\nContent-Type: {kind}'
    return (head + "\r\n\r\n").encode()


def _lines(text: str) -> str:
    """With line ends as the HTML standard wants them in names and values of fields: CR LF."""
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


def _quoted(name: str) -> str:
    """A name between quotation marks, escaped as the HTML standard says."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
