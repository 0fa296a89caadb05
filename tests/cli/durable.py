"""A project with tests/guest/durable.py or js/durable.ts, whose runs are killed, and the server that they ask."""

import json
import shutil
from pathlib import Path

import pytest

from tests.server.server import Connection, Request, Server, route, wait_until

PROGRAMS = Path(__file__).resolve().parent.parent / "guest"
FILES = {"python": PROGRAMS / "durable.py", "typescript": PROGRAMS / "js" / "durable.ts"}
both = pytest.mark.parametrize("language", ["python", "typescript"])


@route("/tell/*")
def tell(c: Connection, r: Request) -> None:
    """Gives back what it was told."""
    c.answer(r.body)


@route("/hold/*")
def hold(c: Connection, r: Request) -> None:
    """Answers when the gate of this name is open."""
    name = r.path.split("/")[2]
    gates = gates_of(c.server)
    with c.server.here:
        while not {name, "*"} & gates:
            c.server.here.wait(0.05)
            if c.server.stopping.is_set():
                raise OSError("stopping")
    c.answer("go")


def gates_of(server: Server) -> set[str]:
    return server.__dict__.setdefault("gates", {"open"})


class Project:
    """A folder with the program, and its runs."""

    def __init__(self, folder, server, capsule, start, language):
        self.folder, self.server, self.capsule, self.begin = folder, server, capsule, start
        self.file = folder / FILES[language].name
        self.data = folder / "data"
        shutil.copy(FILES[language], self.file)
        self.data.mkdir()
        (folder / "capsule.toml").write_text(
            f'[tasks]\ndefault_allowed_hosts = ["{server.address}"]\n'
            f'[secrets]\nKEY = {{ hosts = ["{server.address}"] }}\n'
        )

    def start(self, task, *args, run="r", **keywords):
        words = ["--run-id", run, "--json", "--task", task, self.file.name, self.server.url, *args]
        return self.begin("run", *words, **keywords)

    def held(self, name="here", times=1):
        """Waits until the program is there."""
        assert wait_until(lambda: len(self.server.at(f"/hold/{name}")) >= times), self.told()
        return True

    def start_and_kill(self, task, *args, at="here", **keywords):
        times = len(self.server.at(f"/hold/{at}"))
        process = self.start(task, *args, **keywords)
        if not wait_until(lambda: len(self.server.at(f"/hold/{at}")) > times or process.poll() is not None):
            process.kill()
        assert process.poll() is None, process.communicate()
        kill(process)

    def open(self, name="*"):
        with self.server.here:
            gates_of(self.server).add(name)
            self.server.here.notify_all()

    def resume(self, *options, run="r", gate="*", **keywords):
        self.open(gate)
        done = self.capsule("resume", run, "--json", *options, **keywords)
        return done

    def resumed(self, *options, **keywords):
        """The result."""
        return result_of(self.resume(*options, **keywords))

    def told(self):
        return [r.path.removeprefix("/tell/") for r in self.server.requests if r.path.startswith("/tell/")]

    def bodies(self, name):
        return [json.loads(r.body) for r in self.server.at(f"/tell/{name}")]

    def show(self, run="r"):
        done = self.capsule("show", run, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def result_of(done):
    envelope = json.loads(done.stdout)
    assert envelope["success"], (envelope["error"], done.stderr)
    assert done.returncode == 0
    return envelope["result"]


def kill(process):
    process.kill()
    return process.communicate()


def projects(tmp_path, server, capsule, capsule_start):
    """What the fixture `make` of a test file yields: make(language) -> Project."""
    gates_of(server).clear()
    gates_of(server).add("open")

    def call(language="python"):
        return Project(tmp_path, server, capsule, capsule_start, language)

    yield call
    with server.here:
        gates_of(server).add("*")
        server.here.notify_all()
