"""What happens once, before the first image: refusals, the preload, the guest. Only inside a sandbox."""

from __future__ import annotations

import contextlib
import importlib
import sys

from . import _guest_imports

# fmt: off
PRELOAD = (
    "abc", "array", "ast", "asyncio", "base64", "binascii", "bisect", "calendar", "cmath", "collections",
    "collections.abc", "concurrent.futures", "concurrent.futures.thread", "contextlib", "contextvars", "copy",
    "csv", "dataclasses", "datetime", "decimal", "difflib", "email.message", "email.utils",
    "encodings.idna", "enum", "errno",
    "fnmatch", "fractions", "functools", "gc", "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html",
    "html.parser", "http", "http.client", "importlib.metadata", "importlib.util", "inspect", "io",
    "ipaddress", "itertools", "json", "keyword", "linecache", "locale", "logging", "math", "mimetypes", "numbers",
    "operator", "os", "pathlib", "pickle", "posixpath", "pprint", "queue", "random", "re", "reprlib",
    "secrets", "select", "selectors", "shlex", "shutil", "signal", "socket", "stat", "statistics", "string",
    "struct", "subprocess", "tempfile", "textwrap", "threading", "time", "token", "traceback", "types",
    "typing", "unicodedata", "urllib.error", "urllib.parse", "urllib.request", "uuid", "warnings", "weakref",
    "xml.etree.ElementTree", "zipfile", "zlib", "zoneinfo",
)
# fmt: on
"""Common modules. They cost an image some megabytes that are only paged in where they're used."""


def boot() -> None:
    """Make the interpreter ready for images. Called by the C shim, once."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    _guest_imports.install()
    for name in PRELOAD:
        with contextlib.suppress(ImportError):  # a part that this interpreter was built without
            importlib.import_module(name)
    from . import _guest, _http_inside, _urllib, http  # noqa: F401  # http: programs that import it find it there

    _urllib.install()
    _http_inside.warm_up()
    _guest.boot()
