"""What the documentation shows, done word for word.

A block of Python, TypeScript, JavaScript or TOML begins with a comment that holds a file name, and is saved under that
name. A block of `console` holds commands after "$ " and what they print on both streams; "…" stands for anything.
Blocks are worked through in order; every section ("## ", "### ") begins in an empty folder. Other languages: `sh`
blocks hold what only the build runs.
"""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ("errors", "http", "javascript", "journal", "manifest", "values", "waiting")
PAGES = ["README.md", "docs/guide.md", *(f"docs/reference/{name}.md" for name in REFERENCE)]
# Commands for a checkout: test_examples.py and whoever runs the tests have run them.
BUILD_COMMANDS = {
    "make",
    "make run",
    "build/capsule run examples/hello/hello.py",
    "build/capsule run examples/hello/hello.ts",
    "cc -Iinclude examples/c/embed.c -Lbuild -lcapsule -Wl,-rpath,$PWD/build -o embed",
    "./embed examples/hello/hello.py",
}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(?:# ([\w/.-]+\.(?:py|toml))|// ([\w/.-]+\.(?:tsx?|m?js)))\n")


def sections(page):
    text = (ROOT / page).read_text()
    return [part for part in re.split(r"^(?=###? )", text, flags=re.MULTILINE) if FENCE.search(part)]


def title(section):
    return section.splitlines()[0].lstrip("# ")


CASES = [(page, section) for page in PAGES for section in sections(page)]


@pytest.fixture(scope="session")
def npm_package(capsule_bin, tmp_path_factory):
    """@capsule-run/sdk for Node, without its types (tests/js/run tests the whole package)."""
    folder = tmp_path_factory.mktemp("sdk")
    esbuild = Path(os.environ.get("CAPSULE_GUESTS", capsule_bin.parent / "lib/capsule")) / "esbuild"
    options = ("--bundle", "--format=esm", "--platform=node", "--log-level=warning", f"--outdir={folder}/dist")
    subprocess.run([esbuild, ROOT / "sdk/js/src/index.ts", *options], check=True)
    (folder / "package.json").write_text((ROOT / "sdk/js/package.json").read_text())
    return folder


@pytest.fixture
def shell(capsule_bin, capsule_env, npm_package, tmp_path):
    """Runs a command line as a reader would: `capsule` is on the path, its packages are there for Python and Node."""
    packages = tmp_path / "node_modules" / "@capsule-run"
    packages.mkdir(parents=True)
    (packages / "sdk").symlink_to(npm_package)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "capsule").symlink_to(capsule_bin)
    folder = tmp_path / "reader"
    folder.mkdir()
    env = {
        **capsule_env,
        "PATH": f"{tools}:{capsule_env['PATH']}",
        "PYTHONPATH": str(ROOT / "sdk/python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CAPSULE_GUESTS": capsule_env.get("CAPSULE_GUESTS", str(capsule_bin.parent / "lib/capsule")),
    }
    script = "exec 2>&1\n"
    sessions = []

    def run(command, last_code):
        process = subprocess.Popen(
            ["sh", "-c", f"{script}(exit {last_code})\n{command}"],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        sessions.append(process.pid)
        return process.communicate(timeout=120)[0], process.returncode

    yield folder, run
    for session in sessions:  # a server that was started with "&"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)


def pattern_of(expected):
    return re.compile(".*".join(map(re.escape, expected.split("…"))), re.DOTALL)


def check_console(body, run):
    code = 0
    for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, expected = step.partition("\n")
        printed, code = run(command, code)
        assert pattern_of(expected).fullmatch(printed), f"$ {command}\n{printed}\nexpected:\n{expected}"


@pytest.mark.parametrize(("page", "section"), CASES, ids=[f"{Path(p).stem}: {title(s)}" for p, s in CASES])
def test_section(page, section, shell):
    folder, run = shell
    for language, body in FENCE.findall(section):
        if language == "console":
            check_console(body, run)
        elif language == "sh":
            assert set(body.splitlines()) <= BUILD_COMMANDS, "a test should run this"
        else:
            name = NAME.match(body)
            assert name, f"the block has no file name:\n{body}"
            path = folder / (name[1] or name[2])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)


def pages():
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


def test_links_lead_somewhere():
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


def test_command_line_reference_is_complete(capsule):
    text = (ROOT / "docs/reference/cli.md").read_text()
    listed = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", capsule("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert len(listed) >= 14
    for command in listed[:-1]:  # `capsule help` is described in the introduction
        assert f"## capsule {command}" in text
        for option in re.findall(r"--[a-z-]+", capsule(*command.split(), "--help").stdout.partition("Options:")[2]):
            assert f"`{option}" in text, f"{option} of {command}"


def test_manifest_reference_is_what_the_program_takes(capsule, tmp_path):
    """The example on the page is read without an error."""
    text = (ROOT / "docs/reference/manifest.md").read_text()
    (block,) = [body for language, body in FENCE.findall(text) if language == "toml"]
    (tmp_path / "capsule.toml").write_text(block)
    (tmp_path / "main.py").write_text("from capsule import task\n@task(allowed_files=[])\ndef main(): return 'read'\n")
    result = capsule("run", env={"API_KEY": "sk-12345"})
    assert (result.returncode, result.stdout) == (0, "read\n"), result.stderr


def test_error_reference_is_complete():
    text = (ROOT / "docs/reference/errors.md").read_text()
    table = (ROOT / "src/run/outcome.h").read_text()
    names = re.findall(r'^\s*X\(\w+, "(\w+)"', table, re.MULTILINE)
    assert len(names) >= 10
    for name in names:
        assert f"| `{name}` |" in text


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) < 800  # two minutes, and a program in two languages
    assert os.path.getsize(ROOT / "README.md") < 6000
