"""Tasks outside of a sandbox, in plain Python: a task is an ordinary function, called here and now.

The same functions as in `_runtime`. A `def` task has run when start() returns. The coroutine of an `async def` task
runs on the event loop that runs; where none does, on the first on which somebody waits, which for code that blocks is a
private one of its thread.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ._errors import TaskError

if TYPE_CHECKING:
    import asyncio

    from ._task import Task

AHEAD: int = 0
"""How many results of a map may wait for the code that iterates over them."""


class _Call:
    """One started task: a coroutine, then an asyncio task, then an outcome; or the outcome from the beginning."""

    def __init__(self) -> None:
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.running: asyncio.Task[Any] | None = None
        self.value: Any = None
        self.failure: Exception | None = None
        self.arrived: Callable[[], object] | None = None

    def done(self) -> bool:
        return self.coroutine is None and (self.running is None or self.running.done())

    def tell(self, _: object = None) -> None:
        if self.arrived is not None:
            self.arrived()


class _Thread(threading.local):
    """What a thread has: coroutines that no loop runs yet, and its private loop with what runs on it."""

    def __init__(self) -> None:
        self.waiting: list[_Call] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.running: set[asyncio.Task[Any]] = set()


_calls: dict[int, _Call] = {}
_ops = itertools.count(1)
_thread = _Thread()


def start(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Call a task's function; an exception that it raises is kept for finish()."""
    call = _Call()
    if task.is_async:
        call.coroutine = task.__wrapped__(*args, **kwargs)
        _thread.waiting.append(call)
        loop = _running_loop()
        if loop is not None:
            _run_on(loop)
    else:
        try:
            call.value = task.__wrapped__(*args, **kwargs)
        except Exception as e:
            call.failure = e
    op = next(_ops)
    _calls[op] = call
    return op


def _run_on(loop: asyncio.AbstractEventLoop) -> None:
    waiting, _thread.waiting = _thread.waiting, []
    for call in waiting:
        if call.coroutine is not None:
            call.running = loop.create_task(call.coroutine)
            call.coroutine = None
            call.running.add_done_callback(call.tell)
            if loop is _thread.loop:
                _thread.running.add(call.running)


def finish(task: Task[..., Any], op: int) -> Any:
    """Return or raise the outcome of a call that is done, once."""
    call = _calls.pop(op)
    if call.running is not None:
        if not call.running.cancelled():
            return call.running.result()
        call.failure = TaskError("the task was cancelled", type="cancelled", task_name=task.name)
    if call.failure is not None:
        raise call.failure
    return call.value


def expect(op: int, arrived: Callable[[int], object]) -> None:
    """Have arrived(op) called, once, when the call is done."""
    call = _calls[op]
    call.arrived = lambda: arrived(op) if op in _calls else None
    if call.done():
        call.tell()


def wait(op: int, seconds: float | None) -> bool:
    """Block until a call is done; False if it isn't in time."""
    call = _calls[op]
    if not call.done():
        _block(seconds, call)
    return call.done()


def wait_for_any(seconds: float | None) -> bool:
    """Block until one of the calls is done; False if none is in time."""
    return _block(seconds, None)


def _block(seconds: float | None, call: _Call | None) -> bool:
    import asyncio

    if _running_loop() is not None:
        if seconds == 0:
            return False
        raise RuntimeError("outside of a sandbox this would block the event loop that has to run the task; use await")
    loop = _thread.loop = _thread.loop or asyncio.new_event_loop()
    _run_on(loop)
    waited_for = {call.running} if call is not None and call.running is not None else _thread.running
    if not waited_for:
        return False
    done, _ = loop.run_until_complete(asyncio.wait(waited_for, timeout=seconds, return_when=asyncio.FIRST_COMPLETED))
    _thread.running = {t for t in _thread.running if not t.done()}
    if not _thread.running:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        _thread.loop = None
    return bool(done)


def cancel(op: int) -> None:
    """Cancel a call that isn't done."""
    call = _calls[op]
    if call.running is not None:
        call.running.cancel()
    elif call.coroutine is not None:
        call.coroutine.close()
        call.coroutine = None
        call.failure = TaskError("the task was cancelled", type="cancelled")
        call.tell()


def discard(op: int) -> None:
    """Cancel a call that nobody waits for any more, and forget it."""
    _calls[op].arrived = None
    cancel(op)
    del _calls[op]


def in_loop() -> bool:
    """Whether an event loop runs here."""
    return _running_loop() is not None


def future() -> asyncio.Future[Any] | None:
    """Return a future that arrived() may resolve, or None: the caller has to block."""
    loop = _running_loop()
    if loop is None:
        return None
    _run_on(loop)
    return loop.create_future()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    asyncio = sys.modules.get("asyncio")
    return asyncio._get_running_loop() if asyncio else None
