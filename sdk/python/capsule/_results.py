"""The results of a map: one task per item, a bounded number at once. The same inside a sandbox and outside.

A task is open from its start until its outcome was read; operations that are done stand in the inbox until then.
Outcomes wait in `_ready`, by index, until somebody takes them: in order, one by one (iteration), or all at the end.
After the first failure nothing is started any more, what is open is cancelled and waited for, and the failure is what
everybody gets.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._errors import TaskError
from ._handle import runtime

if TYPE_CHECKING:
    import asyncio

    from ._task import Task

R = TypeVar("R")

CONCURRENCY = 2048
"""How many tasks of a map run at once unless the caller says otherwise. One that waits costs memory only."""


class _Inbox:
    """News of finished operations. Apart from the map, so that what is expected doesn't keep a forgotten map alive."""

    __slots__ = ("ops", "wakes")

    def __init__(self) -> None:
        self.ops: list[int] = []
        self.wakes: list[asyncio.Future[Any]] = []

    def arrived(self, op: int) -> None:
        self.ops.append(op)
        self.wake()

    def wake(self) -> None:
        if self.wakes:
            wakes, self.wakes = self.wakes, []
            for wake in wakes:
                if not wake.done():
                    wake.set_result(None)


class Results(Sequence[R]):
    """The results of `.map()`, in the order of the items.

    `await results` waits for all and gives a list. In a `def` task a map over a list, or anything else that has a
    length, has waited already: use the results like a tuple. len(), [], == and result() wait for all, too.

    Before all were waited for, `for` and `async for` give the results one by one as they come, in order. They take
    items from the iterable as they need them (so it may be endless), keep nothing, and can be used once.

    When a task fails, the others are cancelled and its TaskError is raised as soon as they have ended. Tasks of results
    that are dropped are cancelled.
    """

    def __init__(
        self,
        task: Task[..., Any],
        calls: Iterator[tuple[Any, ...]],
        concurrency: int,
        return_exceptions: bool,
    ) -> None:
        self._task = task
        self._calls: Iterator[tuple[Any, ...]] | None = calls
        self._concurrency = concurrency
        self._ahead: float = concurrency + runtime.AHEAD
        self._return_exceptions = return_exceptions
        self._inbox = _Inbox()
        self._arrived: Callable[[int], object] = self._inbox.arrived
        self._open: dict[int, int] = {}
        self._ready: dict[int, Any] = {}
        self._started = 0
        self._given = 0
        self._used = False
        self._failure: BaseException | None = None
        self._all: list[R] | None = None
        self._start_more()

    # --- the machine

    def _start_more(self) -> None:
        """Start what may run beside what is open."""
        task, begin, expect, arrived, opened = self._task, runtime.start, runtime.expect, self._arrived, self._open
        while self._calls is not None and len(opened) < self._concurrency and self._started - self._given < self._ahead:
            i = self._started
            try:
                args = next(self._calls)
            except StopIteration:
                self._calls = None
                return
            except BaseException as e:
                self._fail(e)
                return
            self._started += 1
            try:
                op = begin(task, args, {})
            except TaskError as e:
                self._failed(i, e)
            except BaseException as e:
                self._fail(e)
            else:
                opened[op] = i
                expect(op, arrived)

    def _read_inbox(self) -> None:
        inbox, task, finish, opened, ready = self._inbox, self._task, runtime.finish, self._open, self._ready
        ops, inbox.ops = inbox.ops, []
        for op in ops:
            i = opened.pop(op)
            try:
                ready[i] = finish(task, op)
            except Exception as e:
                self._failed(i, e)

    def _advance(self) -> None:
        """Read what has arrived and start what may start."""
        while True:
            if self._inbox.ops:
                self._read_inbox()
            if self._calls is not None:
                self._start_more()
            if not self._inbox.ops:
                return

    def _failed(self, i: int, e: Exception) -> None:
        if self._return_exceptions:
            self._ready[i] = e
        else:
            self._fail(e)

    def _fail(self, e: BaseException) -> None:
        """End with this failure, unless there's one already; what is open is cancelled and has yet to end."""
        if self._failure is not None:
            return
        self._failure = e
        self._calls = None
        for op in self._open:
            runtime.cancel(op)

    def _abandon(self) -> None:
        """End at once: nobody waits for what is open."""
        self._calls = None
        if self._failure is None:
            self._failure = TaskError("the map was cancelled", type="cancelled", task_name=self._task.name)
        while self._open:
            op, _ = self._open.popitem()
            runtime.discard(op)
        self._inbox.ops.clear()
        self._inbox.wake()

    def _ended(self) -> bool:
        return self._calls is None and not self._open

    def _want_all(self) -> None:
        self._used = True
        if self._given:
            raise RuntimeError("these results were taken by iterating over them, which keeps nothing")
        self._ahead = float("inf")

    def _list(self) -> list[R]:
        """All results, once all have ended."""
        if self._failure is not None:
            raise self._failure
        if self._all is None:
            self._all = [self._ready.pop(i) for i in range(self._started)]
        return self._all

    # --- blocking

    def _complete(self, timeout: float | None = None) -> list[R]:
        if self._all is not None:
            return self._all
        self._want_all()
        end = None if timeout is None else time.monotonic() + timeout
        self._advance()
        while not self._ended():
            left = None if end is None else max(0.0, end - time.monotonic())
            if not runtime.wait_for_any(left) and left is not None:
                raise TimeoutError(f"the map of task {self._task.name!r} isn't done after {timeout} s")
            self._advance()
        return self._list()

    def result(self, timeout: float | None = None) -> list[R]:
        """Return all results; block until they're there. In a coroutine use `await` instead: while this waits, no other
        coroutine of the task runs.

        Args:
            timeout: seconds to wait at most; None: without limit.

        Raises:
            TaskError: a task failed; the others were cancelled.
            TimeoutError: not all are done in time. They run on.
        """
        return list(self._complete(timeout))

    def done(self) -> bool:
        """Whether all have ended: result() wouldn't wait."""
        if not self._ended():
            runtime.wait_for_any(0)
            self._advance()
        return self._ended()

    def cancel(self) -> bool:
        """Cancel all tasks that run and start no more. Who waits gets a TaskError of type "cancelled". False if all
        had ended before."""
        self._used = True
        if self.done():
            return False
        self._abandon()
        return True

    def __iter__(self) -> Iterator[R]:
        if self._all is not None:  # also for list(), which asks for the length before it begins
            yield from self._all
            return
        self._used = True
        while True:
            if self._open:
                runtime.wait_for_any(0)
            self._advance()
            while (self._failure is not None and self._open) or not self._next_is_known():
                runtime.wait_for_any(None)
                self._advance()
            if self._at_end():
                return
            yield self._give()

    def _next_is_known(self) -> bool:
        return self._given in self._ready or self._ended()

    def _at_end(self) -> bool:
        """Whether there are no more results to give. Raises the failure."""
        if self._failure is not None:
            raise self._failure
        return self._given not in self._ready

    def _give(self) -> R:
        value: R = self._ready.pop(self._given)
        self._given += 1
        return value

    # --- in coroutines

    def __await__(self) -> Generator[Any, Any, list[R]]:
        return self._collect().__await__()

    async def _collect(self) -> list[R]:
        if self._all is None:
            self._want_all()
            self._advance()
            while not self._ended():
                await self._news()
                self._advance()
        return list(self._list())

    async def __aiter__(self) -> AsyncIterator[R]:
        if self._all is not None:
            for value in self._all:
                yield value
            return
        self._used = True
        while True:
            self._advance()
            while (self._failure is not None and self._open) or not self._next_is_known():
                await self._news()
                self._advance()
            if self._at_end():
                return
            yield self._give()

    async def _news(self) -> None:
        wake = runtime.future()
        if wake is None:
            runtime.wait_for_any(None)
            return
        self._inbox.wakes.append(wake)
        try:
            await wake
        except BaseException:
            self._abandon()
            raise

    # --- a sequence

    def __len__(self) -> int:
        if self._given:
            raise TypeError("results that were iterated over have no length; they weren't kept")
        return len(self._complete())

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> list[R]: ...
    def __getitem__(self, index: int | slice) -> R | list[R]:
        return self._complete()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return self._complete() == other
        return self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        if self._all is not None:
            return repr(self._all)
        return f"<results of task {self._task.name!r}: {len(self._open)} running, {len(self._ready)} done>"

    def __del__(self) -> None:
        if not getattr(self, "_open", None):
            return
        if not self._used:
            text = f"a map of task {self._task.name!r} was cancelled: nobody waited for its results"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        self._abandon()
