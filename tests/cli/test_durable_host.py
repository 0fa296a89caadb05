"""What a machine does to recorded runs: large values, images that are gone, other processes, disks that are full."""

import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.cli.durable import both, kill, projects
from tests.server.server import wait_until

# --- large values, many tasks


def test_a_large_result(make):
    p = make()
    p.start_and_kill("larges", "50")
    blobs = sum(path.stat().st_size for path in (p.folder / ".capsule" / "blobs").rglob("*") if path.is_file())
    assert blobs >= 50_000_000
    assert p.resumed() == [50_000_000, "xxx"]
    assert [t["attempts"] for t in p.show()["tasks"]] == [1, 1, 1]


@pytest.mark.parametrize("n", [1000, 25_000])
def test_many_tasks(make, n):
    p = make()
    p.start_and_kill("many", str(n))
    assert p.resumed() == n * (n - 1) // 2 + 4950
    view = p.show()
    assert len(view["tasks"]) == n + 102
    assert {t["attempts"] for t in view["tasks"]} == {1}
    assert f"tasks     {n + 102}: {n + 102} completed" in p.capsule("show", "r").stdout


def test_arguments_that_are_too_large(make):
    p = make()
    text = "x" * (64 * 1024 * 1024 - 100)
    (p.folder / "args.json").write_text(json.dumps([text, 1]))
    done = p.capsule("run", p.file.name, "--task", "hold", "--args-file", "args.json", "--run-id", "r")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"error: bad_input: a message of \d+ bytes is longer than the limit of \d+", done.stderr), done


@pytest.fixture
def make(tmp_path, server, capsule, capsule_start):
    yield from projects(tmp_path, server, capsule, capsule_start)


# --- the image


@pytest.fixture
def without_images(capsule_cache, tmp_path):
    """The environment of another cache, that has the guests and no application."""
    cache = tmp_path / "cache"

    def copy():
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(capsule_cache, cache, ignore=shutil.ignore_patterns("*.image*", "*.app"))
        return {"CAPSULE_CACHE": str(cache)}

    yield copy
    shutil.rmtree(cache, ignore_errors=True)


@both
def test_suspended_without_its_cache(make, without_images, language):
    """Which is in the journal's folder then."""
    p = make(language)
    (p.folder / "waits.py").write_text(WAITS)
    (p.folder / "waits.ts").write_text(WAITS_TS)
    file = "waits" + p.file.suffix
    assert p.capsule("run", file, "--run-id", "r").returncode == 75
    (p.folder / file).write_text("changed (")
    done = p.capsule("signal", "r", "go", "1", env=without_images())
    assert (done.returncode, done.stdout) == (0, "[1,1]\n"), done.stderr


WAITS = """
from capsule import task, wait_signal
@task
def main():
    return [wait_signal("go"), 1]
"""
WAITS_TS = """
import { task, waitSignal } from "@capsule-run/sdk";
export const main = task({ name: "main" }, async () => [await waitSignal("go"), 1]);
"""


def damage(path):
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"damaged")


def cut(path):
    os.chmod(path, 0o600)
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    path.write_text("")


@pytest.mark.parametrize("how", [damage, cut, Path.unlink])
def test_suspended_and_its_image_is_damaged(make, without_images, how):
    p = make()
    (p.folder / "waits.py").write_text(WAITS)
    assert p.capsule("run", "waits.py", "--run-id", "r").returncode == 75
    (image,) = [f for f in (p.folder / ".capsule" / "images").iterdir() if f.suffix != ".digest"]
    how(image)
    for words in (["resume", "r"], ["signal", "r", "go", "1"], ["worker", "--timers", "--once"]):
        done = p.capsule(*words, env=without_images())
        assert done.returncode == 2, done
        assert ("gone from the cache" if how == Path.unlink else "isn't what was written") in done.stderr, done
    done = p.capsule("resume", "r", "--wait")  # the cache has it
    assert (done.returncode, done.stdout) == (0, "[1,1]\n")


def test_killed_at_once_and_the_cache_is_gone(make, without_images):
    p = make()
    p.start_and_kill("steps")
    shutil.rmtree(p.folder / ".capsule" / "images", ignore_errors=True)
    done = p.capsule("resume", "r", env=without_images())
    assert done.returncode == 2
    assert "error: the application's image, which the run began with, is gone from the cache\nhint: " in done.stderr
    assert p.resumed() == [1, [2], "go", 3]


# --- several processes


def test_two_resume_at_once(make):
    p = make()
    p.start_and_kill("steps")
    processes = [p.begin("resume", "r") for _ in range(4)]
    p.held(times=2)
    assert wait_until(lambda: sum(one.poll() is not None for one in processes) == 3)
    p.open()
    outcomes = {one.pid: (*one.communicate(timeout=30), one.returncode) for one in processes}
    (winner,) = [pid for pid, outcome in outcomes.items() if outcome == ('[1,[2],"go",3]\n', "", 0)]
    for pid, (out, err, code) in outcomes.items():
        if pid != winner:
            assert (out, code) == ("", 2)
            assert f"process {winner}" in err
    assert p.told() == ["a", "b", "c"]


def test_a_process_that_was_stopped_and_wakes_up(make):
    """Its lease is taken by hand, as another process would after half a minute."""
    p = make()
    process = p.start("steps")
    p.held()
    process.send_signal(signal.SIGSTOP)
    with sqlite3.connect(p.folder / ".capsule" / "journal.db") as db:
        db.execute("UPDATE run SET lease_until = 1")
    db.close()
    other = p.begin("resume", "r")
    p.held(times=2)
    p.open()
    assert other.communicate(timeout=30) == ('[1,[2],"go",3]\n', "")
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (1, 2), (out, err)
    assert not json.loads(out)["success"]
    assert p.told() == ["a", "b", "c"]
    assert p.resumed() == [1, [2], "go", 3]


def test_eight_processes(make):
    p = make()
    p.open()
    processes = [p.start("steps", run=f"r-{i}") for i in range(8)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert json.loads(out)["result"] == [1, [2], "go", 3], err
    runs = json.loads(p.capsule("ps", "--json").stdout)
    assert sorted(run["run_id"] for run in runs) == [f"r-{i}" for i in range(8)]
    assert {run["state"] for run in runs} == {"completed"}
    assert sorted(p.told()) == sorted(["a", "b", "c"] * 8)


def test_eight_processes_that_are_killed(make):
    p = make()
    processes = [p.start("steps", run=f"r-{i}") for i in range(8)]
    p.held(times=8)
    for process in processes:
        kill(process)
    p.open()
    others = [p.begin("resume", f"r-{i}") for i in range(8)]
    assert [other.communicate(timeout=60)[0] for other in others] == ['[1,[2],"go",3]\n'] * 8
    assert sorted(p.told()) == sorted(["a", "b", "c"] * 8)


# --- a journal that can't be written


def test_a_project_that_can_not_be_written(make, tmp_path):
    p = make()
    p.open()
    folder = tmp_path / "read-only"
    (folder / "data").mkdir(parents=True)
    shutil.copy(p.file, folder)
    shutil.copy(tmp_path / "capsule.toml", folder)
    program = [p.file.name, "--task", "steps", p.server.url]
    readonly(folder, True)
    try:
        done = p.capsule("run", *program, cwd=folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--no-journal" in done.stderr
        assert p.capsule("run", *program, "--no-journal", cwd=folder).stdout == '[1,[2],"go",3]\n'
        assert p.told() == ["a", "b", "c"]
    finally:
        readonly(folder, False)
    assert not (folder / ".capsule").exists()


def readonly(folder, on):
    if os.geteuid() != 0:
        os.chmod(folder, 0o500 if on else 0o700)
    elif on:
        subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], check=True)
    else:
        subprocess.run(["umount", folder], check=True)


def test_a_journal_that_can_not_be_written(make):
    p = make()
    p.start_and_kill("steps")
    folder = p.folder / ".capsule"
    readonly(folder, True)
    try:
        listed = p.capsule("ps", "--json")
        assert (listed.returncode, json.loads(listed.stdout)[0]["state"]) == (0, "interrupted"), listed.stderr
        done = p.resume()
        assert done.returncode == 2
        assert ".capsule" in done.stderr
    finally:
        readonly(folder, False)
    assert p.resumed() == [1, [2], "go", 3]


@pytest.mark.parametrize("mb", [4, 16])
def test_full_disk(make, mb):
    """What is on record isn't lost."""
    p = make()
    p.open()
    folder = p.folder / ".capsule"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=700", "none", folder], check=True)
    try:
        done = p.capsule("run", p.file.name, "--task", "larges", "--run-id", "r", "--json", p.server.url, "50")
        assert (done.returncode, json.loads(done.stdout)["error"]["type"]) == (2, "host_error"), done
        assert "full" in done.stderr or "space" in done.stderr, done.stderr
        assert p.server.at("/hold/here") == []
        again = p.capsule("resume", "r")
        assert again.returncode == 2
        subprocess.run(["mount", "-o", "remount,size=200m", folder], check=True)
        assert p.resumed() == [50_000_000, "xxx"]
        assert len(p.server.at("/hold/here")) == 1
    finally:
        subprocess.run(["umount", folder], check=True)


def test_file_size_limit(make, capsule_bin):
    p = make()
    p.open()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000_000, 30_000_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    words = ["run", p.file.name, "--task", "larges", "--run-id", "r", "--json", p.server.url, "50"]
    p.capsule(*words[:2], "--task", "trivial", "1")
    done = p.capsule(*words, preexec_fn=limit)
    assert (done.returncode, json.loads(done.stdout)["error"]["type"]) == (2, "host_error"), done
    assert p.server.at("/hold/here") == []
    assert p.resumed() == [50_000_000, "xxx"]


def test_a_journal_that_vanishes(make):
    """Under a run that's being executed: it says so, rather than to go on without a record."""
    p = make()
    process = p.start("steps")
    p.held()
    shutil.rmtree(p.folder / ".capsule")
    p.open()
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 2), (out, err)
    assert json.loads(out)["success"] == (process.returncode == 0)
    assert (process.returncode == 0) or ".capsule" in err, err
    assert p.told() in (["a", "b", "c"], ["a", "b"])


def test_damaged_pages(make):
    """Whatever is read: an error that names the journal, or what was written."""
    p = make()
    p.open()
    for i in range(3):
        p.capsule("run", p.file.name, "--task", "many", "--run-id", f"r-{i}", "--json", p.server.url, "300")
    with sqlite3.connect(p.folder / ".capsule" / "journal.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    path = p.folder / ".capsule" / "journal.db"
    good = path.read_bytes()
    pages = len(good) // 4096
    for page in range(pages):
        data = bytearray(good)
        at = page * 4096 + (100 if page == 0 else 0)
        data[at : at + 3000] = bytes((i * 7 + page) % 256 for i in range(3000))
        path.write_bytes(data)
        for name in ("journal.db-wal", "journal.db-shm"):
            (path.parent / name).unlink(missing_ok=True)
        if page % 5 in (0, 1) or page < 8:
            for words in (["ps"], ["show", "r-1"], ["logs", "r-1"], ["resume", "r-1"], ["doctor"]):
                done = p.capsule(*words, timeout=30)
                assert done.returncode in (0, 1, 2), (page, words, done)
                assert done.returncode == 0 or done.stderr or words == ["doctor"], (page, words)
