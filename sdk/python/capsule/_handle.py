"""The handle of a task that was started. It's the same inside a sandbox and outside."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._host import INSIDE

if TYPE_CHECKING:
    import asyncio

    from ._task import Task

R = TypeVar("R")


class Runtime(Protocol):
    """What runs tasks: `_runtime` inside a sandbox, `_local` outside."""

    AHEAD: int

    def start(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int: ...
    def finish(self, task: Task[..., Any], op: int) -> Any: ...
    def wait(self, op: int, seconds: float | None) -> bool: ...
    def wait_for_any(self, seconds: float | None) -> bool: ...
    @property
    def expect(self) -> Callable[[int, Callable[[int], object]], None]: ...
    @property
    def cancel(self) -> Callable[[int], None]: ...
    @property
    def discard(self) -> Callable[[int], None]: ...
    def in_loop(self) -> bool: ...
    def future(self) -> asyncio.Future[Any] | None: ...


def _runtime_of_this_process() -> Runtime:
    if INSIDE:
        from . import _runtime

        return _runtime
    from . import _local

    return _local


runtime = _runtime_of_this_process()


class Handle(Coroutine[Any, Any, R], Generic[R]):
    """A task that was started: what `.start()` returns.

    `await handle` waits for its result while other coroutines run; `handle.result()` blocks. Both may be repeated. A
    failed task raises TaskError, a cancelled one TaskError with the type "cancelled". A handle is accepted wherever
    asyncio takes a coroutine: gather(), create_task(), TaskGroup, wait_for(), as_completed(), shield().

    A task has one owner: cancelling a coroutine that awaits the handle cancels the task (asyncio.shield() protects it,
    as ever). A task whose handle is forgotten runs on, and is cancelled when the task that started it ends.
    """

    __slots__ = ("__weakref__", "_done", "_failure", "_op", "_task", "_value", "_wakes")

    def __init__(self, task: Task[..., Any], op: int) -> None:
        self._task = task
        self._op = op
        self._done = False
        self._value: Any = None
        self._failure: Exception | None = None
        self._wakes: list[asyncio.Future[Any]] = []
        runtime.expect(op, self._finish)

    @property
    def task_name(self) -> str:
        """The name of the task that was started."""
        return self._task.name

    def __repr__(self) -> str:
        state = "running" if not self._done else "failed" if self._failure else "done"
        return f"<handle of task {self._task.name!r}, {state}>"

    def _finish(self, op: int) -> None:
        self._done = True
        try:
            self._value = runtime.finish(self._task, op)
        except Exception as e:
            self._failure = e
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            if not wake.done():
                wake.set_result(None)

    def _wait(self, seconds: float | None) -> bool:
        if runtime.wait(self._op, seconds) and not self._done:
            self._finish(self._op)
        return self._done

    def done(self) -> bool:
        """Whether it has ended: result() wouldn't wait."""
        return self._done or self._wait(0)

    def result(self, timeout: float | None = None) -> R:
        """Return the result; block until it's there. In a coroutine `await` the handle instead: while this waits, no
        other coroutine of the task runs.

        Args:
            timeout: seconds to wait at most; None: without limit.

        Raises:
            TaskError: the task failed or was cancelled.
            TimeoutError: it isn't done in time. It runs on.
        """
        if not self._done and not self._wait(timeout):
            raise TimeoutError(f"task {self._task.name!r} isn't done after {timeout} s")
        if self._failure is not None:
            raise self._failure
        value: R = self._value
        return value

    def cancel(self) -> bool:
        """Cancel the task and all that it started. False if it had ended before.

        It ends soon, not at once; who awaits it then gets a TaskError of type "cancelled", unless the task was quicker.
        """
        if self.done():
            return False
        runtime.cancel(self._op)
        return True

    def __await__(self) -> Generator[Any, Any, R]:
        while not self._done:
            wake = runtime.future()
            if wake is None:
                break
            self._wakes.append(wake)
            try:
                yield from wake
            except BaseException:
                self.cancel()
                raise
        return self.result()

    # A coroutine by these, so that create_task() takes it. They keep no state: several tasks may await one handle.

    def send(self, value: Any, /) -> Any:
        """What an event loop's task calls: one step of waiting."""
        wake = None if self._done else runtime.future()
        if wake is None:
            raise StopIteration(self.result())
        self._wakes.append(wake)
        wake._asyncio_future_blocking = True
        return wake

    def throw(self, kind: Any, value: Any = None, traceback: Any = None, /) -> Any:
        """What an event loop's task calls when it's cancelled."""
        self.cancel()
        raise kind if value is None else value

    def close(self) -> None:
        """Cancel the task: nobody will await it."""
        self.cancel()
