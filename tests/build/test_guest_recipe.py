"""guest/recipe.sh puts whole guests in place and nothing else; guest/js/engine/adapt.sh notices an engine that has
changed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {"core.wasm": "code", "memory.bin": "memory", "lib/a.py": "a", "lib/sub/b.py": "b"}

# Seals a result, as recipes do, then puts it into a folder.
INSTALL = """
root=$ROOT
. "$root/deps/recipe.sh"
. "$root/guest/recipe.sh"
{before}
guest_install "$1" js 1.0 "$2/core.wasm" "$2/memory.bin" sub/ "$2/lib"
"""
SEAL = """
root=$ROOT
. "$root/deps/recipe.sh"
. "$root/guest/recipe.sh"
cd "$2/.."
seal "$2"
"""


def start(script: str, *arguments: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "ROOT": str(ROOT)}
    command = ["bash", "-c", script, "recipe", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, text=True, stdout=pipe, stderr=pipe, start_new_session=True)


def run(script: str, *arguments: Path) -> tuple[int, str]:
    process = start(script, *arguments)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def result(folder: Path, **changed: str) -> Path:
    """A sealed result of a recipe."""
    for name, text in {**FILES, **changed}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert run(SEAL, folder, folder) == (0, "")
    return folder


def installed(place: Path) -> dict[str, str]:
    folder = place / "js"
    found = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert json.loads(found.pop("guest.json")).keys() == {"name", "version", "digest"}
    return found


WHOLE = {name.replace("lib/", "sub/lib/"): text for name, text in FILES.items()}


def test_a_guest_is_put_in_place_and_replaced_when_it_changed(tmp_path: Path) -> None:
    first, place = result(tmp_path / "first"), tmp_path / "place"
    assert run(INSTALL.format(before=""), place, first) == (0, "")
    assert installed(place) == WHOLE
    folder = (place / "js").stat().st_ino
    assert run(INSTALL.format(before=""), place, first) == (0, "")
    assert (place / "js").stat().st_ino == folder, "it was put there again"
    second = result(tmp_path / "second", **{"core.wasm": "other code"})
    assert run(INSTALL.format(before=""), place, second) == (0, "")
    assert installed(place) == {**WHOLE, "core.wasm": "other code"}
    assert not [file for file in place.iterdir() if file.name not in ("js", ".js.lock")]


def test_what_is_in_place_cannot_be_written_through(tmp_path: Path) -> None:
    """Files are links into the cache, so nobody may change them."""
    run(INSTALL.format(before=""), tmp_path / "place", result(tmp_path / "cache"))
    for file in (tmp_path / "place" / "js").rglob("*"):
        assert file.is_dir() or file.name == "guest.json" or not file.stat().st_mode & 0o222


@pytest.mark.parametrize("command", ["link_or_copy", "mv"])
def test_an_interrupted_installation_is_done_by_the_next(tmp_path: Path, command: str) -> None:
    place, signs = tmp_path / "place", tmp_path / "begun"
    assert run(INSTALL.format(before=""), place, result(tmp_path / "first"))[0] == 0
    second = result(tmp_path / "second", **{"core.wasm": "other code"})
    hanging = f'{command}() {{ touch "{signs}"; sleep 60; }}'
    process = start(INSTALL.format(before=hanging), place, second)
    while not signs.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert installed(place) == WHOLE, "the old one is there until the new one is"
    assert run(INSTALL.format(before=""), place, second) == (0, "")
    assert installed(place) == {**WHOLE, "core.wasm": "other code"}
    assert not [file for file in place.iterdir() if file.name not in ("js", ".js.lock")]


def test_parallel_installations(tmp_path: Path) -> None:
    results = [result(tmp_path / str(i), **{"core.wasm": str(i)}) for i in range(4)]
    for process in [start(INSTALL.format(before=""), tmp_path / "place", one) for one in results * 2]:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
    found = installed(tmp_path / "place")
    assert found == {**WHOLE, "core.wasm": found["core.wasm"]}


def test_only_sealed_results_are_put_in_place(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    for name in ("core.wasm", "memory.bin"):
        (loose / name).write_text("")
    (loose / "lib").mkdir()
    code, err = run(INSTALL.format(before=""), tmp_path / "place", loose)
    assert code != 0
    assert "belongs to no sealed result" in err
    assert not (tmp_path / "place" / "js").exists()


def test_two_builds_into_one_folder(tmp_path: Path) -> None:
    """The real thing; `make guests` has filled the cache."""
    place = tmp_path / "place"
    builds = [start('"$ROOT/guest/js/build.sh" "$1"', place) for _ in range(2)]
    for process in builds:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert {file.name for file in (place / "js").iterdir()} == {"core.wasm", "memory.bin", "guest.json"}
    assert subprocess.run([place / "esbuild", "--version"], stdout=subprocess.DEVNULL).returncode == 0
    assert {file.name for file in place.iterdir()} == {"js", "esbuild", ".js.lock"}


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "guest/js/build.sh", tmp_path / "place", "fast"],
        env={**os.environ, "CAPSULE_BUILD_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no such variant: fast" in done.stderr
    assert not (tmp_path / "place").exists()


# --- changes to the engine's source

ADAPT = """
here=$ROOT/guest/js
. "$ROOT/deps/recipe.sh"
. "$here/engine/adapt.sh"
adapt() {
    cp "$SOURCE" quickjs.c
    engine_adapt
    cp quickjs.c "$out/"
}
recipe_open_cache
recipe adapted adapt
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's source as it was downloaded: `make guests` has done that."""
    home = os.environ.get("HOME", "")
    cache = Path(os.environ.get("CAPSULE_BUILD_CACHE") or Path(home) / ".cache/capsule-build")
    (archive,) = cache.glob("fetch-*/quickjs_ng-*.tar.gz")
    file = tmp_path_factory.mktemp("engine") / "quickjs.c"
    with tarfile.open(archive) as tar:
        (member,) = [name for name in tar.getnames() if name.endswith("/upstream-quickjs/quickjs.c")]
        content = tar.extractfile(member)
        assert content
        file.write_bytes(content.read())
    return file


def adapt(tmp_path: Path, source: Path) -> tuple[int, str]:
    env = {**os.environ, "ROOT": str(ROOT), "SOURCE": str(source), "CAPSULE_BUILD_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(["bash", "-c", ADAPT], env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def expected_lines() -> list[str]:
    """The lines that the steps look for, as they stand in the script."""
    script = (ROOT / "guest/js/engine/adapt.sh").read_text()
    return re.findall(r"engine_replace quickjs\.c '([^'\n]*)'|grep -cFx '([^'\n]*)'", script)  # type: ignore[return-value]


def test_the_engine_is_as_expected(tmp_path: Path, source: Path) -> None:
    code, err = adapt(tmp_path, source)
    assert code == 0, err


@pytest.mark.parametrize("line", [first or second for first, second in expected_lines()])
@pytest.mark.parametrize("change", ["gone", "twice"])
def test_a_changed_engine_fails_the_build(tmp_path: Path, source: Path, line: str, change: str) -> None:
    text = source.read_text()
    assert f"\n{line}\n" in text
    other = tmp_path / "quickjs.c"
    other.write_text(text.replace(f"\n{line}\n", "\n" if change == "gone" else f"\n{line}\n{line}\n"))
    code, err = adapt(tmp_path, other)
    assert code == 1
    assert re.search(r"try: .*quickjs\.c .*adapt", err), err
    assert not list((tmp_path / "cache").glob("adapted-*"))


@pytest.mark.parametrize(
    "statement", ["JS_REF_COUNT(p)++;", "++JS_REF_COUNT(p);", "JS_REF_COUNT(f(p))--;", "JS_REF_COUNT(p) += 2;"]
)
def test_a_count_that_is_kept_in_another_way_fails_the_build(tmp_path: Path, source: Path, statement: str) -> None:
    other = tmp_path / "quickjs.c"
    other.write_text(source.read_text() + f"\nvoid f(void *p) {{ {statement} }}\n")
    code, err = adapt(tmp_path, other)
    assert code == 1
    assert re.search(r"try: .*quickjs\.c .*adapt", err), err
