"""`capsule run`: arguments, results, output, envelope, options."""

import http.server
import json
import os
import pty
import re
import select
import socket
import subprocess
import threading

import pytest

ECHO = """
@task
def main(*args, **kwargs):
    return [list(args), kwargs]
"""


def result_of(result):
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


# --- arguments


def test_arguments_are_json_or_strings(capsule, program):
    words = [
        "1",
        "-5",
        "-1.5",
        "1e3",
        "true",
        "null",
        '"x"',
        "x",
        "",
        " 7 ",
        '{"a": [1]}',
        "{a}",
        "NaN",
        "-",
        "1 2",
        "ü",
    ]
    assert result_of(capsule("run", program(ECHO), *words)) == [
        [1, -5, -1.5, 1000.0, True, None, "x", "x", "", 7, {"a": [1]}, "{a}", "NaN", "-", "1 2", "ü"],
        {},
    ]


def test_large_numbers_arrive_whole(capsule, program):
    file = program("@task\ndef main(n): return str(n)")
    assert capsule("run", file, "123456789012345678901234567890").stdout == "123456789012345678901234567890\n"


def test_dashes_after_two_dashes(capsule, program):
    file = program(ECHO)
    assert result_of(capsule("run", file, "--", "--verbose", "--", "-x")) == [["--verbose", "--", "-x"], {}]
    assert result_of(capsule("run", "--", file, "--zzz")) == [["--zzz"], {}]


def test_options_after_the_file(capsule, program):
    result = capsule("run", program(ECHO), "1", "--json", "2")
    assert json.loads(result.stdout)["result"] == [[1, 2], {}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [('["a", 2]', [["a", 2], {}]), ('{"a": 1}', [[], {"a": 1}]), (" [] ", [[], {}])],
)
def test_args_file(capsule, program, tmp_path, content, expected):
    (tmp_path / "args.json").write_text(content)
    file = program(ECHO)
    assert result_of(capsule("run", file, "--args-file", "args.json")) == expected
    assert result_of(capsule("run", file, "--args-file=-", input=content)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1', "arguments that aren't JSON: not JSON at line 1, column 8"),
        ("", "arguments that aren't JSON"),
        ("[NaN]", "arguments that aren't JSON"),
        ("5", "arguments must be a JSON array or object"),
        ("[1] [2]", "arguments that aren't JSON"),
    ],
)
def test_args_file_that_is_no_good(capsule, program, tmp_path, content, message):
    (tmp_path / "args.json").write_text(content)
    result = capsule("run", program(ECHO), "--args-file", "args.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: args.json: {message}")
    assert "hint: an array holds positional arguments" in result.stderr


def test_args_file_that_is_missing(capsule, program):
    result = capsule("run", program(ECHO), "--args-file", "nope.json")
    assert result.returncode == 2
    assert "can't open the arguments file nope.json: No such file" in result.stderr


def test_arguments_twice(capsule, program, tmp_path):
    (tmp_path / "args.json").write_text("[]")
    result = capsule("run", program(ECHO), "1", "--args-file", "args.json")
    assert result.returncode == 2
    assert "arguments are given twice" in result.stderr


def test_argument_that_is_not_utf8(capsule, program):
    result = capsule("run", program(ECHO), b"\xff")
    assert result.returncode == 2
    assert "argument 1 isn't valid UTF-8" in result.stderr


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--verbos", "main.py"], "unknown option --verbos", "did you mean --verbose?"),
        (["main.py", "--verbos"], "unknown option --verbos", "put it after --: … -- --verbos"),
        (["main.py", "-x"], "unknown option -x", "put it after --: … -- -x"),
        (["--xyzzy", "a", "main.py"], "unknown option --xyzzy", "capsule run --help"),
        (["--task"], "option --task needs a value", "--task NAME"),
        (["--task", "--json", "main.py"], "option --task needs a value", "--task=NAME"),
        (["--json=1", "main.py"], "option --json takes no value", ""),
        (["--timeout", "5", "main.py"], "option --timeout: '5' isn't a duration", "30s"),
        (["--timeout", "-5s", "main.py"], "option --timeout: '-5s' isn't a duration", "30s"),
        (["--timeout=0s", "main.py"], "option --timeout must be more than 0", ""),
        (["--jobs", "0", "main.py"], "option --jobs must be a number from 1 to 256", "every core"),
        (["--jobs", "257", "main.py"], "option --jobs must be a number from 1 to 256", "every core"),
        (["--jobs", "-1", "main.py"], "option --jobs must be a number from 1 to 256", "every core"),
        (["--jobs", "2x", "main.py"], "option --jobs must be a number from 1 to 256", "every core"),
        (["--jobs", "99999999999999999999", "main.py"], "option --jobs must be a number from 1 to 256", "every core"),
        (["--jobs="], "option --jobs must be a number from 1 to 256", "every core"),
        (["--mount", ":x", "main.py"], "option --mount can't be read", "HOST:GUEST"),
        (["--mount", "a:b:c", "main.py"], "option --mount can't be read", "HOST:GUEST"),
        (["--env", "=x", "main.py"], "option --env needs a name", "NAME=VALUE"),
    ],
)
def test_usage_errors(capsule, program, words, message, hint):
    program(ECHO)
    result = capsule("run", *words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert hint in result.stderr


# --- results and output


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("'text'", "text\n"),
        ("'two\\nlines\\n'", "two\nlines\n\n"),
        ("''", "\n"),
        ("None", "null\n"),
        ("0", "0\n"),
        ("False", "false\n"),
        ("[1, 'ü', None]", '[1,"ü",null]\n'),
        ("{'a': {'b': 1.5}}", '{"a":{"b":1.5}}\n'),
        ("10**30", "1000000000000000000000000000000\n"),
    ],
)
def test_results(capsule, program, expression, printed):
    result = capsule("run", program(f"@task\ndef main(): return {expression}"))
    assert (result.returncode, result.stdout, result.stderr) == (0, printed, "")


def test_streams_stay_apart(capsule, program):
    result = capsule(
        "run", program("@task\ndef main():\n    print('out'); print('err', file=sys.stderr); return 'result'")
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "out\nresult\n", "err\n")


def test_bytes_pass_unchanged(capsule, program):
    result = capsule("run", program("@task\ndef main(): os.write(1, bytes(range(256)))"), text=False)
    assert result.stdout == bytes(range(256)) + b"null\n"


def test_output_arrives_as_it_is_written(capsule_start, program):
    process = capsule_start("run", program("@task\ndef main(): print('first'); time.sleep(30)"))
    assert select.select([process.stdout], [], [], 30)[0]
    assert process.stdout.readline() == "first\n"
    assert process.poll() is None


def test_output_of_the_import_is_no_part_of_the_run(capsule, program):
    """It comes only when the image is built, so whoever reads the result must not depend on it."""
    file = program("print('imported')\n@task\ndef main(): return 'ran'")
    first, second = capsule("run", file), capsule("run", file)
    assert (first.returncode, first.stdout, first.stderr) == (0, "ran\n", "imported\n")
    assert (second.returncode, second.stdout, second.stderr) == (0, "ran\n", "")


def test_children_print_too(capsule, program):
    file = program("@task\ndef child(n): print('child', n)\n@task\ndef main():\n    child(1); child(2)")
    assert capsule("run", file).stdout == "child 1\nchild 2\nnull\n"


def test_reader_that_went_away(capsule_start, program):
    process = capsule_start("run", program("@task\ndef main():\n    while True: print('line'); time.sleep(0.001)"))
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.wait(30) == -13  # as SIGPIPE ends every program; a shell shows 141
    assert process.stderr.read() == ""


def test_full_disk(capsule, program):
    with open("/dev/full", "w") as full:
        result = capsule("run", program("@task\ndef main(): print('x' * 10000)"), stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    assert "error: can't write to standard output: No space left on device" in result.stderr


def test_full_disk_takes_the_result(capsule, program):
    with open("/dev/full", "w") as full:
        result = capsule("run", program("@task\ndef main(): return 1"), stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2


def test_closed_standard_output(capsule_bin, capsule_env, program):
    file = program("@task\ndef main(): print('lost')")
    command = [f"exec '{capsule_bin}' run '{file}' >&-"]
    result = subprocess.run(["sh", "-c", *command], env=capsule_env, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 2
    assert "can't write to standard output" in result.stderr


# --- envelope


def test_envelope_of_a_success(capsule, program):
    result = capsule("run", program("@task\ndef main(): print('noise'); return {'a': 1}"), "--json")
    assert result.returncode == 0
    assert result.stdout.count("\n") == 1
    assert result.stderr == "noise\n"
    envelope = json.loads(result.stdout)
    assert list(envelope) == ["success", "result", "error", "execution"]
    assert (envelope["success"], envelope["result"], envelope["error"]) == (True, {"a": 1}, None)
    execution = envelope["execution"]
    assert execution["task_name"] == "main"
    assert execution["state"] == "completed"
    assert execution["retries"] == 0
    assert execution["duration_ms"] > 0
    assert execution["fuel_consumed"] > 1000
    assert execution["ram_used"] > 1_000_000
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{17,}", execution["run_id"])
    assert execution["host_requests"] == []


def test_envelope_of_a_failure(capsule, program):
    result = capsule("run", program("@task(max_retries=0)\ndef main(): raise ValueError('no')"), "--json")
    assert result.returncode == 1
    envelope = json.loads(result.stdout)
    assert (envelope["success"], envelope["result"]) == (False, None)
    assert envelope["error"]["type"] == "task_error"
    assert envelope["error"]["class"] == "ValueError"
    assert "no" in envelope["error"]["message"]
    assert 'main.py", line 3' in envelope["error"]["traceback"] or 'main.py", line 2' in envelope["error"]["traceback"]
    assert envelope["execution"]["state"] == "failed"
    assert "\033" not in result.stderr


def test_envelope_when_nothing_ran(capsule, tmp_path):
    result = capsule("run", "nope.py", "--json")
    assert result.returncode == 2
    envelope = json.loads(result.stdout)
    assert (envelope["success"], envelope["result"], envelope["execution"]) == (False, None, None)
    assert envelope["error"]["type"] == "bad_input"
    assert "nope.py" in envelope["error"]["message"]
    assert "error: " in result.stderr


# --- options


def test_task(capsule, program):
    file = program("@task\ndef main(): return 'main'\n@task\ndef other(n): return n + 1")
    assert capsule("run", file, "--task", "other", "4").stdout == "5\n"


def test_only_task_needs_no_name(capsule, program):
    assert capsule("run", program("@task\ndef only(): return 'ran'")).stdout == "ran\n"


def test_entrypoint_of_the_manifest(capsule, program, tmp_path):
    program("@task\ndef main(): return 'from the manifest'", "app/start.py")
    (tmp_path / "capsule.toml").write_text('[workflow]\nentrypoint = "app/start.py"\n')
    below = tmp_path / "some" / "folder"
    below.mkdir(parents=True)
    assert capsule("run", cwd=below).stdout == "from the manifest\n"


def test_timeout_of_the_run(capsule, program):
    file = program("@task(compute='HIGH')\ndef main():\n    while True: pass")
    result = capsule("run", file, "--timeout", "200ms", "--json")
    assert result.returncode == 124
    envelope = json.loads(result.stdout)
    assert (envelope["error"]["type"], envelope["execution"]["state"]) == ("timeout", "timed_out")


def test_mounts(capsule, program, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.txt").write_text("content")
    file = program(
        """
        @task
        def main(path, write=False):
            if write:
                open(path, "w").write("changed")
            return open(path).read()
        """
    )
    path = str(outside / "a.txt")
    assert capsule("run", file, "--mount", path, path).stdout == "content\n"
    assert capsule("run", file, "--mount", f"{outside}:/data", "/data/a.txt").stdout == "content\n"
    assert capsule("run", file, "--mount", f"{outside}:data", "data/a.txt").stdout == "content\n"
    assert capsule("run", file, path).returncode == 1
    for mount in (f"{outside}:/data", f"{outside}:/data:ro"):
        refused = capsule("run", file, "--mount", mount, "/data/a.txt", "true")
        assert refused.returncode == 1
        assert (outside / "a.txt").read_text() == "content"
    assert capsule("run", file, "--mount", f"{outside}:/data:rw", "/data/a.txt", "true").stdout == "changed\n"
    assert (outside / "a.txt").read_text() == "changed"


def test_mount_that_does_not_exist(capsule, program):
    result = capsule("run", program(ECHO), "--mount", "nowhere")
    assert result.returncode == 2
    assert "nowhere" in result.stderr


def test_env(capsule, program, tmp_path):
    file = program("@task\ndef main(): return dict(os.environ)")
    (tmp_path / ".env").write_text("FROM_FILE='in file'\nSECRET=1\n")
    env = {"FROM_PROCESS": "in process", "OTHER": "2"}
    result = capsule(
        "run", file, "--env", "A=b=c", "--env", "FROM_FILE", "--env", "FROM_PROCESS", "--env=EMPTY=", env=env
    )
    assert result_of(result) == {"A": "b=c", "FROM_FILE": "in file", "FROM_PROCESS": "in process", "EMPTY": ""}


def test_env_that_is_not_set(capsule, program):
    result = capsule("run", program(ECHO), "--env", "NOT_SET_ANYWHERE")
    assert (result.returncode, result.stdout) == (2, "")
    assert "NOT_SET_ANYWHERE" in result.stderr


def test_no_cache(capsule, program, tmp_path):
    file = program("@task\ndef main(): return 'ran'")
    cache = tmp_path / "cache"
    capsule("version", "--verbose", env={"CAPSULE_CACHE": str(cache)})
    capsule("run", program("@task\ndef main(): return 1", "other.py"), env={"CAPSULE_CACHE": str(cache)})
    before = sorted(p.name for p in cache.rglob("*") if not p.name.endswith(".lock"))
    result = capsule("run", file, "--no-cache", env={"CAPSULE_CACHE": str(cache)})
    assert result.stdout == "ran\n"
    after = sorted(p.name for p in cache.rglob("*") if not p.name.endswith(".lock"))
    assert [n for n in after if n.endswith(".image")] == [n for n in before if n.endswith(".image")]


# --- lifecycle lines, colour


def test_verbose(capsule, program):
    file = program(
        """
        @task(max_retries=1)
        def flaky():
            if context().attempt == 1:
                raise ValueError("first\\n\\x1b[31mtry")
            return 1

        @task
        def main():
            return flaky()
        """
    )
    result = capsule("run", file, "--verbose")
    assert (result.returncode, result.stdout) == (0, "1\n")
    lines = [line for line in result.stderr.splitlines() if re.match(r" *[\d.]+ m?s  #", line)]
    text = [re.sub(r"^ *[\d.]+ m?s  ", "", line) for line in lines]
    assert text[0] == "#1 main  created"
    assert text[1] == "#1 main  running  attempt 1"
    assert text[2] == "#2 flaky  created  by #1"
    assert text[3] == "#2 flaky  running  attempt 1"
    assert re.match(r"#2 flaky  retry  attempt 1 failed, next in .* ms  task_error: .*first", text[4])
    assert "\033" not in text[4]
    assert text[5] == "#2 flaky  running  attempt 2"
    assert re.match(r"#2 flaky  completed  attempt 2  .* ms  fuel \d+  ram [\d.]+ MB$", text[6])
    assert re.match(r"#1 main  completed  attempt 1  ", text[7])
    assert len(text) == 8
    assert result.stderr.endswith("\n2 tasks: 2 completed\n")


def test_verbose_counts_tasks_by_how_they_ended(capsule, program):
    file = program(
        """
        @task(max_retries=0)
        def child(n):
            return 1 / n

        @task
        def main():
            for n in range(-2, 3):
                try: child(n)
                except TaskError: pass
        """
    )
    assert capsule("run", file, "--verbose").stderr.endswith("\n6 tasks: 5 completed, 1 failed\n")
    assert "tasks:" not in capsule("run", program(ECHO), "--verbose").stderr


class Site(http.server.BaseHTTPRequestHandler):
    """Answers 5 bytes; /missing with 404, /away with a redirect to /there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.send_response({"/missing": 404, "/away": 302}.get(path, 200))
        if path == "/away":
            self.send_header("Location", "/there?token=abc")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    """A server on loopback; its host and port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_verbose_shows_requests(capsule, program, site):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        file = program(
            f"""
            from capsule.http import HttpError, get

            @task(allowed_hosts=["{site}", "{nobody}"])
            def main():
                for url in ("{site}/a?key=secret&b=2", "{site}/missing", "{site}/away", "{nobody}/"):
                    try: get("http://" + url)
                    except HttpError as e: print(e.kind)
            """
        )
        result = capsule("run", file, "--verbose")
    assert (result.returncode, result.stdout) == (0, "connect\nnull\n")
    lines = [line.partition("#1 main  GET http://")[2] for line in result.stderr.splitlines() if "GET" in line]
    assert [line.rsplit("  ", 2)[0] for line in lines] == [
        f"{site}/a?key=***&b=***  200",
        f"{site}/missing  404",
        f"{site}/away  302",
        f"{site}/there?token=***  200",
        f"{nobody}/  no response",
    ]
    assert all(re.fullmatch(r"[\d.]+ ms  [05] B", "  ".join(line.rsplit("  ", 2)[1:])) for line in lines)
    assert "secret" not in result.stderr


@pytest.mark.parametrize("jobs", ["1", "2", "256"])
def test_jobs(capsule, program, jobs):
    file = program(
        """
        @task
        def square(n):
            return n * n

        @task
        def main():
            return list(square.map(range(10)))
        """
    )
    assert result_of(capsule("run", file, "--jobs", jobs)) == [n * n for n in range(10)]


def test_error_line_names_the_class(capsule, program):
    file = program("class Odd(Exception): pass\n@task(max_retries=0)\ndef main(*a): raise Odd(*a)")
    assert capsule("run", file, "why").stderr.endswith("\nerror: task_error: Odd: why\n")
    assert capsule("run", file).stderr.endswith("\nerror: task_error: Odd\n")
    killed = capsule("run", program("@task(max_retries=0, compute=1000)\ndef main(): pass"))
    assert killed.stderr.startswith("error: out_of_fuel: the task used")


def test_quiet_by_default(capsule, program):
    assert capsule("run", program("@task\ndef main(): pass")).stderr == ""


def on_a_terminal(capsule_bin, env, *args, cwd):
    """Run with standard error on a terminal; returns what it showed."""
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [capsule_bin, *args], cwd=cwd, env={"TERM": "xterm", **env}, stdout=subprocess.PIPE, stderr=follower
        )
        os.close(follower)
        process.communicate(timeout=60)
        shown = b""
        try:
            while chunk := terminal.read(4096):
                shown += chunk
        except OSError:  # Linux says EIO when the other end is closed
            pass
    return shown.decode()


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_colour(capsule_bin, capsule_env, tmp_path, env, coloured):
    shown = on_a_terminal(capsule_bin, {**capsule_env, **env}, "run", "nope.py", cwd=tmp_path)
    assert "error:" in shown
    assert ("\033[" in shown) == coloured


def test_no_colour_with_json(capsule_bin, capsule_env, tmp_path):
    shown = on_a_terminal(capsule_bin, capsule_env, "run", "nope.py", "--json", cwd=tmp_path)
    assert "error:" in shown
    assert "\033[" not in shown


def test_no_colour_into_a_pipe(capsule, program):
    result = capsule("run", program("@task(max_retries=0)\ndef main(): 1 / 0"), "--verbose", env={"TERM": "xterm"})
    assert "\033" not in result.stderr


def test_an_edit_is_seen_at_once(capsule, program):
    for n in range(3):
        assert capsule("run", program(f"@task\ndef main(): return {n}")).stdout == f"{n}\n"


def test_an_edit_of_an_imported_module_is_seen(capsule, program, tmp_path):
    file = program("import helper\n@task\ndef main(): return helper.VALUE")
    for n in range(2):
        (tmp_path / "helper.py").write_text(f"VALUE = {n}\n")
        assert capsule("run", file).stdout == f"{n}\n"
