"""For tests of the command line: programs written on the spot, and proof that nothing stays behind."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.fixtures import _public, _resolver, _server, _tls, http_run, names, public, server, site, tls  # noqa: F401


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Write a program: program("@task\\ndef main(): …") -> main.py with the imports on its first line."""

    def write(
        code: str, name: str = "main.py", imports: str = "from capsule import TaskError, context, task; "
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(imports + "import json, os, sys, time\n" + textwrap.dedent(code).lstrip("\n"))
        return path

    return write


@pytest.fixture(autouse=True)
def nothing_left_behind(
    capsule_cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No test may leave a temporary file: neither in $TMPDIR nor in the cache."""
    folder = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert os.listdir(folder) == []
    unfinished = capsule_cache / "tmp"
    assert not unfinished.exists() or os.listdir(unfinished) == []
