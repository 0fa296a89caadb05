"""The process ends, as if killed, at every place where the host can fail; then the run is resumed, and nothing is lost.

Needs a program with fault points, which `make test` builds under build/cmake/asan.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROGRAM = Path(os.environ.get("CAPSULE_FAULTS_BIN", ROOT / "build" / "cmake" / "asan" / "capsule"))
EXPECTED = {"total": 30, "text": 200000, "answer": {"ok": True}, "sane": True}
EXIT = 99  # base/fault.c
VISITS = (1, 2, 3, 5, 9, 20)


def fault_points() -> list[str]:
    """Those that lie on the way of a run. What other commands do is tested where they are."""
    text = "".join(path.read_text() for path in (ROOT / "src").glob("*/*.c"))
    return sorted(set(re.findall(r'FAULT\("([a-z_.0-9]+)"\)', text)))


class Run:
    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env
        (folder / "marks").mkdir(parents=True)
        shutil.copy(Path(__file__).parent / "small.py", folder / "main.py")

    def call(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *args],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def is_recorded(self) -> bool:
        return self.call("show", "R", "--json").returncode == 0

    def completed(self) -> dict[str, int]:
        """Steps on record as completed, and how often they have run."""
        tasks = json.loads(self.call("show", "R", "--json").stdout)["tasks"]
        keys = [t["key"].replace("/", "-") for t in tasks if t["state"] == "completed" and t["name"] == "step"]
        return {key: (self.folder / "marks" / key).read_text().count("\n") for key in keys}

    def go_on(self, **env: str) -> subprocess.CompletedProcess[str]:
        """Begins the run, goes on with it, or answers it."""
        if not self.is_recorded():
            return self.call("run", "main.py", "--run-id", "R", **env)
        state = json.loads(self.call("show", "R", "--json").stdout)["state"]
        if state == "suspended":
            return self.call("signal", "R", "go", '{"ok": true}', **env)
        return self.call("resume", "R", **env)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose cache holds the guest and the program's image."""
    folder = tmp_path_factory.mktemp("fault-points")
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    env = {
        **kept,
        "CAPSULE_CACHE": str(folder / "cache"),
        "CAPSULE_GUESTS": str(ROOT / "build" / "lib" / "capsule"),
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    run = Run(folder / "warm", env)
    assert run.go_on().returncode == 75
    done = run.go_on()
    assert (done.returncode, json.loads(done.stdout)) == (0, EXPECTED), done.stderr
    return env


def finish(run: Run) -> None:
    """Without faults it ends, with the right result, and repeats nothing that was on record."""
    for _ in range(4):
        before = run.completed() if run.is_recorded() else {}
        done = run.go_on()
        after = run.completed()
        assert {key: after[key] for key in before} == before
        if done.returncode != 75:
            break
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert json.loads(done.stdout) == EXPECTED
    with sqlite3.connect(run.folder / ".capsule" / "journal.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


@pytest.mark.parametrize("point", fault_points())
def test_exit_at_a_fault_point(warm: dict[str, str], tmp_path: Path, point: str) -> None:
    for visit in VISITS:
        run = Run(tmp_path / str(visit), warm)
        reached = False
        for _ in range(3):  # in each of the processes that the run needs
            done = run.go_on(CAPSULE_FAULT=f"{point}:{visit}", CAPSULE_FAULT_EXIT="1")
            assert done.returncode in (0, 75, EXIT), done.stderr
            reached |= done.returncode == EXIT
            if done.returncode == 0:
                break
        if done.returncode != 0:
            finish(run)
        if not reached:  # nor will it be at a later visit
            break
        shutil.rmtree(run.folder)
