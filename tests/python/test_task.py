"""The decorator and Task outside of a sandbox: plain functions with a name and options."""

import asyncio
import inspect
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import capsule
import pytest
from capsule import NonRetryable, Task, TaskError, task
from capsule._task import registry

SDK = Path(capsule.__file__).parent.parent


@pytest.fixture(autouse=True)
def empty_registry():
    registry.clear()
    yield
    registry.clear()


def test_bare():
    @task
    def double(x: int) -> int:
        """Twice."""
        return 2 * x

    assert isinstance(double, Task)
    assert double(4) == 8
    assert (double.name, double.__name__, double.__doc__) == ("double", "double", "Twice.")
    assert str(inspect.signature(double)) == "(x: int) -> int"
    assert double.__wrapped__(1) == 2
    assert not double.is_async
    assert double.options == {}
    assert double.file == __file__
    assert "double" in repr(double)


def test_all_options(tmp_path):
    @task(
        name="n",
        compute="LOW",
        ram="64MB",
        timeout="30s",
        max_retries=3,
        allowed_files=["./data", {"path": tmp_path, "mode": "ro"}],
        allowed_hosts=("a.example",),
        env_variables=["KEY"],
        idempotent=True,
    )
    def f():
        pass

    assert f.name == "n"
    assert registry == {"n": f}
    assert f.options == {
        "compute": "LOW",
        "ram": "64MB",
        "timeout": "30s",
        "max_retries": 3,
        "allowed_files": ["./data", {"path": str(tmp_path), "mode": "ro"}],
        "allowed_hosts": ["a.example"],
        "env_variables": ["KEY"],
        "idempotent": True,
    }


def test_called_without_options():
    @task()
    def f():
        return 1

    assert f() == 1


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("maxRetries", "did you mean 'max_retries'?"),
        ("max-retries", "did you mean 'max_retries'?"),
        ("memory", "options are name, compute"),
        ("timeouts", "did you mean 'timeout'?"),
        ("allowed_file", "did you mean 'allowed_files'?"),
    ],
)
def test_unknown_option(option, hint):
    with pytest.raises(TypeError) as e:
        task(**{option: 1})
    assert f"no option {option!r}" in str(e.value)
    assert hint in str(e.value)


def test_option_of_no_possible_type():
    with pytest.raises(TypeError, match="task 'f': ram can't be a object"):

        @task(ram=object())
        def f():
            pass


@pytest.mark.parametrize("wrong", [3, "name", int, staticmethod(len)])
def test_not_a_function(wrong):
    with pytest.raises(TypeError):
        task(wrong)


@pytest.mark.parametrize("name", ["", 3])
def test_bad_name(name):
    with pytest.raises(TypeError, match="name must be a string"):
        task(name=name)(lambda: None)


def test_same_name_twice():
    @task
    def f():
        pass

    with pytest.raises(ValueError, match=r"two tasks are named 'f'") as e:

        @task(name="f")
        def g():
            pass

    assert str(e.value).count(__file__) == 2


def test_same_place_again_is_a_reload():
    for _ in range(2):

        @task
        def f():
            pass

    assert len(registry) == 1


def test_async_outside():
    @task
    async def f(x):
        await asyncio.sleep(0)
        return x

    assert f.is_async
    assert asyncio.run(f(3)) == 3


def test_exception_outside_is_the_exception_itself():
    @task
    def f():
        raise KeyError("k")

    with pytest.raises(KeyError):
        f()


def test_context_outside():
    one, two = capsule.context(), capsule.context()
    assert one.run_id == one.task_name == "local"
    assert one.attempt == 1
    assert one.deadline is None
    assert one.remaining_fuel is None
    assert one.idempotency_key != two.idempotency_key


def test_errors():
    e = TaskError("no", type="timeout", task_name="t")
    assert str(e) == "task 't' failed: timeout: no"
    assert (e.type, e.message, e.class_name, e.traceback, e.execution) == ("timeout", "no", None, None, {})
    assert str(TaskError("no", class_name="ValueError")) == "ValueError: no"
    assert issubclass(NonRetryable, Exception)


def test_importing_outside_is_cheap():
    """A program that only uses the decorator doesn't pay for the guest's parts."""
    code = (
        "import sys, capsule; print([m for m in ('asyncio', 'capsule._guest', 'capsule._codec') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- start() and map() are ordinary calls, too


@task
def double(x, y=2):
    return x * y


@task
async def adouble(x):
    await asyncio.sleep(0)
    return 2 * x


@task
def fails(x):
    raise KeyError(x)


def test_start_of_a_function():
    ran = []
    started = Task(ran.append, "started", {})
    handle = started.start(1)
    assert ran == [1]
    assert isinstance(handle, capsule.Handle)
    assert (handle.done(), handle.cancel(), handle.task_name, handle.result()) == (True, False, "started", None)
    assert double.start(2, y=3).result(timeout=1) == 6

    async def wait():
        return [await double.start(3), *await asyncio.gather(double.start(1), double.start(2))]

    assert asyncio.run(wait()) == [6, 2, 4]


def test_start_of_a_function_that_fails():
    handle = fails.start(1)
    for _ in range(2):
        with pytest.raises(KeyError):
            handle.result()


def test_start_of_a_coroutine():
    one, other = adouble.start(1), adouble.start(2)
    assert not never.start().done()
    assert [other.result(), one.result(), one.result(timeout=0), one.done()] == [4, 2, 2, True]

    async def wait():
        async with asyncio.TaskGroup() as group:
            several = [group.create_task(adouble.start(i)) for i in range(3)]
        one = adouble.start(5)
        assert not one.done()
        with pytest.raises(RuntimeError, match="use await"):
            one.result()
        return [t.result() for t in several], await one, await asyncio.wait_for(adouble.start(7), 10)

    assert asyncio.run(wait()) == ([0, 2, 4], 10, 14)
    before = adouble.start(8)

    async def later():
        return await before

    assert asyncio.run(later()) == 16


@task
async def never():
    await asyncio.Event().wait()


def test_cancel_of_a_coroutine():
    handle = never.start()
    with pytest.raises(TimeoutError):
        handle.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        handle.result(timeout=0)
    assert handle.cancel()
    unstarted = never.start()
    assert unstarted.cancel()

    async def wait():
        one, two = never.start(), never.start()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one, 0.01)
        await asyncio.sleep(0)
        two.cancel()
        failures = await asyncio.gather(one, two, return_exceptions=True)
        return [f.type for f in failures]

    for one in (handle, unstarted):
        for _ in range(2):
            with pytest.raises(TaskError) as e:
                one.result()
            assert e.value.type == "cancelled"
    assert asyncio.run(wait()) == ["cancelled", "cancelled"]


def test_map_of_a_function():
    results = double.map([1, 2])
    assert isinstance(results, capsule.Results)
    assert results == [2, 4]
    assert (len(results), results[-1], list(results), results.result(), results.done()) == (2, 4, [2, 4], [2, 4], True)
    assert list(double.starmap([(1, 5), (2, 6)])) == [5, 12]
    with pytest.raises(KeyError):
        fails.map([1])
    kept = fails.map([1], return_exceptions=True)
    assert isinstance(kept[0], KeyError)


def test_map_is_lazy_with_an_iterator():
    taken = []

    def numbers():
        for i in itertools.count():
            taken.append(i)
            yield i

    results = double.map(numbers())
    assert list(itertools.islice(results, 3)) == [0, 2, 4]
    assert taken == [0, 1, 2]
    assert repr(results) == "<results of task 'double': 0 running, 0 done>"


def test_map_of_a_coroutine():
    assert adouble.map(range(5), concurrency=2) == [0, 2, 4, 6, 8]
    assert list(adouble.map(iter(range(3)), concurrency=2)) == [0, 2, 4]

    async def wait():
        return [x async for x in adouble.map(range(3))], await adouble.map(range(4)), await double.map([1])

    assert asyncio.run(wait()) == ([0, 2, 4], [0, 2, 4, 6], [2])


def test_map_of_coroutines_at_once():
    running, most = set(), []

    async def counted(i):
        running.add(i)
        most.append(len(running))
        await asyncio.sleep(0.001)
        running.discard(i)

    one = Task(counted, "counted", {})
    one.map(range(10), concurrency=3)
    assert max(most) == 3


def test_map_ends_with_its_first_failure():
    ended = []

    async def uneven(i):
        if i == 2:
            raise ValueError(i)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(i)

    one = Task(uneven, "uneven", {})
    with pytest.raises(ValueError, match="2"):
        one.map(range(4))
    assert sorted(ended) == [0, 1, 3]


def test_a_bound_below_one():
    with pytest.raises(ValueError, match="concurrency is 0"):
        double.map([1], concurrency=0)


def test_a_file_that_uses_all_of_it_type_checks(tmp_path):
    """What users write is understood by a type checker: results are those of the function, awaited or not."""
    (tmp_path / "user.py").write_text(
        """
import asyncio
from capsule import Handle, Results, TaskError, task

@task
def plain(x: int, y: str = "") -> float:
    return x

@task(compute="LOW")
async def coroutine(x: int) -> str:
    return ""

@task
async def main() -> None:
    reveal_type(plain.start(1))
    reveal_type(coroutine.start(1))
    reveal_type(plain(1))
    reveal_type(await coroutine(1))
    reveal_type(await coroutine.start(1))
    reveal_type(plain.start(1).result())
    reveal_type(coroutine.map([1]))
    reveal_type(await coroutine.map([1]))
    reveal_type(plain.map([1])[0])
    reveal_type(plain.map([1])[:1])
    reveal_type(list(plain.starmap([(1, "a")])))
    reveal_type(coroutine.map([1], return_exceptions=True)[0])
    reveal_type(await asyncio.gather(plain.start(1), coroutine(2), coroutine.map([1])))
    async with asyncio.TaskGroup() as group:
        reveal_type(group.create_task(plain.start(1)))
    reveal_type([x async for x in coroutine.map([1])])
    plain.start("no")
    coroutine.start()
"""
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path / "user.py"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(SDK)})
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    short = [re.sub(r"\b(builtins|capsule\._\w+|_?asyncio(\.tasks)?)\.", "", r).replace("?", "") for r in revealed]
    assert short == [
        "Handle[float]",
        "Handle[str]",
        "float",
        "str",
        "str",
        "float",
        "Results[str]",
        "list[str]",
        "float",
        "list[float]",
        "list[float]",
        "str | TaskError",
        "tuple[float, str, list[str]]",
        "Task[float]",
        "list[str]",
    ], done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, errors
    assert 'Argument 1 to "start" of "Task" has incompatible type "str"' in errors[0]
    assert "require at least one argument" in errors[1]
