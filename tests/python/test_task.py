"""The decorator and Task outside of a sandbox: plain functions with a name and options."""

import asyncio
import inspect
import subprocess
import sys

import capsule
import pytest
from capsule import NonRetryable, Task, TaskError, task
from capsule._task import registry


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
