"""Runs that are killed at a chosen moment and gone on with, in both languages (tests/guest/durable.py, js/durable.ts).

A program asks the test's server at the place where it's to be killed (/hold/NAME): what came before is on record then,
and what comes afterwards isn't done. What the server was told (/tell/NAME) says what was executed, and how often.
test_durable_host.py has what the machine does to them.
"""

import itertools
import json
import re
import shutil
import signal
import socket

import pytest

from tests.cli.durable import Project, both, kill, projects, result_of
from tests.server.server import Server

# --- what ran isn't run again, and the code is what it was


EDITS = {
    "as it was": lambda text: text,
    "an error": lambda text: "this is no ( program",
    "gone": lambda text: None,
    "without its tasks": lambda text: "",
    "changed": lambda text: text.replace('"b"', '"changed"').replace('"c"', '"changed"'),
}


@both
@pytest.mark.parametrize("edit", EDITS)
def test_finished_tasks(make, language, edit):
    p = make(language)
    p.start_and_kill("steps")
    text = EDITS[edit](p.file.read_text())
    p.file.unlink()
    if text is not None:
        p.file.write_text(text)
    assert p.resumed() == [1, [2], "go", 3]
    assert p.told() == ["a", "b", "c"]
    assert len(p.server.at("/hold/here")) == 2
    (run,) = json.loads(p.capsule("ps", "--json").stdout)
    assert (run["state"], run["pid"]) == ("completed", None)


@both
def test_killed_again_and_again(make, language):
    p = make(language)
    p.start_and_kill("steps")
    for times in range(2, 6):
        process = p.begin("resume", "r")
        p.held(times=times)
        kill(process)
    assert p.resumed() == [1, [2], "go", 3]
    assert p.told() == ["a", "b", "c"]
    assert p.show()["resumed"] == 5


@both
def test_senses(make, language):
    p = make(language)
    for name, text in (("file.txt", "as it was\n"), ("large.txt", "ä" * 200_000), ("gone.txt", "soon gone")):
        (p.data / name).write_text(text)
    (p.data / "deep").mkdir()
    (p.data / "deep" / "er").write_text("")
    p.start_and_kill("senses", env={"WORD": "first"})
    (p.data / "file.txt").write_text("as it is now, and longer\n")
    (p.data / "large.txt").write_text("")
    (p.data / "gone.txt").unlink()
    (p.data / "new.txt").write_text("new")
    shutil.rmtree(p.data / "deep")
    before, between, after, moved_on, now = p.resumed(env={"WORD": "second", "LATER": "there"})
    assert p.told() == ["before", "between"]
    (sent,), (sent_between,) = p.bodies("before"), p.bodies("between")
    assert before == sent
    assert between == sent_between
    assert (after, moved_on, now) == ([True, True], True, "as it is now, and longer\n")
    assert before["environment"] == ["first", False]
    assert (before["file"], before["large"], before["gone"]) == ("as it was\n", 200_000, "soon gone")
    assert before["list"] == ["deep", "file.txt", "gone.txt", "large.txt"]
    assert before["exists"] == [True, False, True]


@both
def test_senses_of_a_folder_that_is_gone(make, language):
    p = make(language)
    for name in ("file.txt", "large.txt", "gone.txt"):
        (p.data / name).write_text("some text\n")
    p.start_and_kill("senses", env={"WORD": "first"})
    shutil.rmtree(p.data)
    done = p.resume()
    error = json.loads(done.stdout)["error"]
    assert done.returncode in (1, 2), done
    assert "data" in done.stderr, done
    p.data.mkdir()
    (p.data / "file.txt").write_text("new\n")
    if done.returncode == 2:  # nothing was lost
        assert p.resumed()[4] == "new\n", error


def test_files_that_are_written(make):
    p = make()
    (p.data / "appended").write_text("zero\n")
    (p.data / "both").write_text("0123456789")
    (p.data / "file.txt").write_text("first\n" + "second\n" * 10_000)
    (p.data / "gone.txt").write_text("gone")
    p.start_and_kill("writes")
    assert (p.data / "written").read_text() == "one\n"
    assert (p.data / "appended").read_text() == "zero\none\n"
    result = p.resumed()
    assert (p.data / "written").read_text() == "one\ntwo\n"
    assert (p.data / "appended").read_text() == "zero\none\ntwo\n"
    assert (p.data / "both").read_text() == "012XXYY789"
    assert (p.data / "folder" / "moved").read_text() == "gone"
    assert result == ["one\ntwo\n", len("zero\none\ntwo\n"), "012XXYY789", "first\n", "second\n" * 10_000]
    assert p.bodies("written") == [[4, 9, 5]]


def test_files_that_are_gone_when_they_are_written_on(make):
    p = make()
    for name in ("appended", "both", "file.txt", "gone.txt"):
        (p.data / name).write_text("0123456789\nxx")
    p.start_and_kill("writes")
    for name in ("written", "appended", "both", "file.txt"):
        (p.data / name).unlink()
    done = p.resume()
    envelope = json.loads(done.stdout)
    assert not envelope["success"]
    assert envelope["error"]["type"] in ("task_error", "diverged"), envelope
    assert len(p.server.at("/hold/here")) in (1, 2)


@pytest.fixture
def make(tmp_path, server, capsule, capsule_start):
    yield from projects(tmp_path, server, capsule, capsule_start)


# --- order


@both
def test_order(make, language):
    p = make(language)
    p.start_and_kill("order")
    p.held("late")
    seen, mapped = p.resumed()
    (sent,) = p.bodies("order")
    assert seen[: len(sent)] == sent
    assert seen[-2:] == ["cancelled", "go"]
    assert mapped == [3, 2, 1]
    assert p.told() == ["order"]
    assert {t["state"] for t in p.show()["tasks"]} == {"completed", "cancelled"}


@both
def test_nested(make, language):
    p = make(language)
    p.start_and_kill("nest", "5")
    for times in (2, 3):
        process = p.begin("resume", "r")
        p.held(times=times)
        kill(process)
    keys = p.resumed()
    assert p.told() == [*(f"down-{d}" for d in (5, 4, 3, 2, 1)), *(f"up-{d}" for d in (1, 2, 3, 4, 5))]
    down = keys[:6]
    assert down[0] == "r/1"
    assert all(b.startswith(a) and b != a for a, b in itertools.pairwise(down))
    assert keys[6:] == down[4::-1]


# --- failures, attempts


@both
def test_errors(make, language):
    p = make(language)
    p.start_and_kill("errors")
    result = p.resumed()
    (sent,) = p.bodies("errors")
    assert result == sent
    assert p.told() == ["errors"]
    assert [one[0] if isinstance(one, list) else one for one in result] == [
        "task_error",
        "task_error",
        "policy",
        "bad_output",
        "out_of_memory",
        "fine",
    ]


@both
def test_attempts(make, language):
    p = make(language)
    p.start_and_kill("retries")
    (last, key), own_key, own_attempt = p.resumed()
    assert (last, key, own_key, own_attempt) == (4, "r/1.1", "r/1", 1)
    assert p.bodies("attempt") == [[1, key], [2, key], [3, key], [4, key]]


@both
def test_attempts_are_counted_across_processes(make, language):
    p = make(language)
    p.start_and_kill("limits", at="attempt-1")
    process = p.begin("resume", "r")
    p.held("attempt-1", 2)
    p.open("attempt-1")
    p.held("attempt-2")
    kill(process)
    process = p.begin("resume", "r")
    p.held("attempt-2", 2)
    p.open("attempt-2")
    p.held("attempt-3")
    kill(process)
    message, retries = p.resumed()
    assert "attempt 3" in message
    assert retries == 2
    assert [len(p.server.at(f"/hold/attempt-{n}")) for n in (1, 2, 3, 4)] == [2, 2, 2, 0]


# --- tasks that may not run twice


@both
def test_interrupted(make, language):
    p = make(language)
    p.start_and_kill("charges")
    first, kind, message, again = p.resumed()
    assert (first, kind, again) == ("go", "interrupted", "go")
    assert message == "it was being executed when its process ended, and isn't idempotent"
    assert p.told() == ["charge-open", "charge-here", "charge-open"]
    assert [t["state"] for t in p.show()["tasks"]] == ["completed", "completed", "interrupted", "completed"]


@both
def test_interrupted_below_a_task_that_is_run_again(make, language):
    p = make(language)
    p.start_and_kill("deep_charges")
    kind, _ = p.resumed()
    assert kind in ("task_error", "interrupted")
    assert p.told() == ["charge-here"]


@both
def test_interrupted_entry_task(make, language):
    p = make(language)
    p.start_and_kill("only_once")
    done = p.resume()
    assert (done.returncode, json.loads(done.stdout)["error"]["type"]) == (1, "interrupted")
    assert len(p.server.at("/hold/here")) == 1
    again = p.resume()
    assert (again.returncode, again.stdout) == (done.returncode, done.stdout)
    assert p.show()["state"] == "interrupted"
    assert json.loads(p.capsule("ps", "--json").stdout)[0]["error_type"] == "interrupted"


# --- output


@both
def test_output(make, language):
    p = make(language)
    words = ["run", p.file.name, "--task", "speaks", "--run-id", "r", p.server.url]
    process = p.begin(*words)
    p.held()
    follower = p.begin("logs", "r", "--follow")
    out, err = kill(process)
    middle = "no end of line" if language == "python" else "no end of line\n"
    assert (out, err) == (f"one\nchild 1\n{middle}", "err one\nchild err 1\n")
    early = p.capsule("logs", "r")
    assert (early.stdout, early.stderr) == (out, err)
    p.open()
    done = p.capsule("resume", "r")
    assert (done.returncode, done.stdout, done.stderr) == (0, ", two\nchild 2\ndone\n", "err two\nchild err 2\n")
    logs = p.capsule("logs", "r")
    assert (logs.stdout, logs.stderr) == (out + ", two\nchild 2\n", err + done.stderr)
    followed = follower.communicate(timeout=30)
    assert followed == (logs.stdout, logs.stderr)


# --- HTTP


@both
def test_responses(make, language):
    p = make(language)
    p.start_and_kill("asks")
    before = len(p.server.requests)
    seen, last = p.resumed()
    (sent,) = p.bodies("seen")
    assert seen == sent
    assert last[:1] == [200]
    assert [r.path for r in p.server.requests[before:]] == ["/hold/here"]
    assert [one[0] for one in seen[:7]] == [200, 404, 500, 200, 200, 204, 200]


@both
def test_responses_without_the_server(make, language, capsule, capsule_start, tmp_path):
    server = Server()
    p = Project(tmp_path, server, capsule, capsule_start, language)
    p.start_and_kill("asks")
    (sent,) = p.bodies("seen")
    server.listener.shutdown(socket.SHUT_RDWR)
    server.close()
    seen, last = p.resumed()
    assert seen == sent
    assert last[0] != 200


@both
def test_a_response_in_parts(make, language):
    p = make(language)
    p.start_and_kill("streams")
    assert p.resumed() == ["x", "connection"]
    assert len(p.server.at("/slow")) == 1


@both
def test_a_secret_with_a_new_value(make, language):
    p = make(language)
    p.start_and_kill("secret", env={"KEY": "the-first-value"})
    assert p.resumed(env={"KEY": "the-second-value"}) is True
    sent = [r.header("authorization") for name in ("first", "second") for r in p.server.at(f"/tell/{name}")]
    assert sent == ["Bearer the-first-value", "Bearer the-second-value"]
    assert_nowhere(p, b"the-first-value", b"the-second-value")


def assert_nowhere(p, *values):
    for path in (p.folder / ".capsule").rglob("*"):
        if path.is_file():
            assert not [value for value in values if value in path.read_bytes()], path


@both
def test_a_secret_without_a_value(make, language):
    p = make(language)
    p.start_and_kill("secret", env={"KEY": "the-first-value"})
    done = p.resume()
    sent = [r.header("authorization") for r in p.server.at("/tell/second")]
    assert (done.returncode, sent) in [(1, []), (2, [])]
    assert "KEY" in done.stderr
    assert "the-first-value" not in done.stderr + done.stdout
    assert p.told() == ["first"]


# --- ended runs


@both
def test_the_outcome_again(make, language):
    p = make(language)
    p.open()
    words = ["run", p.file.name, "--task", "steps", "--run-id", "first-run", p.server.url, "--json"]
    first = p.capsule(*words)
    sent = len(p.server.requests)
    p.file.write_text("(")
    for again in (words, ["resume", "first-run", "--json"], ["resume", "first", "--json"]):
        done = p.capsule(*again)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == json.loads(first.stdout)
    assert len(p.server.requests) == sent


@both
def test_the_failure_again(make, language):
    p = make(language)
    p.open()
    words = ["run", p.file.name, "--task", "limited", "--run-id", "r", p.server.url, "--json"]
    first = p.capsule(*words)
    again = p.capsule(*words)
    assert (first.returncode, again.returncode) == (1, 1)
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert one["error"] == two["error"]
    assert one["execution"].keys() == two["execution"].keys()
    assert one == two, (one, two)
    plain = p.capsule("resume", "r")
    assert (plain.returncode, plain.stdout) == (1, "")
    assert "attempt 3" in plain.stderr


# --- cancelling


@both
def test_cancel_elsewhere(make, language):
    p = make(language)
    process = p.start("steps")
    p.held()
    done = p.capsule("cancel", "r")
    assert (done.returncode, done.stderr) == (0, "cancelled: r\n")
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["error"]["type"]) == (1, "cancelled")
    again = p.resume()
    assert (again.returncode, json.loads(again.stdout)["error"]["type"]) == (1, "cancelled")
    assert p.told() == ["a", "b"]


@both
def test_cancel_after_the_process_died(make, language):
    p = make(language)
    p.start_and_kill("steps")
    assert p.capsule("cancel", "r").returncode == 0
    again = p.resume()
    assert (again.returncode, json.loads(again.stdout)["error"]["type"]) == (1, "cancelled")
    assert p.told() == ["a", "b"]
    assert p.show()["state"] == "cancelled"


@both
def test_ctrl_c_after_a_resume(make, language):
    p = make(language)
    p.start_and_kill("steps")
    process = p.begin("resume", "r")
    p.held(times=2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert json.loads(p.capsule("ps", "--json").stdout)[0]["state"] == "cancelled"


# --- forks


def fork(p, run, step, *options):
    done = p.capsule("fork", run, "--from", str(step), "--json", *options)
    return re.match(r"forked: (\S+)\n", done.stderr)[1], result_of(done)


@both
def test_fork(make, language):
    p = make(language)
    p.open()
    words = ["run", p.file.name, "--task", "forked", "--run-id", "r", p.server.url, "--json"]
    original = result_of(p.capsule(*words))
    assert original == ["r", [True, "r"], [True, "r"], [True, "r"]]
    tasks = p.show()["tasks"]
    steps = [t["id"] for t in tasks if t["name"] == "identified"]
    told = ["one", "two", "three"]
    assert p.told() == told
    p.file.write_text("changed (")
    new, result = fork(p, "r", steps[1])
    told += ["two", "three"]
    assert p.told() == told
    assert result[0] == "r"  # what it was told before
    assert p.show(new)["forked_from"] == f"r#{steps[1]}"
    # what is executed anew is told the new run's id, so that its effects are others
    assert [seen[1] for seen in result[1:]] == ["r", new, new]
    newer, again = fork(p, new, steps[2])
    told += ["three"]
    assert p.told() == told
    assert [seen[1] for seen in again[1:]] == ["r", new, newer]
    assert p.show(newer)["forked_from"] == f"{new}#{steps[2]}"
    assert p.resumed(run=new) == result
    assert p.resumed() == original


@both
def test_fork_of_a_run_that_was_killed(make, language):
    p = make(language)
    p.start_and_kill("steps")
    p.open()
    _, result = fork(p, "r", 3)
    assert result == [1, [2], "go", 3]
    assert p.told() == ["a", "b", "b", "c"]
    assert p.resumed() == result
    assert p.told() == ["a", "b", "b", "c", "c"]


def test_forks_that_can_not_be(make):
    p = make()
    p.start_and_kill("nest", "2")
    for step in ("99", "0", "1", "-1", "x", "#", "18446744073709551616", "1.1"):
        done = p.capsule("fork", "r", "--from", step)
        assert (done.returncode, done.stdout) == (2, ""), step
        assert done.stderr.startswith("error: "), step
    assert p.capsule("fork", "r").returncode == 2
    assert len(json.loads(p.capsule("ps", "--json").stdout)) == 1


@both
@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_fork_from_any_depth(make, language, step):
    p = make(language)
    p.open()
    p.capsule("run", p.file.name, "--task", "nest", "--run-id", "r", p.server.url, "2", "--json")
    before = p.told()
    assert before == ["down-2", "down-1", "up-1", "up-2"]
    new, keys = fork(p, "r", step)
    assert len(keys) == 5
    view = p.show(new)
    assert view["state"] == "completed"
    # what had ended before the step was called isn't run again
    done = {2: before, 3: before[1:], 4: before[1:], 5: before[2:]}[step]
    assert p.told() == before + done
