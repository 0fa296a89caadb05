"""Calls of tasks from a task: only inside a sandbox.

A call is one host operation. Waiting for it parks the whole sandbox, unless an event loop has other work.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from . import _codec
from ._errors import TaskError
from ._host import HEADER_MAX, MESSAGE_MAX, host

if TYPE_CHECKING:
    from ._task import Task

_host = host()
_TAGGED = ',"tagged":true}'
_UNTAGGED = ',"tagged":false}'
_PLAIN_REPLY = b'{"ok":true,"tagged":false}'

calling = False
"""True while a task runs; False while an image is built."""


def invoke(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task in a sandbox of its own: its result, or for an `async def` task an awaitable of it."""
    if not calling:
        raise RuntimeError(
            f"task {task.name!r} was called while its module is imported; a module's top level runs once, when the "
            "image is built, and can't call tasks. Call it from inside a task"
        )
    if task.is_async:
        return _invoke_async(task, args, kwargs)
    op = _submit(task, args, kwargs)
    _host.wait((op,), -1)
    return _finish(task, _host.take(op))


async def _invoke_async(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from . import _loop

    op = _submit(task, args, kwargs)
    return _finish(task, await _loop.reply_of(op))


def _submit(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    try:
        body, tagged = _codec.dumps((args, kwargs), lambda key: _parameter(task, key, args), outer=False)
    except _codec.CodecError as e:
        raise TaskError(f"argument {e}", type="bad_input", task_name=task.name) from None
    header = '{"op":"task.call","task":' + _codec.dumps_plain(task.name) + (_TAGGED if tagged else _UNTAGGED)
    if len(body) > MESSAGE_MAX - HEADER_MAX:
        size = f"{len(body) / 1e6:.0f} MB of arguments; a message holds {(MESSAGE_MAX - HEADER_MAX) // 1000000} MB"
        raise TaskError(f"{size}. Pass the path of a file instead", type="bad_input", task_name=task.name)
    return _host.submit(header.encode(), body)


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


def _finish(task: Task[..., Any], reply: bytes) -> Any:
    n = int.from_bytes(reply[:4], "little")
    head = reply[4 : 4 + n]
    if head == _PLAIN_REPLY:
        return _codec.loads(reply[4 + n :].decode(), tagged=False)
    header = _codec.scan(head.decode(), 0)[0]
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
