"""TypeScript and JavaScript tasks for real: programs of tests/guest/js/ in sandboxes, through the program."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent.parent / "guest" / "js"
UNDER_STRESS = os.environ.get("CAPSULE_GUESTS", "").endswith("stress")


@pytest.fixture
def run(run_program):
    """run("file.ts", *arguments, task=…) -> the result; the run must succeed."""
    return lambda file, *arguments, **keywords: run_program(PROGRAMS / file, *arguments, **keywords)


@pytest.fixture
def write(tmp_path):
    """write({"main.ts": text, …}) -> the path of the first file; folders are made."""

    def call(files):
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / next(iter(files))

    return call


HEAD = 'import { task } from "@capsule-run/sdk";\n'


def main_of(body, options='name: "main", maxRetries: 0'):
    return f"{HEAD}export const main = task({{ {options} }}, {body});\n"


# --- the language, the SDK and what programs do wrong: each program says itself what isn't as it should be


@pytest.mark.parametrize("file", ["library.ts", "failing.ts", "hostile.ts", "parallel.ts", "waiting.ts"])
def test_program(run, file):
    assert run(file) in ([], {})


def test_waiting_for_signals(run_program, tmp_path):
    for name in ("waiting.ts", "checks.ts"):
        shutil.copy(PROGRAMS / name, tmp_path)  # where its runs can be recorded
    assert run_program(tmp_path / "waiting.ts", task="signals") == []


@pytest.mark.not_under_stress  # a collection for each of 10⁶ objects, which goes through all of them
def test_failures_of_tasks_with_many_objects(run):
    assert run("failing.ts", task="with_many") == {}


WEB = sorted(file.name for file in PROGRAMS.glob("web_*.ts") if file.name != "web_console.ts")


@pytest.mark.parametrize("file", WEB)
def test_web_platform(run, file):
    assert run(file) == []


@pytest.mark.not_under_stress  # thousands of URLs beside a table of 9,000 arrays (tr46)
def test_urls_of_requests(run):
    assert run("web_url.ts", task="shortcut") == []


def test_json_is_written_as_node_does(run):
    cases = json.dumps((PROGRAMS / "json_cases.mjs").as_uri())
    script = f"import({cases}).then((m) => console.log(JSON.stringify(m.all())))"
    node = subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True)
    expected = json.loads(node.stdout)
    assert len(expected) > 40
    assert run("json.ts") == expected


def test_console_shows_what_node_shows(capsule):
    done = capsule("run", PROGRAMS / "web_console.ts")
    assert done.stdout == (PROGRAMS / "web_console.out").read_text()
    assert done.stderr == (PROGRAMS / "web_console.err").read_text()


@pytest.mark.parametrize("task", ["inner", "refusals"])
def test_values(run, task):
    assert run("values.ts", task=task) == []


@pytest.mark.not_under_stress  # 10⁵ arrays, each with a collection that goes through all of them
def test_values_that_are_too_deep(run):
    assert run("values.ts", task="too_deep") == []


def test_values_at_the_outside(run):
    result = run("values.ts")
    assert (result["bytes"], result["set"], result["map"]["a"]) == ("AP8=", [3, 1, 2], [1])
    assert result["date"] == "2026-01-02T03:04:05.006Z"
    assert result["dollar"] == {"$bytes": "not bytes"}


@pytest.mark.not_under_stress  # 10⁴ handles at once, each allocation with a collection that goes through all of them
def test_many_tasks(run):
    assert run("parallel.ts", "10000", task="many") == run("parallel.ts", "10000", task="many_async")
    assert run("parallel.ts", "20000", task="many_started") is not None
    assert run("parallel.ts", "17000", task="many_cancelled") is not None


def test_sandboxes_start_alike_and_differ_where_they_must(run):
    result = run("state.ts", env={"FOR_LEFT": "secret"})
    assert result["left"] == [[[1], {"n": 1}, "secret", "behind"], [[2], {"n": 1}, "secret", "behind"]]
    assert result["right"] == [[], {"n": 0}, {}, "undefined", 0, 0]
    assert result["distinct"] == [3, 3, 3, 3, 1]
    assert result["clock goes on"]
    one, two = result["who"]
    assert one["runId"] == two["runId"] == result["me"]
    assert one["taskId"] != two["taskId"]


def test_when_cycles_are_collected(capsule, write):
    """In the guest that is under stress: at once. Other tests rely on that."""
    text = (
        "function cycle(): WeakRef<object> { const a: { b?: object } = {}; a.b = a; return new WeakRef(a); }\n"
        + main_of("async () => { const ref = cycle(); await null; return [{}, ref.deref() === undefined][1]; }")
    )
    assert json.loads(capsule("run", write({"main.ts": text})).stdout) is UNDER_STRESS


# --- files that can be run


@pytest.mark.parametrize("extension", ["ts", "tsx", "mts", "js", "mjs", "jsx"])
def test_extensions(capsule, write, extension):
    assert capsule("run", write({f"main.{extension}": main_of('() => "ran"')})).stdout == "ran\n"


def test_commonjs_entry(capsule, write):
    text = 'const { task } = require("@capsule-run/sdk");\nexports.main = task({ name: "main" }, (n) => n + 1);\n'
    assert capsule("run", write({"main.cjs": text}), "41").stdout == "42\n"


def test_imports(capsule, write):
    entry = write(
        {
            "main.ts": HEAD
            + 'import { a } from "./a.js";\nimport data from "./data.json";\nimport old, { named } from "./old.cjs";\n'
            'import fromPackage, { esm } from "pkg";\nimport sub from "pkg/sub";\nimport lib from "@scope/lib";\n'
            'const lazy = await import("./lazy");\n'
            'export const main = task({ name: "main" }, () => '
            "[a, data.n, old.named, named, fromPackage, esm, sub, lib.kind, lazy.value]);\n",
            "a.ts": "export const a: number = 1 satisfies number;\n",
            "lazy.tsx": "export const value: string = 'lazy';\n",
            "data.json": '{"n": 2}',
            "old.cjs": "exports.named = 3;\n",
            "node_modules/pkg/package.json": json.dumps(
                {
                    "name": "pkg",
                    "exports": {
                        ".": {"node": "./no.js", "import": "./i.mjs", "require": "./no.cjs"},
                        "./sub": {"capsule": "./capsule.js", "default": "./no.js"},
                    },
                }
            ),
            "node_modules/pkg/i.mjs": "export default 4; export const esm = true;",
            "node_modules/pkg/capsule.js": "export default 'for capsule';",
            "node_modules/@scope/lib/package.json": '{"name": "@scope/lib", "main": "./index.js"}',
            "node_modules/@scope/lib/index.js": "const inner = require('./inner');\nmodule.exports = { kind: inner };",
            "node_modules/@scope/lib/inner.js": "module.exports = typeof process.env.NODE_ENV;",
        }
    )
    done = capsule("run", entry)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [1, 2, 3, 3, 4, True, "for capsule", "string", "lazy"]


def test_workspace(capsule, write, tmp_path):
    write(
        {
            "package.json": '{"workspaces": ["packages/*"]}',
            "packages/app/capsule.toml": "",
            "packages/app/main.ts": HEAD
            + 'import { shared } from "shared";\nexport const main = task({ name: "main" }, () => shared());\n',
            "packages/shared/package.json": '{"name": "shared", "main": "src/index.ts"}',
            "packages/shared/src/index.ts": "export function shared(): string { return 'of the workspace'; }\n",
        }
    )
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "shared").symlink_to("../packages/shared")
    entry = tmp_path / "packages" / "app" / "main.ts"
    assert capsule("run", entry).stdout == "of the workspace\n"
    file = tmp_path / "packages" / "shared" / "src" / "index.ts"
    file.write_text(file.read_text().replace("of the", "edited in the"))
    assert capsule("run", entry).stdout == "edited in the workspace\n"


def test_an_edit_is_noticed_and_nothing_else_is_bundled_again(capsule, write, tmp_path):
    """The bundler is only started when something changed: a wrapper counts its starts."""
    real = Path(os.environ.get("CAPSULE_GUESTS", Path(__file__).resolve().parents[2] / "build/lib/capsule")) / "esbuild"
    count = tmp_path / "count"
    wrapper = tmp_path / "tools" / "esbuild"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho x >>{count}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    entry = write({"project/main.ts": HEAD + 'import { n } from "./n";\n' + main_of("() => n")[len(HEAD) :]})
    number = tmp_path / "project" / "n.ts"

    def edit(text):
        number.write_text(text)
        time.sleep(0.05)  # what is written while the bundler starts is bundled once more, so as to be sure of it

    edit("export const n = 1;\n")
    env = {"CAPSULE_ESBUILD": str(wrapper)}
    assert [capsule("run", entry, env=env).stdout for _ in range(3)] == ["1\n"] * 3
    assert count.read_text() == "x\n"
    edit("export const n = 2;\n")
    assert [capsule("run", entry, env=env).stdout for _ in range(2)] == ["2\n"] * 2
    assert count.read_text() == "x\nx\n"
    (tmp_path / "project" / "n.js").write_text("export const n = 3;\n")  # .ts comes first: nothing changes
    assert capsule("run", entry, env=env).stdout == "2\n"
    (tmp_path / "project" / "n.tsx").write_text("export const n = 4;\n")
    number.unlink()
    assert capsule("run", entry, env=env).stdout == "4\n"


def test_top_level_await_runs_once_for_the_image(capsule, write):
    entry = write(
        {
            "main.ts": HEAD
            + "const slept = performance.now();\nawait new Promise((r) => setTimeout(r, 50));\n"
            + 'console.log("importing");\nconst took = performance.now() - slept;\n'
            + main_of("() => took >= 49")[len(HEAD) :]
        }
    )
    first, second = capsule("run", entry), capsule("run", entry)
    assert (first.stdout, first.stderr) == ("true\n", "importing\n")
    assert (second.stdout, second.stderr) == ("true\n", "")


@pytest.mark.parametrize("what", ['fetch("http://example.com/")', "main()"])
def test_the_top_level_has_no_host(capsule, write, what):
    done = capsule("run", write({"main.ts": main_of("() => 1") + f"await {what};\n"}))
    assert done.returncode == 2
    assert "main.ts:3" in done.stderr
    assert "import" in done.stderr


# --- bad input


def refused(capsule, entry, *says, code=2):
    done = capsule("run", entry)
    assert done.returncode == code
    assert done.stdout == ""
    for text in says:
        assert text in done.stderr
    return done.stderr


def test_no_main(capsule, write):
    entry = write({"main.ts": f'{HEAD}export const other = task({{ name: "other" }}, () => 1);\n'})
    refused(capsule, entry, "1 task and none is named main", "hint: main.ts declares: other")
    assert capsule("run", entry, "--task", "other").stdout == "1\n"


def test_main_is_no_task(capsule, write):
    entry = write({"main.ts": "export const main = () => 1;\n"})
    refused(capsule, entry, "declares no task", "hint: export const main = task(")


def test_two_tasks_of_one_name(capsule, write):
    text = main_of("() => 1") + 'export const again = task({ name: "main" }, () => 2);\n'
    refused(capsule, write({"main.ts": text}), "main.ts:3", "main.ts:2", '"main"')


def test_syntax_error(capsule, write):
    refused(capsule, write({"main.ts": main_of("() => {")}), "main.ts:2:", "Unexpected")


def test_a_type_error_alone_is_no_reason_not_to_run(capsule, write):
    entry = write({"main.ts": main_of("(): number => { const s: number = 'text' as never; return s; }")})
    assert capsule("run", entry).stdout == "text\n"


def test_unresolved_import(capsule, write):
    entry = write({"main.ts": 'import x from "not-there";\nimport y from "./nor-this";\n' + main_of("() => [x, y]")})
    refused(capsule, entry, 'main.ts:1:15: ', '"not-there"', "npm install not-there", 'main.ts:2:15: ', '"./nor-this"')


@pytest.mark.parametrize(
    ("module", "instead"),
    [
        ("fs", "files"),
        ("node:fs/promises", "files"),
        ("http", "fetch"),
        ("child_process", "sandbox"),
        ("crypto", "crypto"),
    ],
)
def test_node_modules(capsule, write, module, instead):
    entry = write({"main.ts": f'import * as it from "{module}";\n' + main_of("() => it")})
    refused(capsule, entry, "main.ts:1:21", f'"{module}"', instead)


def test_a_package_that_wants_node(capsule, write):
    entry = write(
        {
            "main.ts": 'import it from "wants-node";\n' + main_of("() => it"),
            "node_modules/wants-node/package.json": '{"name": "wants-node", "main": "index.js"}',
            "node_modules/wants-node/index.js": "module.exports = require('net');",
        }
    )
    refused(capsule, entry, '"net"', "node_modules/wants-node/index.js:1:26")


@pytest.mark.parametrize("spelling", ["{secret}", "../outside/secret.json", "./link/secret.json", "linked/secret.json"])
def test_nothing_outside_of_the_project_is_bundled(capsule, write, tmp_path, spelling):
    write({"outside/secret.json": '{"token": "s3cret"}'})
    secret = str(tmp_path / "outside" / "secret.json")
    entry = write({"project/main.ts": f'import it from "{spelling.format(secret=secret)}";\n' + main_of("() => it")})
    (tmp_path / "project" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "project" / "node_modules").mkdir()
    (tmp_path / "project" / "node_modules" / "linked").symlink_to(tmp_path / "outside")
    assert "s3cret" not in refused(capsule, entry, "outside")


@pytest.mark.parametrize("name", [".env", "notes.txt", "picture.png", "style.css"])
def test_only_sources_are_bundled(capsule, write, name):
    entry = write({"main.ts": f'import it from "./{name}";\n' + main_of("() => it"), name: "SECRET=s3cret\n"})
    assert "s3cret" not in refused(capsule, entry, name)


def test_no_bundler(capsule, write, tmp_path):
    guests = Path(__file__).resolve().parents[2] / "build" / "lib" / "capsule"
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("js", "python", "curl.so"):
        (bare / name).symlink_to(guests / name)
    env = {"CAPSULE_GUESTS": str(bare), "PATH": "/nowhere"}
    done = capsule("run", write({"main.ts": main_of("() => 1")}), env=env)
    assert done.returncode == 2
    assert "esbuild" in done.stderr
    assert "hint: " in done.stderr
    assert "npm install" in done.stderr


def test_a_program_cannot_bring_its_own_bundler(capsule, write, tmp_path):
    entry = write({"main.ts": main_of("() => 1")})
    for place in ("node_modules/.bin/esbuild", "node_modules/@esbuild/linux-x64/bin/esbuild"):
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        file.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
        file.chmod(0o755)
    path = f"{tmp_path}/node_modules/.bin:{os.environ['PATH']}"
    assert capsule("run", entry, env={"PATH": path}).stdout == "1\n"
    assert not (tmp_path / "owned").exists()


# --- what people see


def test_traceback_names_the_users_lines(capsule, write, tmp_path):
    entry = write(
        {
            "src/main.ts": 'import { task } from "@capsule-run/sdk";\nimport { check } from "../lib/check";\n\n'
            "interface Input {\n  n: number;\n}\n\n"
            'export const main = task({ name: "main", maxRetries: 0 }, (input: Input) => check(input.n));\n',
            "lib/check.ts": "type N = number;\n\nexport function check(n: N): N {\n"
            "  if (n > 1) throw new RangeError(`too large: ${n}`);\n"
            "  return n;\n}\n",
            "capsule.toml": "",
        }
    )
    done = capsule("run", entry, '{"n": 2}')
    assert done.returncode == 1
    frames = r"    at check \(lib/check\.ts:4:\d+\)\n    at src/main\.ts:8:\d+\n"
    assert re.search(rf"RangeError: too large: 2\n{frames}", done.stderr)
    assert "capsule:" not in done.stderr


def test_stack_is_mapped_where_the_program_reads_it(capsule, write):
    entry = write({"main.ts": main_of("() => { const e: Error = new TypeError('x'); return e.stack; }")})
    assert re.fullmatch(r"TypeError: x\n    at /project/main\.ts:2:\d+\n", capsule("run", entry).stdout)


def test_console(capsule, write):
    body = '() => { console.log({ a: [1, { b: new Map([["k", 1]]) }] }, "%s", 1); console.error("oops"); }'
    entry = write({"main.ts": main_of(body)})
    done = capsule("run", entry)
    assert done.stdout == "{ a: [ 1, { b: [Map] } ] } %s 1\nnull\n"
    assert done.stderr == "oops\n"


def test_envelope_of_a_failure(capsule, write):
    entry = write({"main.ts": main_of("() => { throw new TypeError('no') }")})
    envelope = json.loads(capsule("run", entry, "--json").stdout)
    assert envelope["error"]["type"] == "task_error"
    assert envelope["error"]["class"] == "TypeError"
    assert envelope["error"]["message"] == "no"


def test_sleeping_takes_no_thread(capsule, write):
    """On one thread, one after the other would take eight minutes."""
    text = (
        HEAD
        + 'const nap = task({ name: "nap", ram: "64MB" }, async (n: number) => {\n'
        + "  await new Promise((done) => setTimeout(done, 1000));\n  return n;\n});\n"
        + 'export const main = task({ name: "main" }, async (n: number) => (await nap.map(Array(n).keys())).length);\n'
    )
    began = time.monotonic()
    assert capsule("run", write({"main.ts": text}), "500", "--jobs", "1").stdout == "500\n"
    assert time.monotonic() - began < 60


# --- files and environment


def test_files(capsule, write, tmp_path):
    entry = write(
        {
            "main.ts": 'import { task, files } from "@capsule-run/sdk";\n'
            'const all = { maxRetries: 0, allowedFiles: ["./data", { path: "./fixed", mode: "ro" }] } as const;\n'
            'export const main = task({ name: "main", ...all }, async () => {\n'
            '  const text = await files.readText("./data/in.txt");\n'
            '  await files.writeText("data/out.txt", text.toUpperCase() + "\\n");\n'
            '  await files.writeBytes("/project/data/out.bin", new Uint8Array([0, 255]));\n'
            '  const calls = [files.writeText("fixed/x", ""), files.readText("main.ts"), files.readBytes("data")];\n'
            "  const failed = await Promise.allSettled<unknown>(calls);\n"
            '  const [no, yes] = [await files.exists("data/no"), await files.exists("data/in.txt")];\n'
            '  return [(await files.list("data")).sort(), no, yes,\n'
            '    failed.map((f) => (f as PromiseRejectedResult).reason.code)];\n'
            "});\n",
            "data/in.txt": "grüße",
            "fixed/a": "",
        }
    )
    done = capsule("run", entry)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [["in.txt", "out.bin", "out.txt"], False, True, ["EROFS", "ENOENT", "EISDIR"]]
    assert (tmp_path / "data" / "out.txt").read_text() == "GRÜSSE\n"
    assert (tmp_path / "data" / "out.bin").read_bytes() == b"\0\xff"


def test_environment(capsule, write):
    body = "() => [env.GIVEN, process.env.GIVEN, process.env.OTHER ?? null, Object.keys(env)]"
    main = main_of(body, 'name: "main", envVariables: ["GIVEN"]')
    text = 'import { env, task } from "@capsule-run/sdk";\n' + main[len(HEAD) :]
    done = capsule("run", write({"main.ts": text}), env={"GIVEN": "x", "OTHER": "y"})
    assert json.loads(done.stdout) == ["x", "x", None, ["GIVEN"]]
