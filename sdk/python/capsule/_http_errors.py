"""What can go wrong with an HTTP request, as exceptions."""

from __future__ import annotations


class HttpError(OSError):
    """A request that failed. A response with a bad status isn't a failure: see `Response.raise_for_status`.

    Attributes:
        kind: what went wrong in one word, such as "dns" or "tls"; docs/reference/http.md lists them.
        url: the URL of the request, or None.
    """

    kind: str
    url: str | None

    def __init__(self, message: str, *, kind: str = "internal", url: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.url = url


class InvalidRequest(HttpError, ValueError):
    """The request itself is wrong: its URL, method, a header or its body."""

    def __init__(self, message: str, *, kind: str = "url", url: str | None = None) -> None:
        super().__init__(message, kind=kind, url=url)


class NotAllowed(HttpError, PermissionError):
    """The task may not reach that host or address, or may not send that secret there.

    If nobody catches it, the task fails with the type `policy` and isn't tried again.
    """

    _capsule_type = "policy"


class ConnectError(HttpError, ConnectionError):
    """There is no connection: the name is unknown, or nobody answers at its address."""


class TlsError(ConnectError):
    """The server's certificate isn't good, or no encrypted connection came about."""


class Timeout(HttpError, TimeoutError):
    """The request took longer than its `timeout`, or nothing was heard from the server for too long."""


class TooLarge(HttpError):
    """A limit was reached: size of a response or its headers, bytes or requests of the task."""


class RedirectError(HttpError):
    """Too many redirects, or one that can't be followed."""


class ProtocolError(HttpError):
    """The server broke the rules of HTTP: it closed in the middle, or sent nonsense."""


class StatusError(HttpError):
    """The status wasn't a success; raised by `Response.raise_for_status` alone.

    Attributes:
        status_code: the status.
    """

    def __init__(self, message: str, *, status_code: int, url: str | None = None) -> None:
        super().__init__(message, kind="status", url=url)
        self.status_code = status_code


BY_KIND: dict[str, type[HttpError]] = {
    "policy": NotAllowed,
    "url": InvalidRequest,
    "method": InvalidRequest,
    "header": InvalidRequest,
    "body": InvalidRequest,
    "dns": ConnectError,
    "connect": ConnectError,
    "tls": TlsError,
    "timeout": Timeout,
    "too_large": TooLarge,
    "limit": TooLarge,
    "redirect": RedirectError,
    "closed": ProtocolError,
    "protocol": ProtocolError,
}
"""The class for each kind; the others are HttpError itself."""

_BY_TYPE: dict[str, type[HttpError]] = {"policy": NotAllowed, "bad_input": InvalidRequest}


def of_host(error: dict[str, str], url: str | None) -> HttpError:
    """The exception for an error that the host answered with."""
    kind = error.get("kind") or error.get("type", "internal")
    kind_class = _BY_TYPE.get(error.get("type", "")) or BY_KIND.get(kind, HttpError)
    return kind_class(error.get("message", "the request failed"), kind=kind, url=url)
