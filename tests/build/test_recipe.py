"""deps/recipe.sh keeps its promises: nothing half-built is ever taken for whole, builders don't clash, and
errors say what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "deps" / "recipe.sh"

# A recipe that logs that it ran, then does BODY.
SCRIPT = """
. "{library}"
make_thing() {{
    echo ran >>"$COUNT"
    step "prepare the thing"
    hint "bring a thing"
    {body}
    echo whole >"$out/thing"
}}
recipe_open_cache
recipe thing make_thing "$@"
cat "$result/thing"
"""


def start(tmp_path: Path, body: str, *inputs: str) -> subprocess.Popen[str]:
    env = {**os.environ, "CAPSULE_BUILD_CACHE": str(tmp_path / "cache"), "COUNT": str(tmp_path / "count")}
    script = SCRIPT.format(library=LIBRARY, body=body)
    return subprocess.Popen(
        ["bash", "-c", script, "recipe", *inputs],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run(tmp_path: Path, body: str, *inputs: str) -> tuple[int, str, str]:
    process = start(tmp_path, body, *inputs)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "count").read_text().splitlines())


def results(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").iterdir() if p.is_dir() and p.name not in {"log", "used"})


def test_builds_once_and_again_when_an_input_changes(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, ":", "text:1")[:2] == (0, "whole\n")
    assert runs(tmp_path) == 1
    assert run(tmp_path, ":", "text:2")[0] == 0
    assert run(tmp_path, "true", "text:2")[0] == 0  # the recipe's own text is an input too
    source = tmp_path / "source"
    for content in ("a", "b"):
        source.write_text(content)
        assert run(tmp_path, ":", f"file:{source}")[0] == 0
    assert runs(tmp_path) == 5


def test_a_failing_command_in_the_middle_fails_the_recipe_and_leaves_nothing(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "echo the reason; false")
    assert (code, out) == (1, "")
    assert "thing failed at: prepare the thing" in err
    assert "| the reason" in err
    assert "try: bring a thing" in err
    assert str(tmp_path / "cache" / "log" / "thing.log") in err
    assert results(tmp_path) == []


def test_a_killed_build_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    process = start(tmp_path, 'touch "$out/thing"; touch "$COUNT.begun"; sleep 60')
    while not (tmp_path / "count.begun").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert all(name.startswith(".tmp-") for name in results(tmp_path))
    assert run(tmp_path, ":")[:2] == (0, "whole\n")
    assert not any(name.startswith(".tmp-") for name in results(tmp_path)), "the dead build's folder stays"


def test_parallel_builds_build_once(tmp_path: Path) -> None:
    processes = [start(tmp_path, "sleep 0.3") for _ in range(4)]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "whole\n")
    assert runs(tmp_path) == 1


def test_results_that_nobody_asked_for_in_weeks_are_dropped(tmp_path: Path) -> None:
    run(tmp_path, ":", "text:old")
    run(tmp_path, ":", "text:young")
    old = min((tmp_path / "cache" / "used").iterdir(), key=lambda stamp: stamp.stat().st_mtime_ns)
    long_ago = time.time() - 20 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    run(tmp_path, ":", "text:new")
    assert len(results(tmp_path)) == 2
    assert old.name not in results(tmp_path)


def test_without_home_the_cache_must_be_named(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key not in {"HOME", "CAPSULE_BUILD_CACHE"}}
    script = f'. "{LIBRARY}"; recipe_open_cache; echo "$cache"'
    failed = subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True)
    assert failed.returncode == 1
    assert "HOME is not set" in failed.stderr
    assert "CAPSULE_BUILD_CACHE" in failed.stderr
    env["CAPSULE_BUILD_CACHE"] = str(tmp_path / "here")
    named = subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True)
    assert named.stdout == f"{tmp_path / 'here'}\n"


def test_a_fetched_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    script = f'. "{LIBRARY}"; get() {{ echo evil >"$out/f"; }}; recipe_open_cache; recipe_fetch f {"0" * 64} get'
    env = {**os.environ, "CAPSULE_BUILD_CACHE": str(tmp_path / "cache")}
    failed = subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True)
    assert failed.returncode == 1
    assert "check the digest of f" in failed.stderr
    assert results(tmp_path) == []
