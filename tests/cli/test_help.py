"""Help and version: goldens. After a wanted change: CAPSULE_UPDATE_GOLDEN=1, run, read the diff."""

import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = [
    "run",
    "resume",
    "signal",
    "cancel",
    "ps",
    "show",
    "logs",
    "fork",
    "gc",
    "worker",
    "doctor",
    "cache prune",
    "version",
    "help",
]


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
        (["shwo"], "unknown command 'shwo'", "did you mean `capsule show`?"),
        (["show"], "show needs RUN", "`capsule ps` lists the runs"),
        (["signal", "0123"], "signal needs RUN NAME [JSON]", "`capsule signal --help`"),
        (["logs", "0123", "--folow"], "unknown option --folow", "did you mean --follow?"),
        (["resume", "0123", "4567"], "unexpected argument '4567'", "capsule resume --help"),
        (["resume", "0123", "--timeout", "0s"], "option --timeout must be more than 0", ""),
        (["ps", "--state", "runing"], "option --state: there's no state 'runing'", "did you mean running?"),
        (["ps", "--state", "xyzzy"], "option --state: there's no state 'xyzzy'", "states: running, suspended"),
        (["ps", "--limit", "0"], "option --limit must be a number from 1 on", ""),
        (["ps", "--limit", "3", "--all"], "--all and --limit exclude each other", ""),
        (["fork", "0123"], "fork needs --from STEP", "`capsule show RUN` prints them"),
        (["fork", "0123", "--from", "first"], "option --from: 'first' isn't the number of a task", "12 or '#12'"),
        (["gc", "--older-than", "30"], "option --older-than: '30' isn't a duration: the unit is missing", "7d"),
        (["worker"], "worker needs --timers", ""),
        (["worker", "--timers", "--jobs", "0"], "option --jobs must be a number from 1 to 256", ""),
        (["run", "--no-journal", "--durable"], "--no-journal and --durable exclude each other", "--durable is about"),
        (["run", "--no-journal", "--wait"], "--no-journal and --wait exclude each other", ""),
        (["run", "--no-journal", "--run-id", "x"], "--no-journal and --run-id exclude each other", ""),
        (["run", "--wait", "--suspend-after", "1s"], "--wait and --suspend-after exclude each other", ""),
    ],
)
def test_usage_errors(capsule, words, message, hint):
    result = capsule(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}\n")
    assert hint in result.stderr
