"""The programs of the documents that Capsule began with, word for word (tests/seeds/), run as those say."""

import json
import shutil
from pathlib import Path

import pytest

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
API = {"/data": ("application/json", '{"items": [1, 2]}'), "/submit": ("application/json", '{"accepted": true}')}


@pytest.fixture
def run(capsule, tmp_path):
    """run("hello.py", *arguments, env=…) -> what it prints; the program lies alone in its folder."""

    def call(name, *arguments, **keywords):
        shutil.copy(SEEDS / name, tmp_path)
        done = capsule("run", name, *arguments, **keywords)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return call


def test_all_are_here():
    assert {file.name for file in SEEDS.iterdir()} == {
        f"{name}.{suffix}" for name in ("hello", "analyze", "files") for suffix in ("py", "ts")
    } | {"http_client.py", "fetch.ts"}


@pytest.mark.parametrize("name", ["hello.py", "hello.ts"])
def test_hello(run, name):
    assert run(name) == "Hello from Capsule!\n"


@pytest.mark.parametrize(("name", "arguments"), [("analyze.py", ["[1, 2, 3, 4, 5]"]), ("analyze.ts", [])])
def test_analyze(run, name, arguments):
    assert json.loads(run(name, *arguments)) == {"processed": 5, "status": "complete"}


@pytest.mark.parametrize("name", ["files.py", "files.ts"])
def test_files(run, name, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "input.txt").write_text("what was put in\n")
    assert run(name) == "what was put in\n\n"


def test_http_client(run, site):
    api = site("api.example.com", API)
    assert json.loads(run("http_client.py", env=api.env)) == {"status": 200, "success": True}
    get, post = api.server.requests
    assert (get.method, get.target) == ("GET", "/data")
    assert (post.method, post.target, json.loads(post.body)) == ("POST", "/submit", {"key": "value"})
    assert post.header("Content-Type") == "application/json"


def test_fetch(run, site):
    api = site("api.example.com", API)
    assert json.loads(run("fetch.ts", env=api.env)) == {"items": [1, 2]}
    assert [(one.method, one.target) for one in api.server.requests] == [("GET", "/data")]
