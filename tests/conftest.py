"""What all tests share: the program under test, and a cache of its own that the guest is compiled into once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "not_under_stress: too much for a guest that collects garbage before every allocation"
    )


@pytest.fixture(scope="session")
def capsule_bin() -> Path:
    """The program: $CAPSULE_BIN, else build/capsule."""
    path = Path(os.environ.get("CAPSULE_BIN", ROOT / "build" / "capsule")).resolve()
    assert path.is_file(), f"{path} isn't there; run make first"
    return path


@pytest.fixture(scope="session")
def capsule_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for this session."""
    return tmp_path_factory.mktemp("capsule-cache") / "cache"


@pytest.fixture
def capsule_env(capsule_cache: Path) -> dict[str, str]:
    """An environment in which nothing of the developer's changes what the program does."""
    kept = {
        k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "CAPSULE_GUESTS", "ASAN_OPTIONS")
    }
    return {**kept, "CAPSULE_CACHE": str(capsule_cache)}


def _default_signals() -> None:
    # A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def capsule(
    capsule_bin: Path, capsule_env: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the program: capsule("run", "hello.py", cwd=…, env={…}) -> CompletedProcess.

    cwd is tmp_path unless given; env is added to capsule_env (None removes a variable); prefix is a command that
    starts the program; other keywords go to subprocess.run.
    """

    def run(
        *args: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str | None] | None = None,
        prefix: Sequence[str] = (),
        **keywords: object,
    ) -> subprocess.CompletedProcess[str]:
        merged = {k: v for k, v in {**capsule_env, **(env or {})}.items() if v is not None}
        options: dict[str, object] = {
            "capture_output": not {"stdout", "stderr"} & keywords.keys(),
            "text": True,
            "timeout": SECONDS,
            "stdin": None if "input" in keywords else subprocess.DEVNULL,
            "preexec_fn": _default_signals,
            **keywords,
        }
        if "input" in keywords:
            del options["stdin"]
        if args[:1] == ("run",) and any(isinstance(a, Path) and a.is_relative_to(ROOT) for a in args):
            args = (*args[:1], "--no-journal", *args[1:])  # programs of this repository leave nothing in it
        return subprocess.run([*prefix, capsule_bin, *args], cwd=cwd or tmp_path, env=merged, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture
def run_program(capsule: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """run_program(file, *arguments, task="main") -> the result of that task; the run must succeed."""

    def call(file: Path, *arguments: str, task: str = "main", **keywords: object) -> Any:
        done = capsule("run", file, "--json", "--task", task, *arguments, **keywords)
        envelope = json.loads(done.stdout)
        assert envelope["success"], done.stderr
        return envelope["result"]

    return call


@pytest.fixture
def capsule_start(
    capsule_bin: Path, capsule_env: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program and return at once: capsule_start("run", …) -> Popen with pipes. Ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *args: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        **keywords: object,
    ) -> subprocess.Popen[str]:
        options: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "preexec_fn": _default_signals,
            **keywords,
        }
        process: subprocess.Popen[str] = subprocess.Popen(
            [capsule_bin, *args], cwd=cwd or tmp_path, env={**capsule_env, **(env or {})}, **options
        )  # type: ignore[call-overload]
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
