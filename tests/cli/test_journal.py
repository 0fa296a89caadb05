"""Recorded runs from the command line: looking at them, going on with them, ending them, removing them."""

import json
import os
import pty
import re
import signal
import sqlite3
import time

import pytest

PAIR = """
@task
def child(n: int) -> int:
    print("child", n)
    print("oh", file=sys.stderr)
    return n * 2

@task
def main(n: int = 2):
    return [child(i) for i in range(n)]
"""

# Each step leaves a line in a file: what is done twice shows.
STEPS = """
import capsule

@task(allowed_files=["./steps"])
def step(name: str) -> str:
    with open("./steps/done", "a") as f:
        f.write(name + "\\n")
    return name.upper()

@task(compute="HIGH", allowed_files=["./steps"])
def main(how: str = "wait"):
    done = [step("a"), step("b")]
    print("ready", flush=True)
    if how == "wait":
        done.append(capsule.wait_signal("approval"))
    elif how == "sleep":
        capsule.sleep("1s")
    elif how == "spin":
        while not os.path.exists("./steps/go"): pass
    elif how == "fail":
        raise ValueError("no more")
    return done + [step("c")]
"""

BUSY = "@task(compute='HIGH')\ndef main():\n    print('ready', flush=True)\n    while True: pass"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture
def steps(program, tmp_path):
    """The program of steps, and what tells which were done."""
    (tmp_path / "steps").mkdir()
    file = program(STEPS)

    def done():
        path = tmp_path / "steps" / "done"
        return path.read_text().split() if path.exists() else []

    return file, done


@pytest.fixture
def runs(capsule):
    """The runs of the project, newest first."""

    def read(*options):
        result = capsule("ps", "--json", "--all", *options)
        assert (result.returncode, result.stderr) == (0, "")
        return json.loads(result.stdout)

    return read


@pytest.fixture
def show(capsule):
    def read(run):
        result = capsule("show", run, "--json")
        assert (result.returncode, result.stderr) == (0, "")
        return json.loads(result.stdout)

    return read


def refused(result, message, hint="", code=2):
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert hint in result.stderr


def begin(capsule_start, *words, line="ready\n"):
    """A process whose program has printed its line."""
    process = capsule_start(*words)
    while True:
        read = process.stdout.readline()
        assert read, process.stderr.read()
        if read == line:
            return process


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


# --- looking


def test_runs_are_recorded(capsule, program, tmp_path, runs):
    assert capsule("run", program(PAIR)).returncode == 0
    (run,) = runs()
    assert re.fullmatch(UUID, run["run_id"])
    assert (run["task"], run["state"], run["waits_for"], run["pid"]) == ("main", "completed", None, None)
    assert run["entry"].endswith("main.py")
    assert run["begun"] < run["ended"]
    assert run["duration_ms"] > 0
    assert (tmp_path / ".capsule" / ".gitignore").read_text() == "*\n"
    assert os.stat(tmp_path / ".capsule").st_mode & 0o777 == 0o700


def test_not_recorded(capsule, program, tmp_path):
    result = capsule("run", program(PAIR), "--no-journal")
    assert (result.returncode, result.stdout) == (0, "child 0\nchild 1\n[0,2]\n")
    assert not (tmp_path / ".capsule").exists()
    refused(capsule("ps"), "no run has been recorded here", "`capsule run` records runs")
    refused(capsule("ps", "--project", "nowhere"), "can't look into nowhere: No such file")


def test_ps(capsule, program):
    program(PAIR)
    capsule("run", "main.py", "--run-id", "first")
    capsule("run", "main.py", "--run-id", "second", '"x"')
    result = capsule("ps")
    title, second, first = result.stdout.splitlines()
    assert title.split() == ["RUN", "STATE", "PROGRAM", "TASK", "AGE", "TIME", "WAITS", "FOR"]
    assert second.split()[:4] == ["second", "failed", "main.py", "main"]
    assert first.split()[:4] == ["first", "completed", "main.py", "main"]
    assert title.index("STATE") == second.index("failed") == first.index("completed")
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())
    assert result.stderr == ""


def test_ps_filters(capsule, program, runs):
    program(PAIR)
    program(PAIR, "other.py")
    for i in range(3):
        capsule("run", "main.py", "--run-id", f"run-{i}", "0" if i else '"x"')
    capsule("run", "other.py", "--run-id", "other")
    assert [r["run_id"] for r in runs()] == ["other", "run-2", "run-1", "run-0"]
    assert [r["run_id"] for r in runs("--state", "failed")] == ["run-0"]
    assert [r["run_id"] for r in runs("--entry", "other.py")] == ["other"]
    assert len(json.loads(capsule("ps", "--json", "--limit", "2").stdout)) == 2
    result = capsule("ps", "--limit", "3")
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr == "there are more; --all lists them\n"
    result = capsule("ps", "--state", "suspended")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "no runs\n")


def test_from_below_and_from_elsewhere(capsule, program, tmp_path):
    (tmp_path / "project" / "deep").mkdir(parents=True)
    program(PAIR, "project/main.py")
    assert capsule("run", "project/main.py", "--run-id", "here").returncode == 0
    assert "here" in capsule("ps", cwd=tmp_path / "project" / "deep").stdout
    refused(capsule("ps"), "no run has been recorded here")
    assert "here" in capsule("ps", "--project", "project/deep").stdout
    assert capsule("logs", "here", "--project", "project").stdout == "child 0\nchild 1\n"


def test_show(capsule, program, show):
    program(PAIR)
    capsule("run", "main.py", "--run-id", "shown")
    head, _, tree = capsule("show", "shown").stdout.partition("\n\n")
    assert head.splitlines()[:3] == ["run       shown", "program   main.py, task main", "state     completed"]
    assert "tasks     3: 3 completed\nresult    [0,2]" in head
    lines = tree.splitlines()
    assert re.fullmatch(r"#1 main +completed +[\d.]+ ms  fuel \d+  ram [\d.]+ MB", lines[0])
    assert re.fullmatch(r"├─ #2 child  completed +[\d.]+ ms  fuel \d+  ram [\d.]+ MB", lines[1])
    assert lines[2].startswith("└─ #3 child  completed ")
    view = show("shown")
    assert (view["result"], view["error"], view["resumed"], view["waits"]) == ([0, 2], None, 0, [])
    assert [t["key"] for t in view["tasks"]] == ["shown/1", "shown/1.1", "shown/1.2"]
    assert [t["parent"] for t in view["tasks"]] == [None, 1, 1]
    assert all(t["fuel"] > 0 and t["ram"] > 0 and t["attempts"] == 1 for t in view["tasks"])


def test_show_what_went_wrong(capsule, program, show):
    program("""
        @task(max_retries=2)
        def flaky():
            if context().attempt < 3: raise ValueError("not\\x1b yet")
            return 1

        @task(max_retries=0)
        def broken(): raise KeyError("gone")

        @task(max_retries=0)
        def main():
            flaky()
            broken()
        """)
    assert capsule("run", "main.py", "--run-id", "wrong").returncode == 1
    text = capsule("show", "wrong").stdout
    assert "attempt 1 failed, the next after " in text
    assert "not\\x1b yet" in text
    assert "3 attempts" in text
    assert re.search(r"└─ #3 broken +failed .*\n +task_error: KeyError: ", text)
    view = show("wrong")
    assert [r["attempt"] for r in view["tasks"][1]["retries"]] == [1, 2]
    assert view["tasks"][2]["error"]["class"] == "KeyError"
    assert view["error_type"] == view["error"]["type"] == "task_error"


def test_show_cuts_long_lists(capsule, program):
    program("""
        @task(max_retries=0)
        def child(n):
            if n == 40: raise ValueError
            return n

        @task
        def main():
            for n in range(60):
                try: child(n)
                except TaskError: pass
        """)
    capsule("run", "main.py", "--run-id", "long")
    text = capsule("show", "long").stdout
    assert "│  … 30 more\n├─ #42 child  failed" in text
    assert text.count(" child ") == 16
    assert capsule("show", "long", "--all").stdout.count(" child ") == 60


def test_show_requests(capsule, program, show):
    program("""
        from capsule.http import get
        @task(allowed_hosts=["127.0.0.1:1"], max_retries=0)
        def main():
            try: get("http://127.0.0.1:1/?secret=1")
            except Exception as e: return type(e).__name__
        """)
    assert capsule("run", "main.py", "--run-id", "web").returncode == 0
    (request,) = show("web")["tasks"][0]["requests"]
    assert (request["method"], request["status"]) == ("GET", 0)
    assert "secret=1" not in request["url"]
    assert "GET http://127.0.0.1:1/?secret=***  no response" in capsule("show", "web").stdout


def test_logs(capsule, program):
    program(PAIR)
    capsule("run", "main.py", "--run-id", "spoke")
    result = capsule("logs", "spoke")
    assert (result.returncode, result.stdout, result.stderr) == (0, "child 0\nchild 1\n", "oh\noh\n")
    assert capsule("logs", "spoke", "--follow").stdout == result.stdout


def test_logs_are_what_was_written(capsule, program):
    program("""
        @task
        def main():
            sys.stdout.buffer.write(b"\\xff\\x00\\x1b[31m")
            sys.stdout.buffer.write(b"x" * 300000)
        """)
    capsule("run", "main.py", "--run-id", "bytes", text=False)
    result = capsule("logs", "bytes", text=False)
    assert result.stdout == b"\xff\x00\x1b[31m" + b"x" * 300000


def test_logs_follow(capsule, capsule_start, steps, tmp_path):
    process = begin(capsule_start, "run", "main.py", "spin", "--run-id", "slow")
    follower = begin(capsule_start, "logs", "slow", "-f")
    assert follower.poll() is None
    (tmp_path / "steps" / "go").write_text("")
    assert ended(process)[0] == 0
    assert ended(follower) == (0, "", "")


# --- which run is meant


def test_a_beginning_of_the_id(capsule, program):
    program(PAIR)
    for name in ("abcd-1", "abcd-2", "abcd"):
        capsule("run", "main.py", "--run-id", name)
    assert "run       abcd\n" in capsule("show", "abcd").stdout  # the whole id wins
    refused(capsule("show", "abcd-"), "several runs begin with 'abcd-': abcd-2, abcd-1\n", "give more of its id")
    refused(capsule("show", "abc"), "no run has the id 'abc', and 4 characters or more", "did you mean abcd?")
    refused(capsule("logs", "abcd-3"), "no such run: abcd-3\n", "did you mean abcd-")
    refused(capsule("cancel", "something-else"), "no such run: something-else\n", "`capsule ps` lists the runs")
    refused(capsule("resume", "some\x1b[31mthing"), "no such run: some?[31mthing\n")


# --- the same id, the same run


def test_a_finished_run_is_not_run_again(capsule, steps, tmp_path, program):
    _, done = steps
    first = capsule("run", "main.py", "none", "--run-id", "once")
    assert (first.returncode, first.stdout) == (0, 'ready\n["A","B","C"]\n')
    program("this is no program any more")
    again = capsule("run", "main.py", "none", "--run-id", "once")
    assert (again.returncode, again.stdout, again.stderr) == (0, '["A","B","C"]\n', "")
    assert done() == ["a", "b", "c"]
    envelopes = [
        json.loads(capsule(*words, "--json").stdout)
        for words in (("run", "main.py", "--run-id", "once"), ("resume", "once"))
    ]
    assert envelopes[0] == envelopes[1]
    assert envelopes[0]["result"] == ["A", "B", "C"]


def test_a_failed_run_is_not_run_again(capsule, steps):
    _, done = steps
    first = capsule("run", "main.py", "fail", "--run-id", "bad")
    again = capsule("run", "main.py", "fail", "--run-id", "bad")
    assert first.returncode == again.returncode == 1
    assert "error: task_error: ValueError: no more\n" in again.stderr
    # two attempts, the steps of each
    assert done() == ["a", "b", "a", "b"]


def test_ids_of_others(capsule, program):
    program(PAIR)
    program(PAIR, "other.py")
    assert capsule("run", "main.py", "--run-id", "mine").returncode == 0
    refused(capsule("run", "other.py", "--run-id", "mine"), "the run mine belongs to another program: ", "another id")
    refused(capsule("run", "main.py", "--run-id", "a b"), "a run's id has 1 to 128 letters, digits, _, . or -")
    refused(capsule("run", "main.py", "--run-id", ""), "a run's id has 1 to 128 letters")
    refused(capsule("run", "main.py", "--run-id", "x" * 129), "a run's id has 1 to 128 letters")


def test_a_journal_above_is_another_projects(capsule, program, tmp_path):
    program(PAIR)
    assert capsule("run", "main.py", "--run-id", "same").returncode == 0
    program("@task\ndef main(): return 'below'", "below/main.py")
    assert capsule("run", "below/main.py", "--run-id", "same").stdout == "below\n"
    assert (tmp_path / "below" / ".capsule").is_dir()


# --- waiting


def test_suspended(capsule, steps, runs, show):
    _, done = steps
    result = capsule("run", "main.py", "--run-id", "waits")
    assert (result.returncode, result.stdout) == (75, "ready\n")
    assert result.stderr == (
        'suspended: waits for the signal "approval"\n'
        "hint: capsule signal waits approval JSON   (or: capsule resume waits --wait)\n"
    )
    assert done() == ["a", "b"]
    (run,) = runs("--state", "suspended")
    assert run["waits_for"] and run["wake"] is None and run["ended"] is None
    view = show("waits")
    assert [(w["task"], w["kind"], w["name"]) for w in view["waits"]] == [(1, "signal", "approval")]
    assert view["tasks"][0]["state"] == "suspended"
    text = capsule("show", "waits").stdout
    assert "state     suspended: waits for " in text
    assert '│    waits for the signal "approval" since ' in text


def test_signal_goes_on(capsule, steps, runs, show):
    _, done = steps
    assert capsule("run", "main.py", "--run-id", "asks").returncode == 75
    result = capsule("signal", "asks", "approval", '{"ok": true}')
    assert (result.returncode, result.stdout, result.stderr) == (0, '["A","B",{"ok":true},"C"]\n', "")
    assert done() == ["a", "b", "c"]
    assert runs()[0]["state"] == "completed"
    view = show("asks")
    assert [(s["name"], s["value"], s["taken_by"]) for s in view["signals"]] == [("approval", {"ok": True}, 1)]
    assert view["resumed"] == view["suspended"] == 1
    refused(capsule("signal", "asks", "approval"), "the run asks has ended (completed)")


def test_envelope_of_a_suspended_run(capsule, steps):
    result = capsule("run", "main.py", "--run-id", "asks", "--json")
    envelope = json.loads(result.stdout)
    assert result.returncode == 75
    assert (envelope["result"], envelope["error"]) == (None, None)
    assert (envelope["execution"]["state"], envelope["execution"]["run_id"]) == ("suspended", "asks")


@pytest.mark.parametrize(
    ("words", "keywords", "value"),
    [
        (["approval"], {}, "null"),
        (["approval", "-"], {"input": "[1, 2]"}, "[1,2]"),
        (["approval", '"yes"'], {}, '"yes"'),
    ],
)
def test_values_of_signals(capsule, steps, words, keywords, value):
    capsule("run", "main.py", "--run-id", "asks")
    result = capsule("signal", "asks", *words, **keywords)
    assert (result.returncode, result.stdout) == (0, f'["A","B",{value},"C"]\n'), result.stderr


def test_values_that_are_not_json(capsule, steps):
    capsule("run", "main.py", "--run-id", "asks")
    refused(capsule("signal", "asks", "approval", "yes"), "the signal's value isn't JSON: ", "'\"yes\"'")
    refused(capsule("signal", "asks", "approval", "{ok: 1}"), "the signal's value isn't JSON: ", "a shell takes quotes")
    refused(capsule("signal", "asks", "approval", "-", input=""), "the signal's value isn't JSON: ")
    refused(capsule("signal", "asks", "", "1"), "a signal's name has 1 to 128 bytes")
    refused(capsule("signal", "asks", "n" * 129, "1"), "a signal's name has 1 to 128 bytes")


def test_signal_without_resuming(capsule, steps):
    capsule("run", "main.py", "--run-id", "asks")
    result = capsule("signal", "asks", "approval", "1", "--no-resume")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "left for the run asks, which is suspended\n")
    assert "signals   approval (not taken)" in capsule("show", "asks").stdout
    assert capsule("resume", "asks").stdout == '["A","B",1,"C"]\n'


def test_another_signal_is_kept(capsule, steps):
    capsule("run", "main.py", "--run-id", "asks")
    assert capsule("signal", "asks", "unknown", "1").returncode == 75
    assert capsule("signal", "asks", "approval", "2").stdout == '["A","B",2,"C"]\n'


def test_signal_to_a_living_process(capsule, capsule_start, steps):
    process = begin(capsule_start, "run", "main.py", "--run-id", "lives", "--wait")
    result = capsule("signal", "lives", "approval", "7")
    assert (result.returncode, result.stdout) == (0, "")
    assert re.fullmatch(r"left for the run lives, which process \d+ executes\n", result.stderr)
    assert ended(process) == (0, '["A","B",7,"C"]\n', "")


def test_hints_from_elsewhere(capsule, steps, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    os.mkdir(elsewhere / "cwd")
    os.rename(tmp_path / "main.py", elsewhere / "main.py")
    os.rename(tmp_path / "steps", elsewhere / "steps")
    result = capsule("run", "else where/main.py", "--run-id", "far")
    assert result.returncode == 75
    command = re.search(r"hint: capsule (signal far --project '.*' approval) JSON ", result.stderr)[1]
    words = command.replace("'", "").split(" --project ")
    folder = words[1].removesuffix(" approval")
    assert os.path.samefile(folder, elsewhere)
    assert capsule("signal", "far", "--project", folder, "approval", "1").returncode == 0


def test_sleep(capsule, steps):
    _, done = steps
    result = capsule("run", "main.py", "sleep", "--run-id", "naps", "--suspend-after", "100ms")
    assert (result.returncode, result.stdout) == (75, "ready\n")
    assert re.fullmatch(
        r"suspended: waits until [\d: -]+\nhint: capsule resume naps   \(capsule worker --timers .*\)\n", result.stderr
    )
    time.sleep(1)
    assert capsule("resume", "naps").stdout == '["A","B","C"]\n'
    assert done() == ["a", "b", "c"]


def test_sleep_in_the_process(capsule, steps):
    assert capsule("run", "main.py", "sleep").stdout == 'ready\n["A","B","C"]\n'
    assert capsule("run", "main.py", "sleep", "--wait").stdout == 'ready\n["A","B","C"]\n'


# --- after a crash


def kill(process):
    process.kill()
    process.wait()


def test_resume_after_a_kill(capsule, capsule_start, steps, runs, tmp_path):
    _, done = steps
    kill(begin(capsule_start, "run", "main.py", "spin", "--run-id", "dies"))
    (run,) = runs("--state", "interrupted")
    assert run["run_id"] == "dies"
    assert "state     interrupted: its process died" in capsule("show", "dies").stdout
    (tmp_path / "steps" / "go").write_text("")
    result = capsule("resume", "dies")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, '["A","B","C"]')
    assert done() == ["a", "b", "c"]
    assert "resumed   once" in capsule("show", "dies").stdout


def test_the_same_id_goes_on(capsule, capsule_start, steps, tmp_path):
    _, done = steps
    kill(begin(capsule_start, "run", "main.py", "spin", "--run-id", "dies", "--durable"))
    (tmp_path / "steps" / "go").write_text("")
    assert capsule("run", "main.py", "spin", "--run-id", "dies").returncode == 0
    assert done() == ["a", "b", "c"]
    assert "run       dies (durable)" in capsule("show", "dies").stdout


def test_executed_elsewhere(capsule, capsule_start, steps, tmp_path):
    process = begin(capsule_start, "run", "main.py", "spin", "--run-id", "taken")
    for words in (["resume", "taken"], ["run", "main.py", "--run-id", "taken"]):
        result = capsule(*words)
        assert (result.returncode, result.stdout) == (2, "")
        assert f"by process {process.pid}" in result.stderr
    assert re.search(rf"state     running by process {process.pid}\n", capsule("show", "taken").stdout)
    (tmp_path / "steps" / "go").write_text("")
    assert ended(process)[:2] == (0, '["A","B","C"]\n')


def test_interrupted_by_a_second_signal(capsule, capsule_start, program, runs):
    """The first signal can't get through while the output has no room."""
    program("@task(compute='HIGH')\ndef main():\n    while True: print('x' * 10000)")
    process = capsule_start("run", "main.py", "--run-id", "stuck")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert "\nended at once; to go on with the run: capsule resume stuck\n" in process.stderr.read()
    assert runs()[0]["state"] == "interrupted"


def test_a_person_is_told_what_can_be_done(capsule, steps, tmp_path):
    """On a terminal, of a run that failed after some of its tasks had done their work."""
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm", "NO_COLOR": "1"}
    result = capsule("run", "main.py", "fail", "--run-id", "bad", stdout=-1, stderr=theirs, env=env)
    os.close(theirs)
    shown = os.read(ours, 65536).decode().replace("\r\n", "\n")
    os.close(ours)
    assert result.returncode == 1
    assert shown.endswith(
        "error: task_error: ValueError: no more\n"
        "its tasks: capsule show bad\nonce more from one of them: capsule fork bad --from STEP\n"
    )


def test_interrupted_by_the_first(capsule, capsule_start, program, runs):
    program(BUSY)
    process = begin(capsule_start, "run", "main.py")
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert (code, err.count("\n")) == (130, 1)  # it's cancelled: there's nothing to go on with
    assert runs()[0]["state"] == "cancelled"


# --- ending


def test_cancel_a_running_run(capsule, capsule_start, program, runs):
    program(BUSY)
    process = begin(capsule_start, "run", "main.py", "--run-id", "busy")
    result = capsule("cancel", "busy")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "cancelled: busy\n")
    code, _, err = ended(process)
    assert code == 1
    assert "error: cancelled: " in err
    assert runs()[0]["state"] == "cancelled"
    assert capsule("cancel", "busy").stderr == "cancelled: busy\n"


def test_cancel_a_run_without_a_process(capsule, capsule_start, steps, runs):
    _, done = steps
    assert capsule("run", "main.py", "--run-id", "waits").returncode == 75
    kill(begin(capsule_start, "run", "main.py", "spin", "--run-id", "dies"))
    for name in ("waits", "dies"):
        result = capsule("cancel", name)
        assert (result.returncode, result.stderr) == (0, f"cancelled: {name}\n")
    assert {r["state"] for r in runs()} == {"cancelled"}
    assert done() == ["a", "b", "a", "b"]


def test_cancel_too_late(capsule, program):
    program(PAIR)
    capsule("run", "main.py", "--run-id", "over")
    refused(capsule("cancel", "over"), "the run over has ended already: completed\n")


# --- forks


def test_fork(capsule, steps, runs, show):
    _, done = steps
    capsule("run", "main.py", "none", "--run-id", "original")
    result = capsule("fork", "original", "--from", "#3")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, '["A","B","C"]'), result.stderr
    forked = re.fullmatch(rf"forked: ({UUID})\n", result.stderr)[1]
    assert done() == ["a", "b", "c", "b", "c"]  # the first step is shared
    assert (runs()[0]["run_id"], runs()[0]["forked_from"]) == (forked, "original#3")
    assert "forked    from original#3" in capsule("show", forked).stdout
    assert show("original")["state"] == "completed"


def test_fork_without_resuming(capsule, steps, runs):
    _, done = steps
    capsule("run", "main.py", "none", "--run-id", "original")
    result = capsule("fork", "original", "--from", "4", "--no-resume")
    assert (result.returncode, result.stdout) == (0, "")
    forked = result.stderr.split()[1]
    assert len(runs()) == 2
    assert done() == ["a", "b", "c"]
    assert capsule("resume", forked).returncode == 0
    assert done() == ["a", "b", "c", "c"]
    assert capsule("fork", "original", "--from", "99").returncode == 2


# --- removing


def test_old_runs_go_by_themselves(capsule, program, tmp_path):
    """Once a day, by the process that ends then; as old as capsule.toml says."""

    def names():
        return [row["run_id"] for row in json.loads(capsule("ps", "--json").stdout)]

    file = program("@task\ndef main(): return 1")
    (tmp_path / "capsule.toml").write_text('[journal]\nkeep = "1ms"\n')
    for name in ("one", "two"):  # the first one is when the counting of days begins
        assert capsule("run", file, "--run-id", name).returncode == 0
    assert names() == ["two", "one"]
    stamp = tmp_path / ".capsule" / "collected"
    os.utime(stamp, (0, 0))
    time.sleep(0.01)
    capsule("run", file, "--run-id", "three")
    assert "one" not in names() and "two" not in names()
    (tmp_path / "capsule.toml").write_text('[journal]\nkeep = "forever"\n')
    os.utime(stamp, (0, 0))
    capsule("run", file, "--run-id", "four")
    assert "four" in names()
    assert stamp.stat().st_mtime == 0


def test_gc(capsule, steps, runs):
    capsule("run", "main.py", "none", "--run-id", "old")
    capsule("run", "main.py", "--run-id", "waits")
    assert capsule("gc").stdout.startswith("removed 0 runs, ")
    result = capsule("gc", "--older-than", "0s", "--dry-run")
    assert re.fullmatch(
        r"would remove 1 run, \d+ large values?, \d+ images?; .* Left: \d runs?, [\d.]+ k?M?B\n", result.stdout
    )
    assert len(runs()) == 2
    numbers = json.loads(capsule("gc", "--older-than", "0s", "--json").stdout)
    assert (numbers["dry_run"], numbers["runs"], numbers["runs_left"]) == (False, 1, 1)
    assert [r["run_id"] for r in runs()] == ["waits"]
    assert capsule("signal", "waits", "approval").returncode == 0


# --- the worker


def test_worker_once(capsule, steps, runs):
    _, done = steps
    assert capsule("worker", "--timers", "--once").returncode == 2  # nothing is recorded yet
    for i in range(3):
        capsule("run", "main.py", "sleep", "--run-id", f"nap-{i}", "--suspend-after", "100ms")
    capsule("run", "main.py", "--run-id", "asks")
    capsule("signal", "asks", "approval", "1", "--no-resume")
    time.sleep(1)
    result = capsule("worker", "--timers", "--once")
    assert (result.returncode, result.stdout) == (0, "")
    assert {r["state"] for r in runs()} == {"completed"}, result.stderr
    assert len(re.findall(r"^[\d:]+  (nap-\d|asks)  resumed: main.py$", result.stderr, re.MULTILINE)) == 4
    assert len(re.findall(r"^[\d:]+  (nap-\d|asks)  completed  [\d.]+ m?s$", result.stderr, re.MULTILINE)) == 4
    assert sorted(done()) == sorted(["a", "b", "c"] * 4)
    assert capsule("worker", "--timers", "--once").stderr == ""


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker(capsule, capsule_start, steps, runs, number):
    assert capsule("run", "main.py", "--run-id", "asks").returncode == 75
    worker = capsule_start("worker", "--timers")
    assert "looking after the runs of " in worker.stderr.readline()
    assert capsule("run", "main.py", "sleep", "--run-id", "naps", "--suspend-after", "100ms").returncode == 75
    capsule("signal", "asks", "approval", "1", "--no-resume")
    wait_for(lambda: {r["state"] for r in runs()} == {"completed"})
    worker.send_signal(number)
    code, out, err = ended(worker)
    assert (code, out) == (0, "")
    assert err.count(" completed ") == 2


def test_worker_does_not_lose_what_it_executes(capsule, capsule_start, program, runs, tmp_path):
    (tmp_path / "gate").mkdir()
    program("""
        import capsule
        @task(compute="HIGH", allowed_files=["./gate"])
        def main():
            capsule.wait_signal("begin")
            while not os.path.exists("./gate/go"): pass
            return "through"
        """)
    capsule("run", "main.py", "--run-id", "slow")
    worker = capsule_start("worker", "--timers")
    capsule("signal", "slow", "begin", "--no-resume")
    wait_for(lambda: runs()[0]["state"] == "running")
    worker.send_signal(signal.SIGTERM)
    lines = []
    while not lines or "stopping" not in lines[-1]:
        lines.append(worker.stderr.readline())
    assert lines[-1].endswith("stopping: waits for 1 run; a second signal ends at once\n")
    (tmp_path / "gate" / "go").write_text("")
    assert ended(worker)[0] == 0
    assert capsule("resume", "slow").stdout == "through\n"


def test_worker_ended_at_once(capsule, capsule_start, program, runs):
    program(BUSY.replace("print(", "import capsule; capsule.wait_signal('begin'); print("))
    capsule("run", "main.py", "--run-id", "endless")
    worker = capsule_start("worker", "--timers")
    capsule("signal", "endless", "begin", "--no-resume")
    wait_for(lambda: runs()[0]["state"] == "running")
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    worker.send_signal(signal.SIGTERM)
    code, _, err = ended(worker)
    assert code == 130
    assert "ended at once; interrupted: 1 run (capsule ps --state interrupted)" in err
    assert runs()[0]["state"] == "interrupted"
    assert capsule("cancel", "endless").returncode == 0


# --- a journal that can't be used


def doctor_of(capsule):
    result = capsule("doctor", "--json")
    (check,) = [c for c in json.loads(result.stdout)["checks"] if c["name"] == "journal"]
    assert ("✗   journal" in capsule("doctor").stdout) == (not check["ok"])
    return result.returncode, check


def test_doctor(capsule, program, tmp_path):
    assert "journal" not in capsule("doctor").stdout
    program(PAIR)
    capsule("run", "main.py")
    code, check = doctor_of(capsule)
    assert (code, check["ok"]) == (0, True)
    assert check["detail"].endswith("/.capsule is sound")


def damage(path):
    (path / "journal.db").write_bytes(b"no database" * 1000)
    for name in ("journal.db-wal", "journal.db-shm"):
        (path / name).unlink(missing_ok=True)


def make_newer(path):
    with sqlite3.connect(path / "journal.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(("change", "message"), [(damage, "is damaged"), (make_newer, "has version 99")])
def test_unusable(capsule, program, tmp_path, change, message):
    program("@task\ndef main(): return 1")
    capsule("run", "main.py", "--run-id", "before")
    change(tmp_path / ".capsule")
    result = capsule("run", "main.py")
    assert (result.returncode, result.stdout) == (2, "")
    refused(result, "the journal ", "--no-journal runs the program without recording it")
    assert message in result.stderr
    envelope = json.loads(capsule("run", "main.py", "--json").stdout)
    assert (envelope["error"]["type"], envelope["execution"]) == ("host_error", None)
    assert capsule("run", "main.py", "--no-journal").stdout == "1\n"
    for words in (["ps"], ["show", "before"], ["resume", "before"], ["gc"], ["worker", "--timers", "--once"]):
        result = capsule(*words)
        refused(result, "the journal ")
        assert message in result.stderr
    code, check = doctor_of(capsule)
    assert (code, check["ok"]) == (1, False)
    assert message in check["detail"]
    assert check["fix"]


def test_no_folder(capsule, program, tmp_path):
    program("@task\ndef main(): return 1")
    (tmp_path / ".capsule").write_text("a file")
    result = capsule("run", "main.py")
    assert result.returncode == 2
    assert "--no-journal runs the program without recording it" in result.stderr
    refused(capsule("ps"), "no run has been recorded here")


def test_of_another_user(capsule, program, tmp_path):
    """Whoever owns a journal says what is run when its runs are resumed: /tmp has room for anybody's."""
    if os.geteuid() != 0:
        return  # only root can give a folder away
    program(PAIR, "inner/main.py")
    capsule("run", "inner/main.py", "--run-id", "planted")
    os.rename(tmp_path / "inner" / ".capsule", tmp_path / ".capsule")
    os.chown(tmp_path / ".capsule", 12345, 12345)
    refused(capsule("ps"), f"{tmp_path}/.capsule belongs to another user (uid 12345) and isn't used")
    refused(capsule("resume", "planted"), f"{tmp_path}/.capsule belongs to another user")
