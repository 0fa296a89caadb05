"""Parallel tasks and asyncio in real sandboxes: tests/guest/parallel.py, ordinary_asyncio.py, through the program."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ROOT / "tests" / "guest"

CANCELLED = ["cancelled", None, "its caller cancelled it", "sleep"]
NO_OBJECT = "argument {}: an object object isn't a JSON value (nor bytes, a date or time, a set or a dataclass)"


@pytest.fixture
def parallel(capsule):
    """parallel(task, *arguments) -> result of a task of parallel.py; nothing but the result may be printed."""

    def call(task, *arguments):
        done = capsule("run", PROGRAMS / "parallel.py", "--task", task, *map(str, arguments))
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return call


def test_handles(parallel):
    assert parallel("handles") == {
        "results": [8, 10, 8, True, "double", False],
        "keywords": 3,
        "timeout": ["TimeoutError", "task 'sleep' isn't done after 0.001 s"],
        "running": [False, ["TimeoutError", "task 'sleep' isn't done after 0 s"], "<handle of task 'sleep', running>"],
        "cancel": [True, CANCELLED, CANCELLED, True, False],
        "cancelled": "<handle of task 'sleep', failed>",
        "failed": [["task_error", "ValueError", "3", "third_fails"]] * 2 + [True, False],
        "arguments": [["bad_input", None, NO_OBJECT.format("x"), "double"], "bad_input"],
        "cancelled while retried": [True, "cancelled"],
        "run by a loop later": 8,
    }


def test_handles_are_awaited_as_coroutines_are(parallel):
    assert parallel("awaited") == {
        "await": [2, 4],
        "await twice": [6, 6, 6],
        "gather": [2, 4, 3, 6, 6],
        "group": [2, 4, 6],
        "as_completed": [0, 2, 4, 6, 8],
        "in the order of completion": ["quick", "slow"],
        "wait": [0, 2, 4],
        "wait_for": 16,
        "two tasks, one handle": ["x", "x", "x"],
        "blocking in a coroutine": [2, 4, [6]],
        "failure": "task_error",
        "repr": [True, True, 2],
    }


def test_cancelling_a_coroutine_cancels_the_task_that_it_awaits(parallel):
    assert parallel("cancelled") == {
        "wait_for": ["TimeoutError", "cancelled", True],
        "task": ["CancelledError", "cancelled"],
        "create_task": ["CancelledError", "cancelled"],
        "before it awaits": ["CancelledError", True],
        "shield": ["TimeoutError", "saved"],
        "another waits, too": ["CancelledError", "cancelled"],
        "by another coroutine": "cancelled",
        "group": [["task_error"], "cancelled"],
        "plain call": "TimeoutError",
        "reply in time": ["CancelledError", 2],
    }


def test_map(parallel):
    assert parallel("maps") == {
        "sequence": [[0, 2, 4, 6, 8], 5, 2, [2, 4], [0, 2, 4, 6, 8], [0, 2, 4, 6, 8], True],
        "equal": [True, False, "[0, 2, 4, 6, 8]"],
        "result": [[2], [2, 4]],
        "none": [[], 0],
        "tuples": [[[1, 2], [3]], [3, 103], ["a", "b"]],
        "order": ["a", "b", "c"],
        "a slow one": ["TimeoutError", "the map of task 'sleep_list' isn't done after 0.001 s"],
        "bounded": [2 * i for i in range(50)],
        "wrong bound": [
            ["ValueError", "concurrency is 0; at least one task has to run"],
            ["TypeError", "'int' object is not iterable"],
        ],
        "as an argument": [2, 4],
    }


def test_map_in_coroutines(parallel):
    assert parallel("amaps") == {
        "await": [[0, 2, 4], [0, 2, 4], []],
        "gather": [[2], [2]],
        "async for": [0, 2, 4, 6, 8],
        "twice": [[2, 4]] * 4,
        "sync in a coroutine": [[2, 4], 1],
        "not awaited": [14],
        "wait_for": ["TimeoutError", "cancelled"],
        "cancel": [False, True, "cancelled", False, True],
        "other coroutines run": True,
    }


def test_maps_that_fail(parallel):
    assert parallel("failing_maps") == {
        "first failure": ["task_error", "ValueError", "3", "third_fails"],
        "exceptions": [["TaskError", "0"], 1, 2, ["TaskError", "3"]],
        "iterator fails": [["KeyError", "'k'"], ["KeyError", "'k'"]],
        "argument can't cross": ["bad_input", None, NO_OBJECT.format("value"), "echo"],
        "it is kept": [1, "bad_input", 3],
        "starmap": [["TypeError", "'int' object is not iterable"], "bad_input"],
    }
    assert parallel("failure_ends_the_others") == [
        ["task_error", "NonRetryable", "on purpose", "fail_after_or_sleep"],
        True,
    ]


def test_lazy_maps(parallel):
    assert parallel("lazily") == [
        [2 * i for i in range(10)],
        True,
        [20, 22, 24],
        ["RuntimeError", "these results were taken by iterating over them, which keeps nothing"],
        [["a", 2], ["b", 4], ["c", 6]],
        0,
        [2, 4, 6],
        ["TypeError", "results that were iterated over have no length; they weren't kept"],
    ]
    assert parallel("pipeline") == [4 * i for i in range(20)]


def test_a_map_that_nobody_waits_for(capsule):
    done = capsule("run", PROGRAMS / "parallel.py", "--task", "dropped")
    assert (done.returncode, done.stdout) == (0, "returned\n")
    assert "RuntimeWarning: a map of task 'double' was cancelled: nobody waited for its results" in done.stderr
    assert "double.map(iter([1, 2]))" in done.stderr


def test_nesting(parallel):
    assert parallel("nested", 5) == 3**5
    assert parallel("depth") == ["task_error", "TaskError", 128, True]


def test_values(parallel):
    assert parallel("values") == [True, True, [5_000_000] * 3, True]


def test_host_functions(parallel):
    assert parallel("host_functions") == [[], [], "TypeError", "OverflowError", "LookupError", "LookupError"]


def test_many(parallel):
    assert parallel("many", 20_000) == 20_000 * 19_999
    assert parallel("many_started", 10_000) == 10_000 * 9999
    assert parallel("many_fail", 10_000) == [True, True]


def test_a_thousand_that_sleep_take_as_long_as_a_few(parallel):
    assert 1 <= parallel("many_sleep", 1000) < 10


def test_replies_of_cancelled_tasks_are_taken(parallel):
    assert parallel("many_cancelled", 17_000) == 2


@pytest.mark.parametrize("task", ["forgets", "leaves_coroutines"])
def test_forgotten_tasks_end_with_their_parent(capsule, task):
    done = capsule("run", PROGRAMS / "parallel.py", "--json", "--task", task)
    assert json.loads(done.stdout)["result"] == "returned"


# --- ordinary asyncio


@pytest.fixture(scope="module")
def natively():
    """What plain Python, of the version in the sandbox, makes of the programs."""
    python = (ROOT / "build" / "lib" / "capsule" / "python.native").read_text().strip()
    code = "import json, ordinary_asyncio; print(json.dumps(ordinary_asyncio.run_all()))"
    done = subprocess.run([python, "-B", "-c", code], cwd=PROGRAMS, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_ordinary_programs_run_unchanged(capsule, natively):
    done = capsule("run", PROGRAMS / "ordinary_asyncio.py")
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(done.stdout)
    assert results.keys() == natively.keys()
    for name, result in results.items():
        assert result == natively[name], name


def test_ordinary_programs_run_on_the_loop_of_a_task(capsule, natively):
    done = capsule("run", PROGRAMS / "ordinary_asyncio.py", "--task", "on_loops_of_tasks")
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(done.stdout)
    assert len(results) > 15
    for name, result in results.items():
        assert result == natively[name], name
