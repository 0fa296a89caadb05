"""Every example, as a reader would run it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def lines_of(result):
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_all_are_here():
    """An example that nobody runs rots."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", "*.py", "*.ts", "*.c"],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {name for name in files.split() if (EXAMPLES / name).exists()} == {
        "approval/main.py",
        "approval/main.ts",
        "c/embed.c",
        "fetch/main.ts",
        "files/main.ts",
        "hello/hello.py",
        "hello/hello.ts",
        "http/main.py",
        "http/service.py",
        "nested/main.py",
        "nested/main.ts",
        "packages/main.ts",
        "parallel/main.py",
        "parallel/main.ts",
        "report/main.py",
        "untrusted/main.py",
        "untrusted/main.ts",
    }


def test_hello(capsule):
    for name in ("hello.py", "hello.ts"):
        assert lines_of(capsule("run", EXAMPLES / "hello" / name)) == ["Hello from Capsule!"]
    assert lines_of(capsule("run", EXAMPLES / "hello/hello.py", "you")) == ["Hello from you!"]


def test_nested(capsule):
    assert json.loads("".join(lines_of(capsule("run", EXAMPLES / "nested/main.py")))) == [
        "order 1: 12.60 delivered at attempt 2",
        "order 2: 9.00 delivered at attempt 2",
        "order 3: refused (task_error in total: task 'price' failed: KeyError: 'unicorn')",
    ]


def test_nested_in_typescript(capsule):
    assert json.loads("".join(lines_of(capsule("run", EXAMPLES / "nested/main.ts")))) == [
        "order 1: 12.60 delivered at attempt 2",
        "order 2: 9.00 delivered at attempt 2",
        "order 3: refused (task_error in total: task 'price' failed: RangeError: no unicorn for sale)",
    ]


def test_parallel(capsule):
    assert json.loads("".join(lines_of(capsule("run", EXAMPLES / "parallel/main.py")))) == {
        "primes": 2262,
        "race": "hare answered",
        "gather": "small answered, no answer, large answered",
        "in time": "too late",
    }


def test_parallel_in_typescript(capsule):
    assert json.loads("".join(lines_of(capsule("run", EXAMPLES / "parallel/main.ts")))) == {
        "primes": 2262,
        "race": "hare answered",
        "all": "small answered, no answer, large answered",
        "in time": "too late",
    }


def test_files(capsule, tmp_path):
    folder = tmp_path / "files"
    shutil.copytree(EXAMPLES / "files", folder, ignore=shutil.ignore_patterns("words.md"))
    assert json.loads("".join(lines_of(capsule("run", folder / "main.ts")))) == {
        "files": 2,
        "words": 135,
        "report": "out/words.md",
        "peek": "saw nothing",
    }
    assert (folder / "out/words.md").read_text().splitlines()[2:] == [
        "| ozymandias.txt | 111 | Ozymandias |",
        "| wanderers_nachtlied.txt | 24 | schweigen |",
    ]


def test_fetch(capsule, site):
    """The command of its first lines."""
    page = "<!doctype html><title>Example Domain</title><p>grüße"
    example = site("example.com", {"/": ("text/html; charset=utf-8", page)})
    urls = ["https://example.com/", "https://example.com/nothing"]
    result = capsule("run", EXAMPLES / "fetch/main.ts", *urls, env=example.env)
    found, missing, other_port = json.loads("".join(lines_of(result)))
    assert found == {
        "url": urls[0],
        "status": 200,
        "type": "text/html; charset=utf-8",
        "bytes": len(page.encode()),
        "title": "Example Domain",
    }
    assert (missing["url"], missing["status"], missing["title"]) == (urls[1], 404, None)
    assert other_port == "this machine: not allowed"
    assert {one.header("Accept") for one in example.server.requests} == {"text/html"}


def test_fetch_without_a_network(capsule, names):
    failed, _ = json.loads("".join(lines_of(capsule("run", EXAMPLES / "fetch/main.ts", env=names()))))
    assert failed.startswith("fetch failed: "), failed
    assert "example.com" in failed


def test_packages(capsule, tmp_path):
    """With real packages, as npm installs them from the lock file."""
    folder = tmp_path / "packages"
    shutil.copytree(EXAMPLES / "packages", folder, ignore=shutil.ignore_patterns("node_modules"))
    npm = ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=300)
    assert json.loads("".join(lines_of(capsule("run", folder / "main.ts")))) == {
        "orders": 3,
        "wrong": ["customer", "placed", "lines.0.count"],
        "headings": ["Ada", "Grace"],
        "totals": ["3.60", "10.20", "9.00"],
        "days": ["28 days", "0 days"],
    }


def test_packages_that_are_not_installed(capsule, tmp_path):
    folder = tmp_path / "packages"
    shutil.copytree(EXAMPLES / "packages", folder, ignore=shutil.ignore_patterns("node_modules"))
    result = capsule("run", folder / "main.ts")
    assert result.returncode == 2
    for name in ("date-fns", "lodash", "marked", "zod"):
        assert f'Could not resolve "{name}"' in result.stderr
    assert "hint: install it: npm install date-fns" in result.stderr


@pytest.mark.parametrize(
    "lock", ["examples/packages/package-lock.json", "guest/js/runtime/package-lock.json", "sdk/js/package-lock.json"]
)
def test_npm_packages_are_pinned_and_from_anywhere(lock):
    """Exact versions, each with its digest, and no registry's address."""
    file = ROOT / lock
    packages = json.loads(file.read_text())["packages"]
    assert not any("resolved" in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for path, package in packages.items() if path)
    manifest = json.loads((file.parent / "package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        assert packages[""].get(kind) == manifest.get(kind)
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in manifest.get(kind, {}).values())


@pytest.fixture
def shop(tmp_path):
    """A copy of examples/http beside its service, on a port that is free; returns the folder."""
    folder = tmp_path / "http"
    shutil.copytree(EXAMPLES / "http", folder)
    service = subprocess.Popen(
        [sys.executable, folder / "service.py", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    port = re.fullmatch(r"listening on port (\d+)\n", service.stdout.readline())[1]
    for name in ("main.py", "capsule.toml"):
        text = (folder / name).read_text()
        assert "127.0.0.1:8377" in text
        (folder / name).write_text(text.replace("127.0.0.1:8377", f"127.0.0.1:{port}"))
    yield folder
    service.kill()
    service.communicate()


def test_http(capsule, shop):
    result = capsule("run", shop / "main.py", env={"SHOP_KEY": "open sesame"})
    *prices, key, other_port = json.loads("".join(lines_of(result)))
    assert prices == ["pen: 1.20", "paper: 4.50", "ink: 9.00", "unicorn: we don't sell unicorn"]
    assert key.startswith("the key, as a task sees it: ")
    assert "sesame" not in result.stdout
    assert other_port == "another port of this machine: not allowed"


def test_http_with_the_wrong_key(capsule, shop):
    result = capsule("run", shop / "main.py", env={"SHOP_KEY": "please, please"})
    assert json.loads("".join(lines_of(result)))[0] == "pen: who are you?"


@pytest.fixture
def report(tmp_path):
    """A copy of the example beside a copy of what it reads."""
    for name in ("src", "cli", "examples/report"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("report.md"))
    return tmp_path / "examples/report"


def test_report(capsule, report):
    files = [p for folder in ("src", "cli") for p in (ROOT / folder).rglob("*.[ch]")]
    first, second = lines_of(capsule("run", report / "main.py"))
    assert re.match(rf"{len(files)} files, \d+ lines, \d+ functions; the longest is src/", first)
    assert second == "details: out/report.md"
    written = (report / "out/report.md").read_text()
    counted = {}
    for row in written.splitlines()[4:]:
        path, lines, *_ = [cell.strip() for cell in row.strip("|").split("|")]
        counted[path] = int(lines)
    assert counted == {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}


def test_report_is_the_projects_entrypoint(capsule, report):
    assert len(lines_of(capsule("run", cwd=report))) == 2


def test_report_needs_its_manifest(capsule, report):
    (report / "capsule.toml").unlink()
    result = capsule("run", report / "main.py")
    assert result.returncode == 2
    assert "../../src" in result.stderr


def test_untrusted(capsule):
    table = {line[:22].strip(): line[23:] for line in lines_of(capsule("run", EXAMPLES / "untrusted/main.py"))}
    assert table["well behaved"] == "printed 332833500"
    expected = {
        "a mistake": "task_error: ZeroDivisionError",
        "endless loop": "out_of_fuel:",
        "endless sleep": "timeout:",
        "memory bomb": "out_of_memory:",
        "reads /etc/passwd": "task_error: FileNotFoundError",
        "lists the disk": "task_error: ",
        "os._exit": "task_error: SystemExit",
        "deep recursion": "task_error: RecursionError",
        "100 MB of output": "task_error: RuntimeError printed more than",
        "starts a program": "task_error: OSError [Errno 58] processes can't be started",
        "tampers with Capsule": "",
    }
    assert table.keys() == {"well behaved", *expected}
    for title, beginning in expected.items():
        assert table[title].startswith(beginning), title
    assert "root:" not in table["reads /etc/passwd"]


def test_untrusted_in_typescript(capsule):
    table = {line[:27].strip(): line[28:] for line in lines_of(capsule("run", EXAMPLES / "untrusted/main.ts"))}
    expected = {
        "well behaved": "printed 332833500 ",
        "a mistake": "task_error: ReferenceError nothing is not defined",
        "throws no Error": "task_error: 42 was thrown",
        "endless loop": "out_of_fuel: ",
        "endless sleep": "timeout: ",
        "endless regular expression": ("out_of_fuel: ", "timeout: "),
        "memory bomb": "out_of_memory: ",
        "deep recursion": "task_error: RangeError the call stack is full",
        "waits for nothing": "task_error: Error a promise is awaited that nothing can settle",
        "reads a file": "task_error: Error Cannot find module 'fs'",
        "phones home": "policy: fetch failed: example.com isn't allowed",
        "100 MB of output": "task_error: RangeError printed more than",
        "leaves the process": "task_error: Error process.exit() isn't there in a sandbox",
        "pollutes": "printed yes ",
        "is it still polluted?": "printed ",
        "tampers with Capsule": "printed tampered ",
    }
    assert table.keys() == expected.keys()
    for title, beginning in expected.items():
        assert table[title].startswith(beginning), title
    assert "yes" not in table["is it still polluted?"]


@pytest.mark.parametrize("name", ["main.py", "main.ts"])
def test_approval(capsule, tmp_path, name):
    shutil.copytree(EXAMPLES / "approval", tmp_path / "approval")
    folder = tmp_path / "approval"
    for order, answer, outcome in (
        ("1017", '{"ok": true}', "order 1017: 129.00 refunded\n"),
        ("1018", '{"ok": false, "reason": "it was delivered"}', "order 1018: not refunded, it was delivered\n"),
    ):
        words = ["run", name, "--run-id", f"refund-{order}", *([order] if order != "1017" else [])]
        asked = capsule(*words, cwd=folder)
        assert (asked.returncode, asked.stdout) == (75, f"May I refund 129.00 for order {order}?\n")
        answered = capsule("signal", f"refund-{order}", "approval", answer, cwd=folder)
        assert (answered.returncode, answered.stdout, answered.stderr) == (0, outcome, "")
        assert capsule(*words, cwd=folder).stdout == outcome


def test_embed(capsule_bin, capsule_env, program):
    embed = capsule_bin.parent / "examples/c/embed"
    hello = EXAMPLES / "hello/hello.py"

    def run(*words):
        env = {"CAPSULE_GUESTS": str(capsule_bin.parent / "lib/capsule"), **capsule_env}
        return subprocess.run([embed, *words], capture_output=True, text=True, env=env, timeout=60)

    result = run(hello, '["C"]')
    assert (result.returncode, result.stdout) == (0, '"Hello from C!"\n')
    assert [line.split(" ms  ")[1] for line in result.stderr.splitlines()] == [
        "task 1 (main) is created",
        "task 1 (main) is running",
        "task 1 (main) is completed",
    ]
    failed = run(program("@task(max_retries=0)\ndef main(): 1 / 0"))
    assert failed.returncode == 1
    assert "task_error: " in failed.stderr
    assert run("nope.py").returncode == 2
    assert run().returncode == 2


def test_embed_with_the_shared_library(capsule_bin, capsule_env, tmp_path):
    """As the guide says: one header, one library."""
    build, program = capsule_bin.parent, tmp_path / "embed"
    source = EXAMPLES / "c/embed.c"
    compiler = ["cc", f"-I{ROOT}/include", source, f"-L{build}", "-lcapsule", f"-Wl,-rpath,{build}", "-o", program]
    subprocess.run(compiler, check=True, timeout=60)
    result = subprocess.run(
        [program, EXAMPLES / "hello/hello.py"], capture_output=True, text=True, env=capsule_env, timeout=60
    )
    assert (result.returncode, result.stdout) == (0, '"Hello from Capsule!"\n')
