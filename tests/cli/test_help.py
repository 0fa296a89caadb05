"""Help and version: goldens. After a wanted change: CAPSULE_UPDATE_GOLDEN=1, run, read the diff."""

import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = ["run", "doctor", "cache prune", "version", "help"]


def check(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("CAPSULE_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_program(capsule):
    result = capsule("--help")
    assert (result.returncode, result.stderr) == (0, "")
    check("help", result.stdout)
    assert capsule("-h").stdout == capsule("help").stdout == result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_command(capsule, command):
    words = command.split()
    result = capsule(*words, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    check("help-" + "-".join(words), result.stdout)
    assert capsule("help", *words).stdout == capsule(*words, "-h").stdout == result.stdout


def test_every_command_is_listed(capsule):
    text = capsule("--help").stdout
    assert all(f"\n  {command} " in text for command in COMMANDS)


def test_help_fits_a_terminal(capsule):
    for words in [[], *(c.split() for c in COMMANDS)]:
        assert max(map(len, capsule(*words, "--help").stdout.splitlines())) <= 100


def test_help_to_a_full_disk(capsule):
    with open("/dev/full", "w") as full:
        result = capsule("--help", stdout=full, stderr=-1)
    assert result.returncode == 2
    assert "can't write to standard output: No space left on device" in result.stderr


def test_version(capsule):
    result = capsule("version")
    assert (result.returncode, result.stdout, result.stderr) == (0, "capsule 0.1.0\n", "")
    assert capsule("--version").stdout == capsule("-V").stdout == result.stdout


def test_no_command(capsule):
    result = capsule()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: no command\nhint: ")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["rnu"], "unknown command 'rnu'", "did you mean `capsule run`?"),
        (["docter"], "unknown command 'docter'", "did you mean `capsule doctor`?"),
        (["hello.py"], "unknown command 'hello.py'", "to run a program: capsule run hello.py"),
        (["xyzzy"], "unknown command 'xyzzy'", "`capsule --help` lists the commands"),
        (["cache"], "cache needs a command", "did you mean `capsule cache prune`?"),
        (["cache", "purge"], "unknown command 'cache purge'", "did you mean `capsule cache prune`?"),
        (["help", "rnu"], "unknown command 'rnu'", "did you mean `capsule run`?"),
        (["--verson"], "unknown option --verson", "did you mean --version?"),
        (["--json", "run"], "unknown option --json", "after its name"),
        (["version", "--jsn"], "unknown option --jsn", "did you mean --json?"),
        (["doctor", "extra"], "unexpected argument 'extra'", "capsule doctor --help"),
        (
            ["cache", "prune", "--max-size", "5x"],
            "option --max-size: '5x' isn't a size: it has an unknown unit",
            "64MB",
        ),
        (["cache", "prune", "--all", "--max-size", "1GB"], "--all and --max-size exclude each other", ""),
    ],
)
def test_usage_errors(capsule, words, message, hint):
    result = capsule(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}\n")
    assert hint in result.stderr
