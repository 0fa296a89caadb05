"""Durable runs, killed: SIGKILL at random moments, and an exit at each fault point, then resumed until they end.

What is promised is checked from outside: a step that was on record as completed leaves no further mark; the result is
that of an undisturbed run; the journal is sound.
"""

from __future__ import annotations

import collections
import http.server
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KILLS = int(os.environ.get("CAPSULE_TEST_KILLS", "500"))  # of each workflow
STEPS = 200


class Counter(http.server.ThreadingHTTPServer):
    """Echoes JSON and counts requests by path."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.seen: collections.Counter[str] = collections.Counter()
        super().__init__(("127.0.0.1", 0), CountingHandler)

    def handle_error(self, *_: object) -> None:
        pass  # its clients are killed


class CountingHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one packet
    server: Counter

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen[self.path.lstrip("/").replace("/", "-")] += 1
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def counter() -> Iterator[Counter]:
    server = Counter()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class Project:
    """A folder with the workflow, and the commands on its runs."""

    def __init__(self, folder: Path, source: Path, binary: Path, env: dict[str, str], counter: Counter) -> None:
        self.folder, self.binary, self.env, self.counter = folder, binary, env, counter
        self.file = folder / ("main" + source.suffix)
        folder.mkdir()
        (folder / "marks").mkdir()
        shutil.copy(source, self.file)
        address = f"127.0.0.1:{counter.server_port}"
        self.url = f"http://{address}"
        (folder / "capsule.toml").write_text(f'[tasks]\ndefault_allowed_hosts = ["{address}"]\n')

    def start(self, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.binary, *args],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *args: str) -> str:
        done = subprocess.run(
            [self.binary, *args], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout

    def marks(self) -> collections.Counter[str]:
        """How often each step ran, by its idempotency key."""
        files = {path.name: path.read_text().count("\n") for path in (self.folder / "marks").iterdir()}
        return collections.Counter(files) + self.counter.seen

    def completed(self, run: str) -> set[str]:
        """Keys of the steps that are on record as completed."""
        tasks = json.loads(self.command("show", run, "--json"))["tasks"]
        return {t["key"].replace("/", "-") for t in tasks if t["state"] == "completed"}

    def check_integrity(self) -> None:
        with sqlite3.connect(self.folder / ".capsule" / "journal.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()


def is_on_record(project: Project, run: str) -> bool:
    listed = project.start("ps", "--json", "--all")
    out, err = listed.communicate(timeout=60)
    if listed.returncode != 0:  # it was killed before there was a journal
        assert "no run has been recorded" in err or "is empty" in err, err
        return False
    return any(row["run_id"] == run for row in json.loads(out))


@pytest.fixture
def project(tmp_path: Path, capsule_bin: Path, capsule_env: dict[str, str], counter: Counter):
    made = 0

    def make(source: str) -> Project:
        nonlocal made
        made += 1
        counter.seen.clear()
        return Project(tmp_path / str(made), HERE / source, capsule_bin, capsule_env, counter)

    return make


def undisturbed(project: Project) -> tuple[str, float]:
    """The result, and how long it took."""
    project.command("run", project.file.name, project.url)  # warms the cache
    shutil.rmtree(project.folder / "marks")
    (project.folder / "marks").mkdir()
    began = time.monotonic()
    result = project.command("run", project.file.name, project.url)
    return result, time.monotonic() - began


def begin(project: Project, run: str) -> tuple[str, ...]:
    """The command that begins the run, or goes on with it."""
    if is_on_record(project, run):
        return ("resume", run)
    return ("run", project.file.name, project.url, "--run-id", run)


def end_or_kill(process: subprocess.Popen[str], after: float) -> bool:
    """Whether it was killed."""
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return True


@pytest.mark.parametrize("source", ["workflow.py", "workflow.ts"])
def test_killed_at_random_moments(project, counter, source):
    expected, seconds = undisturbed(project(source))
    chance = random.Random(20261124)
    kills = runs = 0
    while kills < KILLS:
        p, run = project(source), f"run-{runs}"
        runs += 1
        before: collections.Counter[str] = collections.Counter()
        for _ in range(200):
            process = p.start(*begin(p, run))
            killed = end_or_kill(process, chance.uniform(0.0, 0.6 * seconds))
            out, err = process.communicate(timeout=60)
            kills += killed
            if not killed:
                assert (process.returncode, out) == (0, expected), (kills, run, err)
                break
            if is_on_record(p, run):
                marks = p.marks()
                again = {key for key in before if marks[key] != before[key]}
                assert not again, f"completed steps ran again: {again}"
                before = collections.Counter({key: marks[key] for key in p.completed(run) if key in marks})
        else:
            pytest.fail("the run made no progress")
        marks = p.marks()
        assert not {key for key in before if marks[key] != before[key]}
        keys = p.completed(run)
        assert len(keys) >= STEPS
        p.check_integrity()
        shutil.rmtree(p.folder)
    print(f"{source}: {kills} kills in {runs} runs, {seconds:.2f} s undisturbed")

