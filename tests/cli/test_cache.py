"""The cache, as its user meets it: damaged, pruned, and what `doctor` and `version` say of an installation."""

import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

MAIN = "@task\ndef main(): return 'ran'"


def run_of(capsule, file, cache):
    return capsule("run", file, env={"CAPSULE_CACHE": str(cache)})


def files_of(cache):
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file())


# --- damage: what isn't as it was written is built again, never used and never crashed on


def flip(path):
    data = bytearray(path.read_bytes())
    for i in range(0, len(data), max(len(data) // 64, 1)):
        data[i] ^= 0xFF
    path.write_bytes(data)


DAMAGES = {
    "flipped": flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "gone": os.unlink,
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "other bytes": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
}


@pytest.fixture
def used_cache(capsule, program, tmp_path, capsule_cache):
    """A program and a cache that has all it needs."""
    file = program(MAIN)
    assert capsule("run", file).stdout == "ran\n"
    copy = tmp_path / "cache"
    # the lock files are what a build is waited for with; they hold nothing
    shutil.copytree(capsule_cache, copy)
    return file, copy


def harm(path, damage):
    path.chmod(0o600)
    DAMAGES[damage](path)
    if path.exists():
        path.chmod(0o400)


def check_whole(capsule, file, cache, what):
    for _ in range(2):  # what was built again is there again
        result = run_of(capsule, file, cache)
        assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", ""), what
    assert not (cache / "tmp").exists() or os.listdir(cache / "tmp") == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_all_damaged(capsule, used_cache, damage):
    file, cache = used_cache
    for name in files_of(cache):
        harm(cache / name, damage)
    check_whole(capsule, file, cache, damage)


@pytest.mark.parametrize("damage", DAMAGES)
def test_images_damaged(capsule, used_cache, damage):
    """Everything but the compiled interpreter, which takes its time to build again."""
    file, cache = used_cache
    for name in files_of(cache):
        if ".cwasm" not in name and name != "key":
            harm(cache / name, damage)
    check_whole(capsule, file, cache, damage)


def test_each_file_damaged(capsule, used_cache):
    file, cache = used_cache
    for name in files_of(cache):
        if (cache / name).exists():  # else it went with the one before
            harm(cache / name, "flipped")
            check_whole(capsule, file, cache, name)


def test_objects_swapped(capsule, program, used_cache):
    """Two images under each other's names: each is as somebody wrote it, but not for this program."""
    file, cache = used_cache
    assert run_of(capsule, program("@task\ndef main(): return 'other'", "other.py"), cache).stdout == "other\n"
    for suffix in (".image", ".image.seal"):
        first, second, *_ = sorted(p for p in (cache / "objects").iterdir() if p.name.endswith(suffix))
        spare = cache / "objects" / "spare"
        first.rename(spare)
        second.rename(first)
        spare.rename(second)
    check_whole(capsule, file, cache, "swapped")


def test_many_at_once(capsule, program, tmp_path):
    """Programs that start together in an empty cache all run, and build what they need once."""
    file = program(MAIN)
    cache = tmp_path / "cache"
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: run_of(capsule, file, cache), range(6)))
    assert {(r.returncode, r.stdout, r.stderr) for r in results} == {(0, "ran\n", "")}
    assert len([n for n in files_of(cache) if n.endswith(".cwasm")]) <= 2  # the object and perhaps its lock
    assert not (cache / "tmp").exists() or os.listdir(cache / "tmp") == []


def test_killed_while_it_fills(capsule, capsule_bin, capsule_env, program, tmp_path):
    """What a killed process left unfinished disturbs nobody, and prune takes it away."""
    file = program(MAIN)
    cache = tmp_path / "cache"
    env = {**capsule_env, "CAPSULE_CACHE": str(cache)}
    for seconds in (0.05, 0.3, 0.8):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run([capsule_bin, "run", "--no-cache", file], env=env, timeout=seconds, capture_output=True)
            raise subprocess.TimeoutExpired("it was quicker", seconds)
    assert run_of(capsule, file, cache).stdout == "ran\n"
    assert capsule("cache", "prune", env={"CAPSULE_CACHE": str(cache)}).returncode == 0
    assert not (cache / "tmp").exists() or os.listdir(cache / "tmp") == []


# --- doctor and cache prune


def test_doctor(capsule):
    result = capsule("doctor")
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert result.stdout.startswith("capsule 0.1.0\n")
    assert "python 3.13" in result.stdout
    diagnosis = json.loads(capsule("doctor", "--json").stdout)
    assert diagnosis["checks"] and all(check["ok"] for check in diagnosis["checks"])


def test_doctor_prepares_what_it_looks_at(capsule, tmp_path):
    """On a machine where nothing has run yet: the guest is compiled, which is no fault of the installation."""
    result = capsule("doctor", env={"CAPSULE_CACHE": str(tmp_path / "new")})
    assert "✗" not in result.stdout
    assert result.returncode == 0


def test_doctor_finds_what_is_missing(capsule, tmp_path):
    result = capsule("doctor", env={"CAPSULE_GUESTS": str(tmp_path)})
    assert result.returncode == 1
    assert "✗" in result.stdout
    assert "fix: " in result.stdout


def test_version_of_all_parts(capsule):
    lines = capsule("version", "--verbose").stdout.splitlines()
    assert lines[0] == "capsule 0.1.0"
    assert lines[1].startswith("engine ") and lines[2].startswith("guest   python 3.13")
    assert set(json.loads(capsule("version", "--json").stdout)) == {"version", "engine", "guests"}


def test_cache_prune(capsule, program, tmp_path):
    cache = tmp_path / "cache"
    file = program(MAIN)
    assert run_of(capsule, file, cache).returncode == 0
    env = {"CAPSULE_CACHE": str(cache)}
    kept = capsule("cache", "prune", env=env)
    assert re.fullmatch(r"removed 0 objects, 0 B; [\d.]+ MB left\n", kept.stdout)
    result = capsule("cache", "prune", "--all", env=env)
    assert result.returncode == 0
    assert re.fullmatch(r"removed \d+ objects, [\d.]+ MB; 0 B left\n", result.stdout)
    assert [n for n in files_of(cache) if n.startswith(("objects/", "tmp/"))] == []
    assert run_of(capsule, file, cache).stdout == "ran\n"
