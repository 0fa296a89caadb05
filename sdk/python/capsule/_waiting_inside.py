"""Waiting as operations of the host (guest/abi.h: sleep, signal.wait). Only inside a sandbox."""

from __future__ import annotations

from collections import deque
from json.encoder import encode_basestring as _quote
from typing import Any

from . import _codec, _operations, _runtime
from ._errors import SignalTimeout, TaskError

_ASYNC = {"sleep": "asleep", "wait_signal": "await_signal"}

_kept: dict[str, deque[bytes]] = {}
"""Signals that came when who had waited for them was just being cancelled, by name: the bodies of replies."""


def pause(function: str, key: str, ns: int) -> None:
    """Sleep, and block. key: "duration_ns" or "until_ns"."""
    _check_blocking(function)
    _body(_operations.reply_now(_sleep(key, ns)))


async def apause(function: str, key: str, ns: int) -> None:
    """The same without blocking other coroutines."""
    from . import _loop  # not above: the refusals of modules (_boot) come before asyncio

    _check_calling(function)
    _body(await _loop.reply_of(_sleep(key, ns)))


def receive(function: str, name: str, ns: int | None, written: str) -> Any:
    """Wait for a signal, and block."""
    _check_blocking(function)
    kept = _take_kept(name)
    return _value(name, written, _operations.reply_now(_signal(name, ns)) if kept is None else kept)


async def areceive(function: str, name: str, ns: int | None, written: str) -> Any:
    """The same without blocking other coroutines."""
    _check_calling(function)
    kept = _take_kept(name)
    return _value(name, written, await _reply_of(name, _signal(name, ns)) if kept is None else kept)


async def _reply_of(name: str, op: int) -> bytes:
    """As _loop.reply_of, but a signal that came isn't dropped by a cancellation."""
    from . import _loop

    waiter = _loop.future()
    if waiter is None:  # driven by hand, without an event loop
        return _operations.reply_now(op)

    def arrived(op: int) -> None:
        reply = _operations.take(op)
        if waiter.done():
            _keep(name, reply)
        else:
            waiter.set_result(reply)

    _operations.expect(op, arrived)
    try:
        reply: bytes = await waiter
    except BaseException:
        if _operations.expected(op):
            _operations.cancel(op)
            if _operations.wait(op, 0):  # it may have come already: it's older than what the next wait gets
                _keep(name, _operations.take(op))
        elif not waiter.cancelled():
            _keep(name, waiter.result())
        raise
    return reply


def _keep(name: str, reply: bytes) -> None:
    if _header(reply)["ok"]:
        _kept.setdefault(name, deque()).append(reply)


def _take_kept(name: str) -> bytes | None:
    replies = _kept.get(name)
    return replies.popleft() if replies else None


def _check_calling(function: str) -> None:
    if not _runtime.calling:
        raise RuntimeError(
            f"capsule.{function}() was called while a module is imported; a module's top level runs once, when the "
            "image is built, and can't wait. Call it from inside a task"
        )


def _check_blocking(function: str) -> None:
    _check_calling(function)
    if _runtime.in_loop():
        raise RuntimeError(
            f"capsule.{function}() would stop every coroutine of this task while it waits; "
            f"write: await capsule.{_ASYNC[function]}(…)"
        )


# --- messages


def _sleep(key: str, ns: int) -> int:
    return _operations.submit(f'{{"op":"sleep","{key}":{ns}}}'.encode(), b"")


def _signal(name: str, ns: int | None) -> int:
    limit = "" if ns is None else f',"timeout_ns":{ns}'
    return _operations.submit(f'{{"op":"signal.wait","name":{_quote(name)}{limit}}}'.encode(), b"")


def _header(reply: bytes) -> dict[str, Any]:
    header: dict[str, Any] = _codec.scan(reply[4 : int.from_bytes(reply[:4], "little") + 4].decode(), 0)[0]
    return header


def _body(reply: bytes) -> bytes:
    """What came with a reply that is no error."""
    header = _header(reply)
    if header["ok"]:
        return reply[int.from_bytes(reply[:4], "little") + 4 :]
    error = header["error"]
    failure = TaskError(error.get("message", ""), type=error.get("type", "host_error"), retry=False)
    if failure.type == "policy":
        refused: Any = failure
        refused._capsule_type = "policy"
    raise failure


def _value(name: str, written: str, reply: bytes) -> Any:
    header = _header(reply)
    if not header["ok"] and header["error"].get("type") == "timeout":
        raise SignalTimeout(name, f"no signal {name!r} came within {written}")
    return _codec.loads(_body(reply).decode(), tagged=False)
