"""Ctrl-C and its relatives: running tasks end, the user is told which, nothing stays behind."""

import json
import os
import signal
import socket
import time

import pytest

BUSY = "@task(compute='HIGH')\ndef main():\n    print('ready')\n    while True: pass"
ASLEEP = "@task\ndef main():\n    print('ready')\n    time.sleep(600)"
NESTED = """
@task(compute="HIGH")
def child():
    print("ready")
    while True: pass

@task
def main():
    child()
"""


PARALLEL = """
@task(compute="HIGH")
def busy():
    while True: pass

@task
def asleep():
    time.sleep(600)

@task
def main():
    handles = [busy.start() for _ in range(4)] + [asleep.start() for _ in range(26)]
    print("ready")
    for handle in handles: handle.result()
"""


def interrupt(process, number=signal.SIGINT):
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("code", [BUSY, ASLEEP])
def test_one_task(capsule_start, program, code, number):
    exit_code, out, err = interrupt(capsule_start("run", program(code)), number)
    assert (exit_code, out) == (130, "")
    assert err.startswith("interrupted: #1 main after ")
    if number == signal.SIGINT:
        assert err.count("\n") == 1
    else:  # it wasn't a person who wanted the run to end
        assert err.splitlines()[1].startswith("hint: what is on record isn't lost: capsule resume ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_process_leaves_its_run(capsule, capsule_start, program, number, tmp_path):
    file = program("""
        @task
        def quick(n): return n

        @task(allowed_files=["."])
        def main():
            total = sum(quick(n) for n in range(3))
            if not os.path.exists("go"):
                print("ready", flush=True)
                time.sleep(600)
            return total
    """)
    process = capsule_start("run", file, "--run-id", "left")
    interrupt(process, number)
    (row,) = json.loads(capsule("ps", "--json").stdout)
    assert (row["state"], row["pid"]) == ("interrupted", None)
    (tmp_path / "go").touch()
    done = capsule("resume", "left")
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_an_unrecorded_run_is_cancelled(capsule_start, program):
    exit_code, _, err = interrupt(capsule_start("run", program(ASLEEP), "--no-journal"), signal.SIGTERM)
    assert (exit_code, err.count("\n")) == (130, 1)


def test_all_that_ran_are_named(capsule_start, program):
    exit_code, _, err = interrupt(capsule_start("run", program(NESTED)))
    assert exit_code == 130
    assert err.startswith("interrupted: ")
    assert "#1 main after " in err
    assert "#2 child after " in err


def test_many_in_parallel(capsule_start, program):
    exit_code, out, err = interrupt(capsule_start("run", program(PARALLEL), "--verbose"))
    assert (exit_code, out) == (130, "")
    counts, interrupted = err.splitlines()[-2:]
    assert counts == "31 tasks: 31 cancelled"
    assert interrupted.startswith("interrupted: ")
    assert interrupted.count("#") == 10
    assert interrupted.endswith(" and 21 more")
    states = [line.split()[4] for line in err.splitlines()[:-2] if "  cancelled  " in line]
    assert len(states) == 31
    assert "#1 main  cancelled" in err.splitlines()[-3]  # children end first


def test_while_a_request_waits(capsule_start, program):
    """The server has taken the request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        code = f"""
            from capsule.http import get

            @task(allowed_hosts=["{host}"])
            def main():
                print("ready")
                get("http://{host}/")
            """
        process = capsule_start("run", program(code), "--verbose")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(3) == b"GET"
            exit_code, out, err = interrupt(process)
    assert (exit_code, out) == (130, "")
    assert f"#1 main  GET http://{host}/  no response" in err
    assert err.splitlines()[-1].startswith("interrupted: #1 main after ")


def test_a_parent_cannot_go_on(capsule_start, program):
    """A task that catches the end of its child is cancelled all the same."""
    code = NESTED.replace(
        "    child()", "    while True:\n        try: child()\n        except BaseException: print('caught')"
    )
    exit_code, out, _ = interrupt(capsule_start("run", program(code)))
    assert (exit_code, out) == (130, "")


def test_envelope(capsule_start, program):
    process = capsule_start("run", program(BUSY), "--json")
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    envelope = json.loads(out)
    assert (envelope["success"], envelope["error"]["type"]) == (False, "cancelled")
    assert envelope["execution"]["state"] in ("cancelled", "interrupted")
    assert err.startswith("interrupted: ")


def test_no_retry_after_it(capsule_start, program):
    code = BUSY.replace("compute='HIGH'", "compute='HIGH', max_retries=5")
    exit_code, out, _ = interrupt(capsule_start("run", program(code)))
    assert (exit_code, out) == (130, "")


def test_while_waiting_for_a_retry(capsule_start, program):
    code = "@task(max_retries=1000)\ndef main():\n    print('ready')\n    raise ValueError"
    process = capsule_start("run", program(code))
    for _ in range(4):  # the pauses have become long enough to be hit
        assert process.stdout.readline() == "ready\n"
    exit_code, _, _ = interrupt(process)
    assert exit_code == 130


def test_while_importing(capsule_start, program):
    """An endless loop at the top level of a module is ended like any other."""
    process = capsule_start("run", program("print('ready')\nwhile True: pass"))
    with pytest.raises(Exception):  # noqa: B017 - TimeoutExpired: it's still busy
        process.wait(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err


def test_while_the_guest_is_compiled(capsule_start, program, tmp_path):
    """The first run on a machine compiles the interpreter, which takes a second or more."""
    cache = tmp_path / "cache"
    process = capsule_start("run", program(BUSY), "--verbose", env={"CAPSULE_CACHE": str(cache)})
    assert "compiling" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert os.listdir(cache / "tmp") == []


def test_twice(capsule_start, program):
    """When the output has no room, the first signal can't get through to the task; the second ends the process."""
    process = capsule_start("run", program("@task(compute='HIGH')\ndef main():\n    while True: print('x' * 10000)"))
    time.sleep(1)  # the pipe is full now, and nobody reads
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


def test_what_was_ignored_stays_ignored(capsule_start, program):
    process = capsule_start(
        "run",
        program("@task\ndef main():\n    print('ready'); time.sleep(0.5); return 'survived'"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert interrupt(process, signal.SIGHUP) == (0, "survived\n", "")
