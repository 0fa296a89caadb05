"""The event loop of a sandbox.

There are no sockets, signals or threads to wait for: a loop waits for host operations and for time, nothing else. A
loop that has neither can never go on, which is an error rather than a hang.
"""

from __future__ import annotations

import asyncio
import errno
import time
from asyncio import base_events, events, runners
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from . import _operations
from ._operations import reply_now as reply_now


class Loop(base_events.BaseEventLoop):
    """asyncio's loop with the host as its selector."""

    def __init__(self, selector: object = None) -> None:
        """`selector` is there because asyncio.SelectorEventLoop has it; it's of no use here."""
        super().__init__()
        self._selector = self

    def select(self, timeout: float | None) -> tuple[()]:
        """Wait until operations are done or the time (seconds) is over. What BaseEventLoop asks of a selector."""
        if _operations.expecting():
            _operations.pump(-1 if timeout is None else round(timeout * 1e9))
        elif timeout is None:
            raise RuntimeError("every coroutine waits for another one: nothing can ever wake this event loop")
        elif timeout > 0:
            time.sleep(timeout)
        return ()

    def _process_events(self, event_list: object) -> None:
        """Nothing: select() has resolved the futures."""

    def _write_to_self(self) -> None:
        """Nothing: there's no other thread that could wake this loop."""

    async def create_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no sockets."""
        _no_sockets()

    async def create_server(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no sockets."""
        _no_sockets()

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no sockets."""
        _no_sockets()

    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no sockets."""
        _no_sockets()

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no processes."""
        _no_processes()

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise OSError: no processes."""
        _no_processes()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run a function soon, on this loop: there are no threads. While it runs, nothing else does."""
        if executor is not None and not isinstance(executor, ThreadPoolExecutor):
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[Any] = self.create_future()
        self.call_soon(_call_into, future, func, args)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Shut down what set_default_executor() was given; asyncio's own does it in a thread."""
        state: Any = self
        state._executor_shutdown_called = True
        if state._default_executor is not None:
            state._default_executor.shutdown(wait=False)


def _call_into(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if future.cancelled():
        return
    try:
        result = func(*args)
    except BaseException as e:  # whoever awaits the future gets it, as from a thread
        future.set_exception(e)
    else:
        future.set_result(result)


def _no_sockets() -> NoReturn:
    from ._guest_imports import SOCKETS

    raise OSError(errno.ENOTSUP, SOCKETS)


def _no_processes() -> NoReturn:
    from ._guest_imports import PROCESSES

    raise OSError(errno.ENOTSUP, PROCESSES)


class Policy(events.BaseDefaultEventLoopPolicy):
    """Makes asyncio.run and new_event_loop use Loop."""

    _loop_factory = Loop


def future() -> asyncio.Future[Any] | None:
    """Return a future of the running loop that pump() can resolve; None if there's no such loop."""
    loop = events._get_running_loop()
    return loop.create_future() if isinstance(loop, Loop) else None


async def reply_of(op: int) -> bytes:
    """Wait for an operation's reply while other coroutines run.

    Cancelling the coroutine that waits here cancels the operation. reply_now() is the same for code that isn't `async`.
    """
    waiter = future()
    if waiter is None:  # driven by hand, without an event loop
        return reply_now(op)

    def arrived(op: int) -> None:
        reply = _operations.take(op)  # at once: until then the operation counts as open
        if not waiter.done():
            waiter.set_result(reply)

    _operations.expect(op, arrived)
    try:
        reply: bytes = await waiter
    except BaseException:
        if _operations.expected(op):
            _operations.discard(op)
        raise
    return reply


_loop: Loop | None = None


def prepare() -> None:
    """Make the loop that the sandbox's one call will use, and the only kind that there is; at image time."""
    global _loop
    kinds: Any = asyncio
    kinds.DefaultEventLoopPolicy = Policy
    kinds.SelectorEventLoop = kinds.EventLoop = Loop
    asyncio.set_event_loop_policy(Policy())  # type: ignore[abstract]
    _loop = Loop()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a task's coroutine to its end, then cancel what it left behind. Once per sandbox."""
    loop = _loop
    assert loop is not None
    try:
        return loop.run_until_complete(loop.create_task(coroutine))
    finally:
        runners._cancel_all_tasks(loop)  # type: ignore[attr-defined]
        if loop._asyncgens:  # type: ignore[attr-defined]
            loop.run_until_complete(loop.shutdown_asyncgens())
