"""What is wrong with a program, its project or the machine: a clear message, exit code 2, nothing left behind."""

import os
import re
import subprocess

import pytest

MAIN = "@task\ndef main(): return 'ran'"

# Root may read and write everything; without these two capabilities it's held to permissions like anybody.
HELD_TO_PERMISSIONS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def refused(result, *parts, code=2):
    """The message has all parts, there is no result, and nobody sees a crash."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert re.search(r"^error: ", result.stderr, re.MULTILINE)
    for part in parts:
        assert part in result.stderr
    assert "defect in Capsule" not in result.stderr
    return result.stderr


# --- the file


def test_no_file(capsule):
    assert "hint: " in refused(capsule("run", "nope.py"), "nope.py")


def test_no_file_but_a_similar_one(capsule, program):
    program(MAIN, "main.py")
    refused(capsule("run", "mian.py"), "mian.py", "main.py")


def test_no_file_and_no_manifest(capsule):
    refused(capsule("run"), "capsule.toml")


def test_no_entrypoint_in_the_manifest(capsule, tmp_path):
    (tmp_path / "capsule.toml").write_text('[workflow]\nname = "x"\n')
    refused(capsule("run"), "capsule.toml", "entrypoint")


def test_folder(capsule, tmp_path):
    (tmp_path / "folder.py").mkdir()
    refused(capsule("run", "folder.py"), "folder.py", "folder")


def test_unknown_extension(capsule, tmp_path):
    (tmp_path / "main.rb").write_text("puts 1")
    refused(capsule("run", "main.rb"), "main.rb", ".py")


def test_unreadable_file(capsule, program):
    program(MAIN).chmod(0)
    refused(capsule("run", "main.py", prefix=HELD_TO_PERMISSIONS), "main.py", "permission denied")


def test_file_that_is_not_text(capsule, tmp_path):
    (tmp_path / "main.py").write_bytes(b"\x7fELF\0\0\xff\xfe" * 100)
    refused(capsule("run", "main.py"), "main.py")


def test_empty_file(capsule, tmp_path):
    (tmp_path / "main.py").write_text("")
    refused(capsule("run", "main.py"), "main.py", "@task")


# --- the code


def test_syntax_error(capsule, program):
    refused(capsule("run", program("x = 1\ndef broken(:\n    pass")), 'main.py", line 3', "SyntaxError", "def broken(:")


def test_syntax_error_in_an_import(capsule, program, tmp_path):
    (tmp_path / "helper.py").write_text("\n\ndef (:\n")
    refused(capsule("run", program("import helper")), 'helper.py", line 3', 'main.py", line 2', "SyntaxError")


def test_exception_while_importing(capsule, program):
    text = refused(
        capsule("run", program("def f():\n    return 1 / 0\nf()")), "ZeroDivisionError", "while it was imported"
    )
    assert 'main.py", line 4, in <module>' in text
    assert 'main.py", line 3, in f' in text
    assert "/capsule/_" not in text  # none of our own frames


def test_missing_module(capsule, program):
    refused(capsule("run", program("import requets_html_xyz")), "ModuleNotFoundError", "requets_html_xyz", "line 2")


def test_no_task(capsule, program):
    refused(capsule("run", program("def main(): pass")), "main.py", "@task")


def test_two_tasks_and_no_main(capsule, program):
    text = refused(capsule("run", program("@task\ndef one(): pass\n@task\ndef two(): pass")), "one", "two")
    assert "--task" in text or "main" in text


def test_unknown_task(capsule, program):
    refused(capsule("run", program("@task\ndef analyze(): pass"), "--task", "analyse"), "analyse", "analyze")


def test_empty_task_name(capsule, program):
    refused(capsule("run", program(MAIN), "--task="))


@pytest.mark.parametrize("words", [[], ["1"], ["1", "2", "3"]])
def test_wrong_argument_count(capsule, program, words):
    file = program("@task(max_retries=3)\ndef main(a, b): return a")
    refused(capsule("run", file, *words), "error: bad_input: ", "main()", code=1)


def test_unknown_keyword(capsule, program):
    result = capsule("run", program("@task\ndef main(a=0): return a"), "--args-file=-", input='{"b": 1}')
    refused(result, "error: bad_input: ", "'b'", code=1)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("float('nan')", "result: the number is NaN"),
        ("{'a': [1, float('inf')]}", "result.a[1]: the number is Infinity"),
        ("{'items': [0, object()]}", "result.items[1]: "),
        ("lambda: 1", "result: "),
        ("cycle", "result.me: "),
    ],
)
def test_result_that_is_not_json(capsule, program, expression, message):
    file = program(f"cycle = {{}}\ncycle['me'] = cycle\n@task\ndef main(): return {expression}")
    refused(capsule("run", file), f"error: bad_output: {message}", code=1)


# --- task options


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ('ram="lots"', ["lots", "ram", "main.py:4"]),
        ("ram=-1", ["ram", "main.py:4"]),
        ('ram="1MB"', ["ram", "main.py:4", "1"]),
        ('ram="100GB"', ["ram", "main.py:4"]),
        ('timeout="-5s"', ["-5s", "timeout", "main.py:4"]),
        ('timeout="5 fortnights"', ["fortnights", "timeout", "main.py:4"]),
        ('compute="SLOW"', ["SLOW", "compute", "LOW", "main.py:4"]),
        ("compute=0", ["compute", "main.py:4"]),
        ("max_retries=-1", ["max_retries", "main.py:4"]),
        ("max_retries=1.5", ["max_retries", "main.py:4"]),
        ('allowed_files="./data"', ["allowed_files", "main.py:4"]),
        ('allowed_files=["./nowhere"]', ["nowhere", "main.py:4"]),
        ('allowed_files=["../outside"]', ["../outside", "main.py:4", "capsule.toml"]),
        ('allowed_files=["/etc"]', ["/etc", "main.py:4", "capsule.toml"]),
        ('allowed_files=[{"path": "x", "mode": "rx"}]', ["rx", "main.py:4"]),
        ("allowed_files=[1]", ["allowed_files", "main.py:4"]),
        ('env_variables=["A=B"]', ["env_variables", "main.py:4"]),
    ],
)
def test_option_that_is_no_good(capsule, program, options, parts):
    file = program(f"# 2\n# 3\n@task({options})\ndef main(): pass")
    refused(capsule("run", file), *parts)


def test_unknown_option(capsule, program):
    refused(capsule("run", program("@task(rma='1GB')\ndef main(): pass")), "rma", "ram", "line 2")


def test_two_tasks_of_one_name(capsule, program):
    file = program("@task(name='a')\ndef one(): pass\n@task(name='a')\ndef two(): pass")
    refused(capsule("run", file), "'a'", "main.py:2", "main.py:4")


# --- capsule.toml


@pytest.mark.parametrize(
    ("manifest", "parts"),
    [
        ('[tasks]\ndefault_rma = "1GB"', ["capsule.toml:2", "default_rma", "default_ram"]),
        ('[task]\ndefault_ram = "1GB"', ["capsule.toml:1", "task", "tasks"]),
        ('[workflow]\nentry_point = "main.py"', ["capsule.toml:2", "entry_point", "entrypoint"]),
        ('[tasks]\ndefault_ram = "lots"', ["capsule.toml:2", "lots"]),
        ("[limits]\nmax_ram = 1.5", ["capsule.toml:2", "max_ram"]),
        ("[tasks\n", ["capsule.toml:1"]),
        ("[workflow]\nname = 5", ["capsule.toml:2", "name"]),
        ('a = "\xff"', ["capsule.toml"]),
    ],
)
def test_manifest_that_is_no_good(capsule, program, tmp_path, manifest, parts):
    (tmp_path / "capsule.toml").write_bytes(manifest.encode("latin-1"))
    refused(capsule("run", program(MAIN)), *parts)


def test_limits_hold_against_the_decorator(capsule, program, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "capsule.toml").write_text('[limits]\nmax_allowed_files = ["./other"]\n')
    file = program("@task(allowed_files=['./data'])\ndef main(): pass")
    refused(capsule("run", file), '"data"', "main.py:2", "max_allowed_files")


# --- the machine


def run_of(capsule, file, cache, **keywords):
    return capsule("run", file, env={"CAPSULE_CACHE": str(cache), **keywords.pop("env", {})}, **keywords)


def files_of(cache):
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file())


def test_read_only_cache(capsule, program, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    result = run_of(capsule, program(MAIN), cache, prefix=HELD_TO_PERMISSIONS)
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert files_of(cache) == []


def test_cache_that_is_a_file(capsule, program, tmp_path):
    (tmp_path / "cache").write_text("")
    refused(run_of(capsule, program(MAIN), tmp_path / "cache"), str(tmp_path / "cache"), "CAPSULE_CACHE")


def test_cache_of_somebody_else(capsule, program, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    refused(run_of(capsule, program(MAIN), cache), str(cache))


def test_full_disk_under_the_cache(capsule, program, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "sh", "-c"]
    script = 'mount -t tmpfs -o size=256k,mode=700 none "$0" || exit 77; "$@"; code=$?; ls "$0"/tmp; exit $code'
    if subprocess.run([*mount, "mount -t tmpfs none /mnt"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    # What can't be kept is held in memory. `ls` prints nothing: there is no half-written file.
    result = run_of(capsule, program(MAIN), small, prefix=[*mount, script, str(small)])
    assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")


def test_no_home(capsule, program):
    """Without $HOME the user database says where the home is; who isn't in it either is told what to set."""
    assert capsule("run", program(MAIN), env={"HOME": None}).stdout == "ran\n"
    if os.geteuid() == 0:
        kept = "+dac_override,+dac_read_search"
        nobody = ["setpriv", "--reuid=54321", "--clear-groups", f"--inh-caps={kept}", f"--ambient-caps={kept}"]
        env = {"HOME": None, "XDG_CACHE_HOME": None, "CAPSULE_CACHE": None}
        refused(capsule("run", "main.py", env=env, prefix=nobody), "hint: ", "CAPSULE_CACHE")


def test_no_guests(capsule, program, tmp_path):
    refused(capsule("run", program(MAIN), env={"CAPSULE_GUESTS": str(tmp_path)}), str(tmp_path))
