"""Waiting outside of a sandbox, in plain Python: sleeps are this process's own, and there are no signals."""

from __future__ import annotations

import time
from typing import Any, NoReturn


def pause(function: str, key: str, ns: int) -> None:
    """Sleep, and block. key: "duration_ns" or "until_ns"."""
    time.sleep(_seconds(key, ns))


async def apause(function: str, key: str, ns: int) -> None:
    """The same without blocking other coroutines."""
    import asyncio

    await asyncio.sleep(_seconds(key, ns))


def _seconds(key: str, ns: int) -> float:
    return (ns if key == "duration_ns" else max(0, ns - time.time_ns())) / 1e9


def receive(function: str, name: str, ns: int | None, written: str) -> Any:
    """Raise RuntimeError: nobody could send one."""
    _no_signals(function, name)


async def areceive(function: str, name: str, ns: int | None, written: str) -> Any:
    """Raise RuntimeError: nobody could send one."""
    _no_signals(function, name)


def _no_signals(function: str, name: str) -> NoReturn:
    raise RuntimeError(
        f"capsule.{function}({name!r}): signals reach runs of `capsule run` alone, and this is plain Python. Run the "
        f"program by `capsule run`; in a test put a function that answers in the place of {function}, such as by "
        "monkeypatch.setattr"
    )
