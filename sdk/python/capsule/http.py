"""HTTP for tasks.

    from capsule.http import get, post

    answer = get("https://api.example.com/items", params={"page": 2}).raise_for_status().json()
    post("https://api.example.com/items", json={"name": "new"}, timeout=10)

Every function has an asynchronous twin with an `a` in front: `await aget(url)`. In a sandbox the host makes the
requests, to the hosts that the task's `allowed_hosts` names; outside of one they are made by Python's own library,
without any such rule. See docs/reference/http.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from ._host import INSIDE
from ._http_errors import (
    ConnectError,
    HttpError,
    InvalidRequest,
    NotAllowed,
    ProtocolError,
    RedirectError,
    StatusError,
    Timeout,
    TlsError,
    TooLarge,
)
from ._http_request import Data, Files, Pairs, build
from ._http_response import Headers, Response

if INSIDE:
    from ._http_inside import asend, send
else:
    from ._http_outside import asend, send

if TYPE_CHECKING:
    from typing_extensions import Unpack  # for type checkers, which all know it; typing's came with Python 3.11


class Options(TypedDict, total=False):
    """Keyword arguments of all request functions.

    Attributes:
        params: fields that are added to the URL's query; a list gives its name several times, None leaves it out.
        headers: header fields, a dict or pairs.
        json: a value that is sent as JSON.
        data: a dict or pairs are sent as a form; str and bytes as they are; a file or an iterator of either in
            parts, as they come (for the asynchronous functions an asynchronous iterator, too).
        files: a form with files (multipart/form-data): name → bytes, a file opened for reading bytes, or
            (filename, either of these[, content type]). `data` may add fields.
        auth: user and password (Basic).
        timeout: seconds for the whole request with its body, waiting for its turn included; none by default. The
            host gives up on a server that it doesn't hear of for five minutes.
        follow_redirects: whether to follow up to ten redirects (default), or to return the first.
        stream: return the response as soon as its head is there; see Response.
    """

    params: Pairs | None
    headers: Pairs | None
    json: Any
    data: Data | None
    files: Files | None
    auth: tuple[str, str] | None
    timeout: float | None
    follow_redirects: bool
    stream: bool


def request(method: str, url: str, **options: Unpack[Options]) -> Response:
    """Send a request and return the response, whatever its status.

    Args:
        method: such as "GET".
        url: http or https; spaces and umlauts are fine.
        **options: see Options.

    Raises:
        HttpError: there is no response. Its subclasses say why.
    """
    return send(build(method, url, **options))


def get(url: str, **options: Unpack[Options]) -> Response:
    """GET; see `request`."""
    return send(build("GET", url, **options))


def post(url: str, **options: Unpack[Options]) -> Response:
    """POST; see `request`."""
    return send(build("POST", url, **options))


def put(url: str, **options: Unpack[Options]) -> Response:
    """PUT; see `request`."""
    return send(build("PUT", url, **options))


def patch(url: str, **options: Unpack[Options]) -> Response:
    """PATCH; see `request`."""
    return send(build("PATCH", url, **options))


def delete(url: str, **options: Unpack[Options]) -> Response:
    """DELETE; see `request`."""
    return send(build("DELETE", url, **options))


def head(url: str, **options: Unpack[Options]) -> Response:
    """HEAD; see `request`."""
    return send(build("HEAD", url, **options))


def options(url: str, **options: Unpack[Options]) -> Response:
    """OPTIONS; see `request`."""
    return send(build("OPTIONS", url, **options))


@contextmanager
def stream(method: str, url: str, **options: Unpack[Options]) -> Iterator[Response]:
    """Send a request; the response can be read in the `with` block, as it comes."""
    made = build(method, url, **options)
    made.stream = True
    with send(made) as response:
        yield response


async def arequest(method: str, url: str, **options: Unpack[Options]) -> Response:
    """As `request`, without blocking other coroutines."""
    return await asend(build(method, url, **options))


async def aget(url: str, **options: Unpack[Options]) -> Response:
    """GET; see `request`."""
    return await asend(build("GET", url, **options))


async def apost(url: str, **options: Unpack[Options]) -> Response:
    """POST; see `request`."""
    return await asend(build("POST", url, **options))


async def aput(url: str, **options: Unpack[Options]) -> Response:
    """PUT; see `request`."""
    return await asend(build("PUT", url, **options))


async def apatch(url: str, **options: Unpack[Options]) -> Response:
    """PATCH; see `request`."""
    return await asend(build("PATCH", url, **options))


async def adelete(url: str, **options: Unpack[Options]) -> Response:
    """DELETE; see `request`."""
    return await asend(build("DELETE", url, **options))


async def ahead(url: str, **options: Unpack[Options]) -> Response:
    """HEAD; see `request`."""
    return await asend(build("HEAD", url, **options))


async def aoptions(url: str, **options: Unpack[Options]) -> Response:
    """OPTIONS; see `request`."""
    return await asend(build("OPTIONS", url, **options))


@asynccontextmanager
async def astream(method: str, url: str, **options: Unpack[Options]) -> AsyncIterator[Response]:
    """As `stream`, for `async with`."""
    made = build(method, url, **options)
    made.stream = True
    async with await asend(made) as response:
        yield response


for _public in (
    ConnectError,
    Headers,
    HttpError,
    InvalidRequest,
    NotAllowed,
    ProtocolError,
    RedirectError,
    Response,
    StatusError,
    Timeout,
    TlsError,
    TooLarge,
):
    _public.__module__ = __name__  # tracebacks and help() show where users import it from
del _public

# fmt: off
__all__ = [
    "ConnectError", "Headers", "HttpError", "InvalidRequest", "NotAllowed", "Options", "ProtocolError",
    "RedirectError", "Response", "StatusError", "Timeout", "TlsError", "TooLarge", "adelete", "aget", "ahead",
    "aoptions", "apatch", "apost", "aput", "arequest", "astream", "delete", "get", "head", "options", "patch", "post",
    "put", "request", "stream",
]
# fmt: on
