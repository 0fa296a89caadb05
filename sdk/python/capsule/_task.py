"""The `@task` decorator, the Task object it makes, and the registry that the host reads."""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from ._errors import TaskError
from ._handle import Handle, runtime
from ._host import INSIDE
from ._results import CONCURRENCY, Results

if INSIDE:
    from . import _runtime

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)  # a checker may know an `async def` by a subclass of Coroutine
T = TypeVar("T")

_OPTIONS = (
    "name",
    "compute",
    "ram",
    "timeout",
    "max_retries",
    "allowed_files",
    "allowed_hosts",
    "env_variables",
    "idempotent",
)


class Task(Generic[P, R_co]):
    """A function that runs in a sandbox of its own when it is called from a task.

    Made by `@task`; called like the function that it wraps. Inside a sandbox a call of a `def` task blocks until the
    result is there, a call of an `async def` task returns a coroutine, which starts the task when it's awaited.
    Outside, both are calls of the function itself.

    start() runs a task beside the code that starts it, map() one per item. Tasks end before the one that started them:
    what still runs when its function returns is cancelled.

    Attributes:
        name: the identifier, as given or the function's name.
        options: what the decorator was given, `name` left out; the host reads and judges the values.
        is_async: whether the function is `async def`.
        file: where the function is defined.
        line: its first line, decorators included.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, R_co]

    def __init__(self, function: Callable[P, R_co], name: str, options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.options = options
        inner: Any = inspect.unwrap(function)
        self.is_async = inspect.iscoroutinefunction(inner)
        code = getattr(inner, "__code__", None)
        self.file: str = code.co_filename if code else "?"
        self.line: int = code.co_firstlineno if code else 0
        self._headers = (_runtime.header_of(name, False), _runtime.header_of(name, True)) if INSIDE else (b"", b"")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the task. Inside a sandbox a failure raises TaskError."""
        if INSIDE:
            result: R_co = _runtime.invoke(self, args, kwargs)
            return result
        return self.__wrapped__(*args, **kwargs)

    @overload
    def start(self: Task[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R_co]: ...
    def start(self, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start the task and return its handle at once.

        Raises:
            TaskError: the arguments can't cross (type "bad_input"). A failure of the task is raised by its handle.
        """
        return Handle(self, runtime.start(self, args, kwargs))

    @overload
    def map(
        self: Task[..., Coroutine[Any, Any, T]],
        iterable: Iterable[Any],
        *,
        concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Results[T]: ...
    @overload
    def map(
        self: Task[..., Coroutine[Any, Any, T]],
        iterable: Iterable[Any],
        *,
        concurrency: int | None = None,
        return_exceptions: bool,
    ) -> Results[T | TaskError]: ...
    @overload
    def map(
        self,
        iterable: Iterable[Any],
        *,
        concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Results[R_co]: ...
    @overload
    def map(
        self, iterable: Iterable[Any], *, concurrency: int | None = None, return_exceptions: bool
    ) -> Results[R_co | TaskError]: ...
    def map(
        self, iterable: Iterable[Any], *, concurrency: int | None = None, return_exceptions: bool = False
    ) -> Results[Any]:
        """Run one task per item, in parallel; the results are in the order of the items.

        In a `def` task this blocks until all are done, if the iterable has a length, and otherwise when the results are
        used. In a coroutine it returns at once: `await` the results, or iterate over them with `async for`.

        Args:
            iterable: what each task gets as its one argument; tuples aren't unpacked (see starmap).
            concurrency: how many run at once at most; 2,048 by default. Further ones start as others end.
            return_exceptions: put a failed task's TaskError in the place of its result instead of raising it.

        Raises:
            TaskError: a task failed; the others were cancelled and have ended.
            ValueError: `concurrency` is less than 1.
        """
        return self._map(iterable, zip(iter(iterable)), concurrency, return_exceptions)

    @overload
    def starmap(
        self: Task[..., Coroutine[Any, Any, T]],
        iterable: Iterable[Iterable[Any]],
        *,
        concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Results[T]: ...
    @overload
    def starmap(
        self: Task[..., Coroutine[Any, Any, T]],
        iterable: Iterable[Iterable[Any]],
        *,
        concurrency: int | None = None,
        return_exceptions: bool,
    ) -> Results[T | TaskError]: ...
    @overload
    def starmap(
        self,
        iterable: Iterable[Iterable[Any]],
        *,
        concurrency: int | None = None,
        return_exceptions: Literal[False] = False,
    ) -> Results[R_co]: ...
    @overload
    def starmap(
        self, iterable: Iterable[Iterable[Any]], *, concurrency: int | None = None, return_exceptions: bool
    ) -> Results[R_co | TaskError]: ...
    def starmap(
        self, iterable: Iterable[Iterable[Any]], *, concurrency: int | None = None, return_exceptions: bool = False
    ) -> Results[Any]:
        """Like map(), with each item as the list of a task's positional arguments."""
        return self._map(iterable, map(tuple, iterable), concurrency, return_exceptions)

    def _map(
        self,
        iterable: Iterable[Any],
        calls: Iterator[tuple[Any, ...]],
        concurrency: int | None,
        return_exceptions: bool,
    ) -> Results[Any]:
        if concurrency is None:
            concurrency = CONCURRENCY
        elif concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; at least one task has to run")
        if not INSIDE and not self.is_async:
            concurrency = 1
        results: Results[Any] = Results(self, calls, concurrency, return_exceptions)
        if isinstance(iterable, Sized) and not runtime.in_loop():
            results.result()
        return results

    def __repr__(self) -> str:
        return f"<task {self.name!r} at {self.file}:{self.line}>"

    @property
    def place(self) -> str:
        """Where it is defined, as "file:line"."""
        return f"{self.file}:{self.line}"


registry: dict[str, Task[..., Any]] = {}
"""All tasks of this process by name."""


@overload
def task(function: Callable[P, R_co], /) -> Task[P, R_co]: ...
@overload
def task(
    *,
    name: str | None = None,
    compute: str | int | None = None,
    ram: str | int | None = None,
    timeout: str | int | float | None = None,
    max_retries: int | None = None,
    allowed_files: Sequence[str | os.PathLike[str] | dict[str, Any]] | None = None,
    allowed_hosts: Sequence[str] | None = None,
    env_variables: Sequence[str] | None = None,
    idempotent: bool | None = None,
) -> Callable[[Callable[P, R_co]], Task[P, R_co]]: ...
def task(function: Any = None, /, **options: Any) -> Any:
    """Make a function a task: `@task` or `@task(name=..., ram=...)`.

    Args:
        function: the function, when the decorator is used bare.
        name: identifier; the function's name by default. The task named "main" is the entry.
        compute: fuel of one attempt: "LOW", "MEDIUM" (default), "HIGH" or an exact number.
        ram: cap on memory, such as "64MB" or "1GiB"; 512MB by default.
        timeout: wall time of one attempt, such as "500ms", "30s", "5m"; none by default.
        max_retries: further attempts after a failure; 1 by default.
        allowed_files: files and folders that the task may use, "./data" or {"path": "./data", "mode": "ro"}.
        allowed_hosts: hosts for HTTP, such as "api.example.com" or "*.example.com"; public hosts by default.
        env_variables: names of environment variables that the task sees.
        idempotent: whether it may run again if its process died in the middle of it; true by default. If not, it fails
            with the type "interrupted" when the run is resumed, for its caller to decide.

    Raises:
        TypeError: unknown option, a value of a type that no option has, or something that isn't a function.
        ValueError: another task has this name already.
    """
    for option in options:
        if option not in _OPTIONS:
            raise TypeError(_unknown(option))
    if function is None:
        return lambda f: _make(f, dict(options))
    if options or isinstance(function, str):
        raise TypeError("task options are keyword arguments: @task(name=..., ram=...)")
    return _make(function, {})


def _unknown(option: str) -> str:
    near = difflib.get_close_matches(option.replace("-", "_").lower(), _OPTIONS, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else "options are " + ", ".join(_OPTIONS)
    return f"task() has no option {option!r}; {hint}"


def _make(function: Any, options: dict[str, Any]) -> Task[..., Any]:
    if isinstance(function, (staticmethod, classmethod, type)) or not callable(function):
        raise TypeError(f"@task goes on a function, not on {function!r:.100}")
    name = options.pop("name", None)
    if name is None:
        name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not name:
        raise TypeError("a task's name must be a string that isn't empty")
    cleaned = {k: _plain(name, k, v) for k, v in options.items() if v is not None}
    made: Task[..., Any] = Task(function, name, cleaned)
    other = registry.get(name)
    if other is not None and (other.place, other.__qualname__) != (made.place, made.__qualname__):
        raise ValueError(f"two tasks are named {name!r}: {other.place} and {made.place}; give one another name")
    registry[name] = made
    return made


def _plain(name: str, option: str, value: Any) -> Any:
    """An option's value as JSON can say it; what it means is the host's to judge."""
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(name, option, v) for v in value]
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: _plain(name, option, v) for k, v in value.items()}
    raise TypeError(f"task {name!r}: {option} can't be a {type(value).__name__}")
