"""Every type of error that an envelope can name, once, with its exit code and what a person sees."""

import json

import pytest

# type: (program, exit code, state, a part of the message)
CASES = {
    "task_error": ("@task(max_retries=0)\ndef main(): raise LookupError('not there')", 1, "failed", "not there"),
    "timeout": (
        "@task(compute='HIGH', timeout='200ms', max_retries=0)\ndef main():\n    while True: pass",
        124,
        "timed_out",
        "",
    ),
    "out_of_fuel": ("@task(compute='LOW', max_retries=3)\ndef main():\n    while True: pass", 1, "failed", "compute"),
    "out_of_memory": ("@task(ram='64MB', max_retries=0)\ndef main(): return len(bytearray(10**8))", 1, "failed", ""),
    "trap": ("@task(max_retries=0)\ndef main(): os.abort()", 1, "failed", ""),
    "policy": ("@task(max_retries=3)\ndef main():\n    while True: os.write(2, b'x' * 1000000)", 1, "failed", "MiB"),
    "bad_input": ("@task(max_retries=3)\ndef main(a): pass", 1, "failed", "'a'"),
    "bad_output": ("@task(max_retries=3)\ndef main(): return {1, 2}.pop", 1, "failed", "result"),
}


@pytest.mark.parametrize("kind", CASES)
def test_type(capsule, program, kind):
    code, exit_code, state, part = CASES[kind]
    result = capsule("run", program(code), "--json")
    assert result.returncode == exit_code
    envelope = json.loads(result.stdout)
    assert (envelope["success"], envelope["result"]) == (False, None)
    assert envelope["error"]["type"] == kind
    assert part in envelope["error"]["message"]
    assert envelope["execution"]["state"] == state
    assert envelope["execution"]["retries"] == 0
    assert f"error: {kind}: " in result.stderr


def test_not_found(capsule, program):
    result = capsule("run", program("@task\ndef main(): pass"), "--task", "nope", "--json")
    assert result.returncode == 2
    assert json.loads(result.stdout)["error"]["type"] == "not_found"


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("out_of_fuel", 'compute: "HIGH"'),
        ("out_of_memory", 'ram, such as "1GB"'),
        ("timeout", 'timeout, such as "5m"'),
    ],
)
def test_hints(capsule, program, kind, hint):
    text = capsule("run", program(CASES[kind][0])).stderr
    assert hint in text[text.index("hint: ") :]


def test_traceback_names_the_users_file_and_lines(capsule, program):
    file = program(
        """
        def helper(n):
            return 10 / n

        @task(max_retries=0)
        def main():
            return helper(0)
        """
    )
    text = capsule("run", file).stderr
    assert "Traceback (most recent call last):\n" in text
    assert 'main.py", line 7, in main' in text
    assert 'main.py", line 3, in helper' in text
    assert "    return 10 / n\n" in text
    assert text.rstrip().endswith("error: task_error: division by zero") or "ZeroDivisionError" in text
    assert "/project/" not in text


def test_traceback_of_a_child(capsule, program):
    file = program(
        """
        @task(max_retries=0)
        def child():
            raise ValueError("deep inside")

        @task(max_retries=0)
        def main():
            child()
        """
    )
    text = capsule("run", file).stderr
    assert "deep inside" in text
    assert 'main.py", line 4' in text
    assert 'main.py", line 8' in text


def test_terminal_escapes_in_a_message_do_no_harm(capsule, program):
    result = capsule("run", program("@task(max_retries=0)\ndef main(): raise ValueError('\\x1b]0;title\\x07\\x9b')"))
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
    assert "\\x1b]0;title\\x07" in result.stderr


def test_long_messages_are_shown_once(capsule, program):
    result = capsule("run", program("@task(max_retries=1)\ndef main(): raise ValueError('x' * 5000)"), "--verbose")
    assert result.stderr.count("x" * 5000) == 1
    assert len(result.stderr) < 7500


def test_calls_nest_to_a_stated_depth(capsule, program):
    file = program("@task(max_retries=0)\ndef main(n):\n    return 0 if n == 0 else 1 + main(n - 1)")
    assert capsule("run", file, "100").stdout == "100\n"
    result = capsule("run", file, "200")
    assert result.returncode == 1
    assert "task calls are nested more than 128 deep" in result.stderr


def test_exit_of_the_process(capsule, program):
    for code in ("os._exit(3)", "sys.exit(3)", "raise SystemExit"):
        result = capsule("run", program(f"@task(max_retries=0)\ndef main(): {code}"))
        assert result.returncode == 1
        assert "error: task_error: " in result.stderr


def test_retries_are_counted(capsule, program):
    result = capsule("run", program("@task(max_retries=2)\ndef main(): 1 / 0"), "--json")
    assert json.loads(result.stdout)["execution"]["retries"] == 2


def test_a_failing_child_leaves_its_parent_alone(capsule, program):
    file = program(
        """
        @task(max_retries=0, compute="LOW", ram="64MB", timeout="10s")
        def child(what):
            exec(what)

        @task
        def main():
            ends = []
            for what in ["1/0", "os._exit(1)", "os.abort()", "bytearray(10**9)", "while True: pass"]:
                try:
                    child(what)
                except TaskError as e:
                    ends.append(e.type)
            return ends
        """
    )
    result = capsule("run", file)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == ["task_error", "task_error", "trap", "out_of_memory", "out_of_fuel"]
