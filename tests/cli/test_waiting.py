"""Runs that wait: suspended, signalled, brought back, in both languages (tests/guest/durable_waits.py, waiting.py).

Time passes by a library in front of the C library's clock: `later("7d")` is the environment of a process whose wall
clock is ahead, or behind.
"""

import concurrent.futures
import datetime
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent.parent / "guest"
LANGUAGES = {"python": (PROGRAMS, ".py"), "typescript": (PROGRAMS / "js", ".ts")}
both = pytest.mark.parametrize("language", LANGUAGES)
DAY = 86_400

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    static long shift;
    if (real == 0) {
        shift = atol(getenv("TEST_CLOCK_SHIFT"));
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int r = real(clock, t);
    if (clock == CLOCK_REALTIME)
        t->tv_sec += shift;
    return r;
}
"""


@pytest.fixture(scope="session")
def clock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(CLOCK)
    compiler = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-w", "-o", folder / "clock.so"]
    subprocess.run([*compiler, folder / "clock.c", "-ldl"], check=True)
    return folder / "clock.so"


@pytest.fixture
def later(clock):
    """The environment of a process to which it's so many seconds later."""
    return lambda seconds: {"LD_PRELOAD": str(clock), "TEST_CLOCK_SHIFT": str(int(seconds))}


class Project:
    def __init__(self, folder, capsule, start, language):
        self.folder, self.capsule, self.begin = folder, capsule, start
        place, suffix = LANGUAGES[language]
        (folder / "data").mkdir()
        for name in ("durable_waits", "waiting"):
            shutil.copy(place / f"{name}{suffix}", folder)
        if language == "typescript":
            shutil.copy(place / "checks.ts", folder)
        self.file, self.other = f"durable_waits{suffix}", f"waiting{suffix}"

    def words(self, task, *args, run="r", file=None):
        return ["run", "--run-id", run, "--task", task, file or self.file, *(json.dumps(arg) for arg in args)]

    def run(self, task, *args, run="r", options=(), code=75, **keywords):
        done = self.capsule(*self.words(task, *args, run=run), *options, **keywords)
        assert done.returncode == code, done
        return done

    def start(self, task, *args, run="r", file=None, options=(), **keywords):
        return self.begin(*self.words(task, *args, run=run, file=file), *options, **keywords)

    def signal(self, name, value, *options, run="r", code=0, **keywords):
        done = self.capsule("signal", run, name, json.dumps(value), *options, **keywords)
        assert done.returncode == code, done
        return done

    def leave(self, name, value, run="r"):
        return self.signal(name, value, "--no-resume", run=run)

    def resume(self, *options, run="r", code=0, **keywords):
        done = self.capsule("resume", run, *options, **keywords)
        assert done.returncode == code, done
        return done

    def show(self, run="r"):
        done = self.capsule("show", run, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def runs(self):
        return json.loads(self.capsule("ps", "--json", "--all").stdout)


@pytest.fixture
def make(tmp_path, capsule, capsule_start):
    return lambda language="python": Project(tmp_path, capsule, capsule_start, language)


def seconds_of(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def ended(process):
    """Its exit code and its last line."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines()[-1] if out else err


# --- the programs of waiting.py and waiting.ts, which a process waits in


def is_waiting(p, n=1, run="r"):
    def check():
        done = p.capsule("show", run, "--json")
        return done.returncode == 0 and len(json.loads(done.stdout)["waits"]) >= n

    wait_until(check)


@both
@pytest.mark.parametrize(
    ("task", "names", "signals", "result"),
    [
        ("answers", ["a", "b"], [("a", 1), ("b", 2)], [1, 2]),
        ("answers", ["a", "b"], [("b", 2), ("a", 1)], [1, 2]),
        ("aanswers", ["a", "b", "a"], [("a", 1), ("b", 2), ("a", "drei")], [1, 2, "drei"]),
        ("aanswers", ["a", "b", "a"], [("a", {"x": [None]}), ("a", 2), ("b", 3)], [{"x": [None]}, 3, 2]),
        ("whichever", "a", [("a", 1)], [1]),
        ("reminded", "a", [("a", i) for i in range(1, 21)], list(range(1, 21))),
        ("child_waits", "a", [("b", 0), ("a", 7)], [7]),
    ],
)
def test_a_process_that_waits(make, language, task, names, signals, result):
    p = make(language)
    process = p.start(task, names, file=p.other, options=["--wait"])
    wait_until(lambda: p.capsule("show", "r").returncode == 0)
    for name, value in signals:
        assert "which process" in p.signal(name, value).stderr
    assert ended(process) == (0, json.dumps(result, separators=(",", ":")))
    left = [s["name"] for s in p.show()["signals"] if s["taken_by"] is None]
    assert left == (["b"] if task == "child_waits" else [])


@both
def test_a_run_that_is_not_recorded(make, language):
    p = make(language)
    done = p.capsule("run", p.other, "--no-journal", "--task", "refused", "--json")
    assert json.loads(done.stdout)["result"] == ["policy", "this run isn't recorded, so nobody can signal it"]
    done = p.capsule("run", p.other, "--no-journal", "--task", "refused_uncaught", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["type"]) == (1, "policy")
    assert p.capsule("run", p.other, "--no-journal", "--task", "sleeper", '"50ms"').returncode == 0
    assert not (p.folder / ".capsule").exists()


# --- signals


@both
def test_in_turn(make, language):
    p = make(language)
    done = p.run("in_turn", ["a", "b", "a"])
    assert done.stdout == "a?\n"
    assert p.signal("a", 1, code=75).stdout == "b?\n"
    done = p.signal("b", 2, code=75)
    assert (done.stdout, done.stderr.splitlines()[:2]) == ("a?\n", ["b: 2", 'suspended: waits for the signal "a"'])
    done = p.signal("a", 3)
    assert (done.stdout, done.stderr) == ("[1,2,3]\n", "a: 3\n")
    logs = p.capsule("logs", "r")
    assert (logs.stdout, logs.stderr) == ("a?\nb?\na?\n", "a: 1\nb: 2\na: 3\n")
    view = p.show()
    assert (view["resumed"], view["suspended"]) == (3, 3)
    assert [t["attempts"] for t in view["tasks"]] == [1, 1, 1, 1]


@both
def test_left_before_anybody_waits(make, language):
    p = make(language)
    p.run("in_turn", ["a", "b", "b", "c"])
    for name, value in (("c", 4), ("b", 2), ("b", 3)):
        p.leave(name, value)
    done = p.signal("a", 1)
    assert done.stdout.splitlines()[-1] == "[1,2,3,4]"


@both
def test_together(make, language):
    """Children that wait, and are answered in another order, one process each."""
    p = make(language)
    done = p.run("together", ["a", "b", "c", "d"])
    assert sorted(done.stdout.split()) == ["a?", "b?", "c?", "d?"]
    assert "(and 3 more)" in done.stderr
    assert p.signal("d", 4, code=75).stdout == ""
    assert p.signal("a", 1, code=75).stdout == ""
    assert p.signal("c", 3, code=75).stdout == ""
    assert p.signal("b", 2).stdout == "[1,2,3,4]\n"


def test_tasks_that_wait_for_one_name(make):
    """What has waited longest is served first, whichever is back first in a process that goes on with the run."""
    p = make()
    for i in range(8):
        run = f"r-{i}"
        p.run("together", ["a"] * 6, run=run)
        waits = {wait["task"]: wait["since"] for wait in p.show(run)["waits"]}
        order = sorted(waits, key=waits.get)
        for value in range(5):
            p.signal("a", value, code=75, run=run)
        p.signal("a", 5, run=run)
        assert [s["taken_by"] for s in p.show(run)["signals"]] == order


@both
def test_in_one_task(make, language):
    p = make(language)
    p.run("in_one_task", ["a", "b", "a", "c"])
    p.signal("c", 4, code=75)
    p.leave("a", 1)
    p.leave("a", 3)
    assert p.signal("b", 2).stdout == "[1,2,3,4]\n"


@both
def test_the_first_that_waits_is_served_first(make, language):
    """Also after it was suspended, and killed."""
    p = make(language)
    p.run("many_at_once", "a", 20)
    for i in range(10):
        p.leave("a", i)
    process = p.begin("resume", "r", "--wait")
    wait_until(lambda: sum(s["taken_by"] is not None for s in p.show()["signals"]) == 10)
    process.kill()
    process.communicate()
    for i in range(10, 19):
        p.leave("a", i)
    assert p.signal("a", 19).stdout == json.dumps(list(range(20)), separators=(",", ":")) + "\n"


@both
def test_many_signals(make, language):
    p = make(language)
    process = p.start("many", "a", 60, options=["--wait"])
    wait_until(lambda: p.capsule("show", "r").returncode == 0)
    for i in range(30):
        p.signal("a", i)
    process.kill()
    process.communicate()
    for i in range(30, 59):
        p.leave("a", i)
    assert p.signal("a", 59).stdout == json.dumps(list(range(60)), separators=(",", ":")) + "\n"


@both
@pytest.mark.parametrize("name", ["two words", "grün ✓", "-", "--json", "'\"$(x)`", "a\nb\x1b[31m", "x" * 128])
def test_names(make, language, name):
    p = make(language)
    done = p.run("many", name, 1)
    assert "\x1b" not in done.stderr
    view = p.show()
    assert view["waits"][0]["name"] == name
    done = p.capsule("signal", "r", "--", name, "1")
    assert (done.returncode, done.stdout) == (0, "[1]\n"), done
    assert p.show()["signals"][0]["name"] == name


def test_hints_can_be_pasted(make):
    """Into a shell."""
    p = make()
    done = p.run("many", "it's $HOME `x`", 1)
    hint = re.search(r"hint: capsule (.*) JSON   ", done.stderr)[1]
    binary = p.start("many", "a", 0, run="other").args[0]
    result = subprocess.run(
        ["sh", "-c", f"{binary} {hint} 5"], cwd=p.folder, capture_output=True, text=True, env=os.environ, timeout=60
    )
    assert (result.returncode, result.stdout) == (0, "[5]\n"), result


@both
def test_names_that_can_not_be(make, language):
    p = make(language)
    p.run("many", "a", 1)
    for name in ("", "x" * 129, "é" * 65):
        done = p.capsule("signal", "r", name, "1")
        assert (done.returncode, done.stdout) == (2, "")
        assert "1 to 128 bytes" in done.stderr
    done = p.capsule("signal", "r", b"\xff\xfe", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert p.show()["signals"] == []


def test_large_values(make):
    p = make()
    p.run("many", "a", 2)
    text = "ä" * 5_000_000
    p.capsule("signal", "r", "a", "-", "--no-resume", input=json.dumps(text))
    done = p.signal("a", 1, "--json")
    assert json.loads(done.stdout)["result"] == [text, 1]
    p.run("many", "a", 1, run="large")
    done = p.capsule("signal", "large", "a", "-", input=json.dumps("x" * 70_000_000))
    assert done.returncode == 2
    assert p.show("large")["state"] == "suspended"


@both
def test_too_late(make, language):
    p = make(language)
    p.run("many", "a", 0, code=0)
    for options in ([], ["--no-resume"]):
        done = p.signal("a", 1, *options, code=2)
        assert done.stderr.startswith("error: the run r has ended (completed)")
    p.run("many", "a", 1, run="cancelled")
    assert p.capsule("cancel", "cancelled").returncode == 0
    assert p.signal("a", 1, run="cancelled", code=2).stderr.startswith("error: the run cancelled has ended (cancelled)")
    assert p.resume("--json", run="cancelled", code=1).stdout.startswith('{"success":false')
    assert "no such run" in p.signal("a", 1, run="unknown", code=2).stderr


@both
@pytest.mark.parametrize("begins", [True, False])
def test_a_signal_at_the_moment_of_the_suspension(make, language, begins):
    """It's never lost: whoever is there at the end goes on."""
    p = make(language)
    p.run("many", "a", 0, run="warm", code=0)
    for i in range(25):
        run = f"run-{i}"
        if begins:
            process = p.start("many", "a", 1, run=run)
            wait_until(lambda r=run, it=process: p.capsule("show", r).returncode == 0 or it.poll() is not None)
        else:  # it's there already, and resumed for nothing
            p.run("many", "a", 1, run=run)
            process = p.begin("resume", run)
        time.sleep(i * 0.004)
        done = p.capsule("signal", run, "a", str(i))
        out, _ = process.communicate(timeout=30)
        outcomes = [(process.returncode, out), (done.returncode, done.stdout)]
        assert (0, f"[{i}]\n") in outcomes, (outcomes, done.stderr)
        assert p.show(run)["state"] == "completed", (outcomes, done.stderr)


# --- what isn't done a second time


@both
def test_deep(make, language):
    p = make(language)
    p.run("deep", 5, "a")
    for _ in range(2):
        assert p.resume(code=75).stdout == ""
    keys = json.loads(p.signal("a", "x").stdout)
    assert keys == ["r/1", *(f"r/1{'.1' * i}" for i in range(1, 6)), "x"]
    assert [t["attempts"] for t in p.show()["tasks"]] == [1] * 6


@both
def test_writes(make, language):
    p = make(language)
    p.run("writes", "a")
    p.resume(code=75)
    p.signal("a", "after")
    assert (p.folder / "data" / "log").read_text() == "before\nafter\n"


@both
def test_suspended_is_not_interrupted(make, language):
    p = make(language)
    p.run("charges", "a")
    assert p.resume(code=75).stdout == ""
    assert p.signal("a", "paid").stdout == "paid\n"
    process = p.start("charges", "a", run="other", options=["--wait"])
    is_waiting(p, run="other")
    process.kill()
    process.communicate()
    assert p.resume(run="other").stdout == "interrupted\n"


@both
def test_suspended_and_then_killed_is_interrupted(make, language):
    """A process that had gone on with it was there: nobody can tell what it did."""
    p = make(language)
    p.run("charges", "a")
    process = p.begin("resume", "r", "--wait")
    wait_until(lambda: p.show()["state"] == "running")
    is_waiting(p)
    process.kill()
    process.communicate()
    assert p.resume().stdout == "interrupted\n"


@both
def test_another_attempt_waits_anew(make, language):
    p = make(language)
    p.run("fails_after", "a")
    p.signal("a", 1, code=75)
    done = p.signal("a", 2, code=1)
    assert "attempt 2" in done.stderr
    assert "attempt 1" not in done.stderr


@both
def test_no_suspension_while_others_work(make, language):
    p = make(language)
    p.run("beside", "a")
    assert p.signal("a", 1).stdout == '[1,"done"]\n'
    busy = [t for t in p.show()["tasks"] if t["name"] == "busy"]
    assert [t["attempts"] for t in busy] == [1]


# --- times


@both
def test_sleep(make, language, later):
    p = make(language)
    done = p.run("sleeps", ["7d", "10ms", "1d"])
    assert re.fullmatch(r"suspended: waits until \S+ \S+\nhint: capsule resume r .*\n", done.stderr)
    (run,) = p.runs()
    assert 6.9 * DAY < seconds_of(run["wake"]) - time.time() < 7.1 * DAY
    assert p.resume(code=75).stdout == ""
    assert p.resume(code=75, env=later(6.9 * DAY)).stdout == ""
    assert abs(seconds_of(p.runs()[0]["wake"]) - seconds_of(run["wake"])) < 1
    assert p.resume(code=75, env=later(7 * DAY + 60)).stdout == "slept 7d\nslept 10ms\n"
    assert p.resume(code=75, env=later(7.9 * DAY)).stdout == ""
    *lines, took = p.resume(env=later(8 * DAY + 120)).stdout.splitlines()
    assert lines == ["slept 1d"]
    assert 8 * DAY < float(took) < 8 * DAY + 300


@both
def test_sleep_with_the_clock_put_back(make, language, later):
    """It isn't waited for longer than was asked for."""
    p = make(language)
    p.run("sleeps", ["2s"], options=["--suspend-after", "100ms"], env=later(3650 * DAY))
    begin = time.monotonic()
    done = p.resume("--wait")
    assert time.monotonic() - begin < 30
    assert done.stdout.splitlines()[0] == "slept 2s"
    p.run("sleeps", ["7d"], run="long", env=later(3650 * DAY))
    p.resume(run="long", code=75)
    (run,) = [run for run in p.runs() if run["run_id"] == "long"]
    assert seconds_of(run["wake"]) - time.time() < 7.1 * DAY


def test_sleep_with_the_clock_put_back_and_resumed_often(make, later):
    """What was waited for since counts."""
    p = make()
    p.run("sleeps", ["7d"], env=later(3650 * DAY))
    p.resume(code=75)
    p.resume(code=75, env=later(6 * DAY))
    assert seconds_of(p.runs()[0]["wake"]) - time.time() < 7.1 * DAY
    p.resume(env=later(7.1 * DAY))


@both
def test_sleep_through_a_kill(make, language, later):
    p = make(language)
    process = p.start("sleeps", ["7d"], options=["--wait"])
    is_waiting(p)
    process.kill()
    process.communicate()
    assert p.resume(code=75).stdout == ""
    assert p.resume(env=later(7 * DAY + 1)).stdout.startswith("slept 7d\n")


@both
def test_signal_or_timeout(make, language, later):
    p = make(language)
    for run in ("early", "late", "both"):
        p.run("in_time", "a", "3d", run=run)
    (run,) = [run for run in p.runs() if run["run_id"] == "late"]
    assert 2.9 * DAY < seconds_of(run["wake"]) - time.time() < 3.1 * DAY
    assert p.signal("a", 1, run="early", env=later(2.9 * DAY)).stdout == "1\n"
    assert p.resume(run="late", code=75, env=later(3.1 * DAY)).stdout == ""
    assert p.show("late")["waits"][0]["until"] is None
    assert p.signal("a", 2, run="late", env=later(3.2 * DAY)).stdout == '["too late",2]\n'
    assert p.signal("a", 3, run="both", env=later(3.1 * DAY)).stdout in ('["too late",3]\n', "3\n")


@both
def test_timeout_of_a_task_that_is_suspended(make, language, later):
    p = make(language)
    p.run("limits", "a")
    (run,) = p.runs()
    assert seconds_of(run["wake"]) - time.time() < 3700
    assert p.resume(code=75, env=later(3500)).stdout == ""
    done = p.resume(env=later(3 * 3600), code=75)
    assert done.stdout == ""  # the next attempt
    kept = p.signal("a", "at last", env=later(3 * 3600 + 60))
    assert kept.stdout == "at last\n"
    assert [t["attempts"] for t in p.show()["tasks"]] == [1, 2]


@both
def test_reminders(make, language, later):
    p = make(language)
    assert p.run("reminders", "a", "1d").stdout == "asked 1\n"
    for day in (1, 2, 3):
        assert p.resume(code=75, env=later(day * DAY + 60 * day)).stdout == f"asked {day + 1}\n"
    assert p.signal("a", "yes", env=later(3.5 * DAY)).stdout == '[4,"yes"]\n'


# --- the worker


def test_worker(make, later):
    p = make()
    for i in range(3):
        p.run("sleeps", ["7d"], run=f"sleeps-{i}")
    p.run("many", "a", 1, run="signalled")
    p.run("many", "a", 1, run="waits")
    p.leave("a", 1, run="signalled")
    p.leave("other", 1, run="waits")
    done = p.capsule("worker", "--timers", "--once")
    assert done.returncode == 0, done
    states = {run["run_id"]: run["state"] for run in p.runs()}
    assert states.pop("signalled") == "completed"
    assert set(states.values()) == {"suspended"}
    done = p.capsule("worker", "--timers", "--once", env=later(7 * DAY + 1))
    assert done.returncode == 0, done
    states = {run["run_id"]: run["state"] for run in p.runs()}
    assert [run for run, state in states.items() if state == "suspended"] == ["waits"]


def test_two_workers(make, later):
    """Each run goes on once."""
    p = make()
    for i in range(12):
        p.run("sleeps", ["7d", "10ms"], run=f"r-{i}")
    workers = [p.begin("worker", "--timers", "--once", env=later(8 * DAY)) for _ in range(3)]
    outcomes = [worker.communicate(timeout=60)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], outcomes
    assert {run["state"] for run in p.runs()} == {"completed"}
    assert sum(outcome.count("  completed  ") for outcome in outcomes) == 12
    for i in range(12):
        assert p.capsule("logs", f"r-{i}").stdout == "slept 7d\nslept 10ms\n"


def test_resumed_by_many_when_it_is_due(make, later):
    p = make()
    p.run("sleeps", ["7d", "300ms"])
    processes = [p.begin("resume", "r", env=later(8 * DAY)) for _ in range(5)]
    outcomes = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    printed = "".join(out for out, _, _ in outcomes)
    assert printed.count("slept 7d\n") == 1, outcomes
    for out, err, code in outcomes:
        assert (code == 2 and "process" in err) or (code == 0 and out), outcomes
    assert p.runs()[0]["state"] == "completed"


# --- many that are suspended


def test_many_suspended_runs(make):
    p = make()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: p.run("many", "a", 1, run=f"r-{i}"), range(40)))
    assert {run["state"] for run in p.runs()} == {"suspended"}
    assert len(list((p.folder / ".capsule" / "images").glob("*.image"))) == 1
    assert os.listdir(p.folder / ".capsule" / "leases") == []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: p.signal("a", i, run=f"r-{i}").stdout, range(40)))
    assert results == [f"[{i}]\n" for i in range(40)]
    with sqlite3.connect(p.folder / ".capsule" / "journal.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
