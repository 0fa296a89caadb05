"""Fixtures for the Python package: its guest side runs natively, in a process of its own, with a fake host."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SANDBOX = Path(__file__).parent / "fake_sandbox.py"


@pytest.fixture
def sandbox(tmp_path):
    """sandbox(source, *calls, replies=…, files=…) -> answer of fake_sandbox.py."""

    def run(source, *calls, replies=(), files=None, entry="main.py", module="main", path=()):
        project = tmp_path / "project"
        for name, text in {entry: source, **(files or {})}.items():
            file = project / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        request = {
            "project": str(project),
            "entry": str(project / entry),
            "module": module,
            "path": [str(project), *path],
            "calls": list(calls),
            "replies": list(replies),
        }
        command = [sys.executable, SANDBOX]
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        answer["stderr"] = done.stderr
        return answer

    return run
