"""Calls of tasks from a task: only inside a sandbox.

A call is one host operation, from its start to the reading of its outcome. Waiting for one parks the whole sandbox,
unless an event loop has other work. `_local` offers the same functions outside of a sandbox.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _codec, _operations
from ._errors import TaskError
from ._host import HEADER_MAX, MESSAGE_MAX

if TYPE_CHECKING:
    import asyncio

    from ._task import Task

_PLAIN_HEAD = b'{"ok":true,"tagged":false}'
_PLAIN = len(_PLAIN_HEAD).to_bytes(4, "little") + _PLAIN_HEAD
_PLAIN_N = len(_PLAIN)

AHEAD: int = 1024
"""How many results of a map may wait for the code that iterates over them."""

calling = False
"""True while a task runs; False while an image is built."""


def header_of(name: str, tagged: bool) -> bytes:
    """The header of a call of this task."""
    end = ',"tagged":true}' if tagged else ',"tagged":false}'
    return ('{"op":"task.call","task":' + _codec.dumps_plain(name) + end).encode()


def invoke(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task in a sandbox of its own: its result, or for an `async def` task a coroutine of it."""
    if not calling:
        raise _too_early(task)
    if task.is_async:
        return _invoke_async(task, args, kwargs)
    op = start(task, args, kwargs)
    _operations.wait(op, -1)
    return finish(task, op)


async def _invoke_async(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from . import _loop  # not above: the refusals of modules (_boot) come before asyncio

    return _read(task, await _loop.reply_of(start(task, args, kwargs)))


def _too_early(task: Task[..., Any]) -> RuntimeError:
    return RuntimeError(
        f"task {task.name!r} was called while its module is imported; a module's top level runs once, when the "
        "image is built, and can't call tasks. Call it from inside a task"
    )


# --- what handles and maps are made of


def start(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Start a task and return its operation. TaskError if the arguments can't cross."""
    if not calling:
        raise _too_early(task)
    try:
        body, tagged = _codec.dumps((args, kwargs), lambda key: _parameter(task, key, args), outer=False)
    except _codec.CodecError as e:
        raise TaskError(f"argument {e}", type="bad_input", task_name=task.name) from None
    if len(body) > MESSAGE_MAX - HEADER_MAX:
        size = f"{len(body) / 1e6:.0f} MB of arguments; a message holds {(MESSAGE_MAX - HEADER_MAX) // 1000000} MB"
        raise TaskError(f"{size}. Pass the path of a file instead", type="bad_input", task_name=task.name)
    return _operations.submit(task._headers[tagged], body)


def finish(task: Task[..., Any], op: int) -> Any:
    """Return or raise the outcome of an operation that is done, once."""
    return _read(task, _operations.take(op))


def wait(op: int, seconds: float | None) -> bool:
    """Block until an operation is done; False if it isn't in time."""
    return _operations.wait(op, _ns(seconds))


def wait_for_any(seconds: float | None) -> bool:
    """Block until expected operations are done; False if none is in time."""
    return _operations.pump(_ns(seconds))


def _ns(seconds: float | None) -> int:
    return -1 if seconds is None else max(0, round(min(seconds, 1e9) * 1e9))


expect: Callable[[int, Callable[[int], object]], None] = _operations.expect
cancel: Callable[[int], None] = _operations.cancel
discard: Callable[[int], None] = _operations.discard


def in_loop() -> bool:
    """Whether an event loop runs here."""
    import asyncio

    return asyncio._get_running_loop() is not None


def future() -> asyncio.Future[Any] | None:
    """Return a future that arrived() may resolve, or None: the caller has to block."""
    from . import _loop

    return _loop.future()


# --- messages


def _parameter(task: Task[..., Any], key: int | str, args: tuple[Any, ...]) -> str:
    """The name of the parameter that an argument goes to."""
    if isinstance(key, str):
        return key
    try:
        bound = inspect.signature(task.__wrapped__).bind_partial(*args)
    except (TypeError, ValueError):
        return f"#{key + 1}"
    for name, value in bound.arguments.items():
        if value is args[key]:
            return name
    return f"#{key + 1}"


def _read(task: Task[..., Any], reply: bytes) -> Any:
    if reply.startswith(_PLAIN):
        return _codec.loads(reply[_PLAIN_N:].decode(), tagged=False)
    n = int.from_bytes(reply[:4], "little")
    header = _codec.scan(reply[4 : 4 + n].decode(), 0)[0]
    if header.get("ok"):
        return _codec.loads(reply[4 + n :].decode(), tagged=header.get("tagged", False))
    raise _failure(task, header.get("error", {}))


def _failure(task: Task[..., Any], error: dict[str, Any]) -> TaskError:
    failure = TaskError(
        error.get("message", ""),
        type=error.get("type", "host_error"),
        class_name=error.get("class"),
        traceback=error.get("traceback"),
        execution=error.get("execution"),
        task_name=task.name,
        retry=error.get("retry"),
    )
    if failure.traceback:
        noted: Any = failure
        noted.__notes__ = [f"\nInside task {task.name!r}:\n\n{failure.traceback.rstrip()}"]
    return failure
