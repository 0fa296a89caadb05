"""The event loop of a sandbox.

There are no sockets, signals or threads to wait for: a loop waits for host operations and for time, nothing else. A
loop that has neither can never go on, which is an error rather than a hang.
"""

from __future__ import annotations

import asyncio
import errno
import time
from asyncio import base_events, events
from collections.abc import Coroutine
from typing import Any, NoReturn

from ._host import host

_host = host()


class Loop(base_events.BaseEventLoop):
    """asyncio's loop with the host as its selector."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._ops: dict[int, asyncio.Future[bytes]] = {}

    def reply_of(self, op: int) -> asyncio.Future[bytes]:
        """Return a future of an operation's reply."""
        future: asyncio.Future[bytes] = self.create_future()
        self._ops[op] = future
        return future

    def select(self, timeout: float | None) -> tuple[()]:
        """Wait until an operation is done or the time (seconds) is over. What BaseEventLoop asks of a selector."""
        if self._ops:
            ops = tuple(self._ops)
            i = _host.wait(ops, -1 if timeout is None else round(timeout * 1e9))
            if i >= 0:
                self._done(ops[i])
        elif timeout is None:
            raise RuntimeError("every coroutine waits for another one: nothing can ever wake this event loop")
        elif timeout > 0:
            time.sleep(timeout)
        return ()

    def _done(self, op: int) -> None:
        future = self._ops.pop(op)
        reply = _host.take(op)
        if not future.cancelled():
            future.set_result(reply)

    def _process_events(self, event_list: object) -> None:
        """Nothing: select() has resolved the futures."""

    def _write_to_self(self) -> None:
        """Nothing: there's no other thread that could wake this loop."""

    def abandon(self) -> None:
        """Forget operations that nobody waits for any more."""
        self._ops.clear()

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

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Raise RuntimeError: no threads."""
        from ._guest_imports import THREADS

        raise RuntimeError(THREADS)


def _no_sockets() -> NoReturn:
    from ._guest_imports import SOCKETS

    raise OSError(errno.ENOTSUP, SOCKETS)


def _no_processes() -> NoReturn:
    from ._guest_imports import PROCESSES

    raise OSError(errno.ENOTSUP, PROCESSES)


class Policy(events.BaseDefaultEventLoopPolicy):
    """Makes asyncio.run and new_event_loop use Loop."""

    _loop_factory = Loop


async def reply_of(op: int) -> bytes:
    """Wait for an operation's reply; without blocking other coroutines if the running loop is ours."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, Loop):
        return await loop.reply_of(op)
    _host.wait((op,), -1)
    return _host.take(op)


_loop: Loop | None = None


def prepare() -> None:
    """Make the loop that the sandbox's one call will use; at image time."""
    global _loop
    asyncio.set_event_loop_policy(Policy())  # type: ignore[abstract]
    _loop = Loop()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a task's coroutine to its end, then cancel what it left behind. Once per sandbox."""
    loop = _loop
    assert loop is not None
    try:
        return loop.run_until_complete(loop.create_task(coroutine))
    finally:
        left = asyncio.all_tasks(loop)
        if left:
            for one in left:
                one.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        if loop._asyncgens:  # type: ignore[attr-defined]
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.abandon()
