"""Where this process is: inside a Capsule sandbox or outside, and the host's functions.

`_capsule` is built into the guest's interpreter and exists nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import random

PROJECT = "/project"
"""Where the host shows the user's project in a sandbox."""

MESSAGE_MAX = 64 * 1024 * 1024
"""Bytes of one message to or from the host, its header included (guest/abi.h)."""

HEADER_MAX = 1024 * 1024
"""Bytes of a message's header."""

INSIDE = "_capsule" in sys.builtin_module_names or "_capsule" in sys.modules
"""True in a sandbox."""


class Host(Protocol):
    """What `_capsule` offers. Every function raises OSError, ValueError or RuntimeError when the host refuses."""

    def submit(self, header: bytes, body: bytes, /) -> int:
        """Start an operation and return its number at once."""

    def wait(self, ops: Sequence[int], timeout_ns: int, /) -> int:
        """Park until one of `ops` is done and return its index; -1 after `timeout_ns` (negative: no limit)."""

    def next(self, timeout_ns: int, /) -> list[int]:
        """Park until operations are done that it hasn't told of yet, and return some of them, in the order in which
        they were done; [] after `timeout_ns` (negative: no limit). Of one whose reply was taken it doesn't tell."""

    def cancel(self, op: int, /) -> None:
        """Ask the host to end an operation soon. It's still done once, by an error unless it was quicker, and its
        reply has to be taken. LookupError if there's no such operation."""

    def fuel_left(self) -> int:
        """Fuel that this attempt may still use."""

    def reseed(self, generators: list[random.Random], /) -> None:
        """Give each of these new state from the host's randomness."""

    def immortalise(self, objects: list[object], /) -> None:
        """Stop counting references to these objects and what they refer to; they're never freed."""

    def take(self, op: int, /) -> bytes:
        """Return the reply of a finished operation, u32 header length first, and free the operation."""


def host() -> Host:
    """Return the built-in module; ImportError outside a sandbox."""
    return cast(Host, __import__("_capsule"))
