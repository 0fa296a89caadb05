"""The Python guest for real: programs of tests/guest/ in sandboxes, through the program."""

import json
import shutil
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent.parent / "guest"


@pytest.fixture
def run(run_program):
    """run("file.py", *arguments, task=…) -> the result; the run must succeed."""
    return lambda file, *arguments, **keywords: run_program(PROGRAMS / file, *arguments, **keywords)


@pytest.fixture
def fails(capsule, tmp_path):
    """fails(source) -> (error, stderr) of a program that must fail, written to main.py."""

    def call(source, *, name="main.py", **keywords):
        file = tmp_path / name
        file.write_text(source)
        done = capsule("run", file, "--json", **keywords)
        assert done.returncode != 0
        return json.loads(done.stdout)["error"], done.stderr

    return call


def assert_unique(one, two):
    for key in one:
        assert (one[key] == two[key]) is key.startswith(("same", "node")) or key == "node", key


def test_sandboxes_of_one_image_differ(run):
    one, two = run("unique.py", "3", task="seeds")[:2]
    assert len({json.dumps(x) for x in (one, two)}) == 2
    first, second = run("unique.py"), run("unique.py")
    assert_unique(first, second)
    assert first["node"] != second["node"]


def test_nothing_is_left_behind(run):
    result = run("state.py", env={"FOR_LEFT": "secret"})
    assert result["left"] == [[[1], {"n": 1}, "secret", "/"], [[2], {"n": 1}, "secret", "/"]]
    assert result["right"] == [[], {"n": 0}, {}, False, "/project", ["/project/state.py"], "state"]


def test_context(run):
    result = run("state.py", env={"FOR_LEFT": ""})
    one, two = result["who"]
    assert one[0] == two[0] == result["me"]
    assert one[2:4] == ["who", 1]
    assert one[5] is True
    assert one[1] != two[1]
    assert one[4] != two[4]


def test_remaining_fuel_falls(capsule, tmp_path):
    (tmp_path / "main.py").write_text(
        "from capsule import context, task\n"
        "@task(compute=50_000_000)\n"
        "def main():\n"
        "    first = context().remaining_fuel\n"
        "    sum(range(10_000))\n"
        "    return [first, context().remaining_fuel]\n"
    )
    first, second = json.loads(capsule("run", "main.py").stdout)
    assert 0 < second < first < 50_000_000


def test_values_between_tasks(run):
    assert run("values.py", task="inner") == []


def test_values_to_the_outside(run):
    assert run("values.py") == {
        "none": None,
        "big": 2**100,
        "float": 1.5,
        "text": 'é\U0001f600\x00"\\',
        "bytes": "AP8=",
        "datetime": "2026-01-02T03:00:00+00:00",
        "date": "2026-01-02",
        "time": "03:04:00",
        "set": [1, 2, 3],
        "pairs": [[1, 2]],
        "dollar": {"$bytes": "not bytes"},
        "list": [[], {}, [""]],
        "tuple": [1, 2],
        "point": {"x": 1, "data": "AQ=="},
        "colour": "red",
        "decimal": "1.10",
        "uuid": "00000000-0000-0000-0000-000000000001",
    }


def test_values_from_the_outside(run):
    for value in ({"$bytes": "AA=="}, {"$x": [1]}, [], "text", 1.5, None):
        assert run("values.py", json.dumps(value), task="echo") == value


def test_values_that_can_not_cross(run):
    assert run("values.py", task="refusals") == {
        "nan out": ["bad_output", "result.items[1].price: the number is NaN, which JSON doesn't have"],
        "cycle out": ["bad_output", "result[0]: a list that contains itself, which JSON can't say"],
        "nan in": ["bad_input", "argument value[1]: the number is Infinity, which JSON doesn't have"],
        "object in": [
            "bad_input",
            "argument value.a: an object object isn't a JSON value (nor bytes, a date or time, a set or a dataclass)",
        ],
        "count": ["bad_input", "echo(): missing a required argument: 'value'"],
        "keyword": ["bad_input", "echo(): got an unexpected keyword argument 'other'"],
    }


def test_large_values(run, capsule):
    assert run("values.py", "20", task="megabytes") is True
    done = capsule("run", PROGRAMS / "values.py", "--json", "--task", "megabytes", "80")
    assert "80 MB of arguments" in json.loads(done.stdout)["error"]["message"]


def test_asyncio(run):
    assert run("asynchronous.py") == [
        2,
        2,
        [4, 6],
        ["task_error", "ValueError", "from a coroutine"],
        90,
        [8, "slept"],
        [0, 1, 2],
    ]


def test_waiting(run_program, tmp_path):
    file = shutil.copy(PROGRAMS / "waiting.py", tmp_path)  # where its runs can be recorded
    assert run_program(file) == []
    assert run_program(file, task="signals") == []


def test_a_loop_that_nothing_can_wake(capsule):
    done = capsule("run", PROGRAMS / "asynchronous.py", "--task", "stuck")
    assert done.returncode == 1
    assert "nothing can ever wake this event loop" in done.stderr


def test_failures(run):
    outcomes = run("failing.py")
    expected = {
        "exits": ["task_error", "SystemExit"],
        "leaves": ["task_error", "SystemExit"],
        "hungry": ["out_of_memory", None],
        "deep_python_uncaught": ["task_error", "RecursionError"],
        "deep_result": ["bad_output", None],
        "huge_message": ["task_error", "ValueError"],
        "broken_str": ["task_error", "Odd"],
        "wrong_arguments": ["task_error", "TaskError"],
        "non_retryable": ["task_error", "NonRetryable"],
        "retried": ["task_error", "ValueError"],
        "parent_of_non_retryable": ["task_error", "TaskError"],
    }
    for name, start in expected.items():
        assert outcomes[name][:2] == start, name
    for name in ("survives_hunger", "deep_python", "deep_c", "deep_comparison"):
        assert outcomes[name] == "caught", name
    assert outcomes["huge_message"][2] <= 64 * 1024
    retries = {name: outcome[3] for name, outcome in outcomes.items() if isinstance(outcome, list)}
    assert {name for name, n in retries.items() if n} == {"retried"}
    assert retries["retried"] == 1


def test_what_can_not_work_says_so(run):
    outcomes = run("refused.py")
    for name, outcome in outcomes.items():
        assert outcome is not None, f"{name} went through"
        if name.startswith("import "):
            assert outcome[0] == "ModuleNotFoundError", name
            assert (
                " in a sandbox" in outcome[1] or "a sandbox doesn't have" in outcome[1] or "built without" in outcome[1]
            )
        else:
            assert "in a sandbox" in outcome[1], (name, outcome)
    assert "capsule.http" in outcomes["import ssl"][1]
    assert "capsule.http" in outcomes["urllib"][1]
    assert outcomes["thread"][0] == "RuntimeError"
    assert outcomes["socket"][0] == outcomes["subprocess"][0] == "OSError"


def test_modules_that_only_need_them_to_be_there(run):
    assert "http.server" in run("refused.py", task="works")


def test_standard_library(run):
    assert run("library.py") == {}


# --- import errors


@pytest.mark.parametrize(
    ("source", "name", "lines"),
    [
        (
            "x = (1,\ny = 2\n",
            "SyntaxError",
            ['  File "main.py", line 1', "    x = (1,", "        ^", "SyntaxError: '(' was never closed"],
        ),
        (
            "import no_such_module\n",
            "ModuleNotFoundError",
            [
                "Traceback (most recent call last):",
                '  File "main.py", line 1, in <module>',
                "    import no_such_module",
                "ModuleNotFoundError: No module named 'no_such_module'",
            ],
        ),
        (
            "def f():\n    return {}['k']\nf()\n",
            "KeyError",
            [
                "Traceback (most recent call last):",
                '  File "main.py", line 3, in <module>',
                "    f()",
                "    ~^^",
                '  File "main.py", line 2, in f',
                "    return {}['k']",
                "           ~~^^^^^",
                "KeyError: 'k'",
            ],
        ),
        (
            "import socket\n",
            "ModuleNotFoundError",
            [
                "Traceback (most recent call last):",
                '  File "main.py", line 1, in <module>',
                "    import socket",
                "ModuleNotFoundError: import of 'socket': sockets can't work in a sandbox; for HTTP use capsule.http",
            ],
        ),
    ],
)
def test_import_errors_look_like_python_s(fails, source, name, lines):
    error, stderr = fails(source)
    assert "\n".join(lines) in stderr
    assert error.get("class", name) == name


def test_decorator_errors_name_the_line(fails):
    _, stderr = fails("from capsule import task\n\n@task(memory='1GB', max_retrys=1)\ndef main():\n    pass\n")
    assert 'File "main.py", line 3' in stderr
    assert "task() has no option 'memory'" in stderr
    _, stderr = fails("from capsule import task\n@task\ndef a(): pass\n@task(name='a')\ndef b(): pass\n")
    assert "two tasks are named 'a'" in stderr
    assert "main.py:2" in stderr
    assert "main.py:4" in stderr


def test_a_task_called_at_top_level(fails):
    _, stderr = fails("from capsule import task\n@task\ndef main(): pass\nmain()\n")
    assert "can't call tasks" in stderr
    assert 'File "main.py", line 4' in stderr
