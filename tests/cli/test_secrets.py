"""Secrets: a task holds a token, the secret's hosts get the value, and nobody else gets either."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.server.fixtures import PUBLIC, PUBLIC_RULE

VALUE = "sk-4f9a8b7c6d5e-the-real-value"


def result_of(envelope):
    assert envelope["success"], (envelope["error"], envelope["stderr"])
    return envelope["result"]


@pytest.fixture
def run(http_run, server):
    """run(task, *arguments) with the secret KEY for the server; the value must be in nothing that comes out."""

    def call(task, *arguments, secret_hosts=None, hosts=None, env=None):
        secret = json.dumps(secret_hosts or [server.address])
        defaults = 'default_env_variables = ["KEY", "PLAIN"]\n'
        toml = f"{defaults}[secrets]\nKEY = {{ hosts = {secret} }}\n"
        other = f"localhost:{server.port}"
        envelope = http_run(
            f"http_probe.py:{task}",
            *arguments,
            hosts=hosts or [server.address, other],
            toml=toml,
            env={"KEY": VALUE, "PLAIN": "plain-text", **(env or {})},
        )
        assert VALUE not in envelope["stdout"]
        assert VALUE not in envelope["stderr"]
        return envelope

    return call


def bearer(url, **keywords):
    return {"url": url, "headers": {"Authorization": "Bearer {KEY}", "X-Key": "{KEY}"}, **keywords}


def test_the_server_gets_the_value(run, server):
    tokens, (answer,), seen = result_of(run("secrets", ["KEY", "PLAIN"], bearer(f"{server.url}/echo")))
    assert tokens["PLAIN"] == "plain-text"
    assert tokens["KEY"] and VALUE not in tokens["KEY"]
    (request,) = server.at("/echo")
    assert (request.header("authorization"), request.header("x-key")) == (f"Bearer {VALUE}", VALUE)
    assert answer["status"] == 200
    assert "*" * len(VALUE) in answer["text"]  # the server told it back
    assert VALUE not in seen


def test_tokens_say_nothing(run, server, tmp_path):
    """The same in each run, as a resumed one has it in its memory, whatever the value; another in each cache."""
    one, two = (result_of(run("secrets", ["KEY"]))[0]["KEY"] for _ in range(2))
    assert one == two
    assert len(one) >= 16
    other = result_of(run("secrets", ["KEY"], env={"KEY": "quite another value"}))[0]["KEY"]
    assert other == one
    elsewhere = result_of(run("secrets", ["KEY"], env={"CAPSULE_CACHE": str(tmp_path / "cache")}))[0]["KEY"]
    assert elsewhere != one


def test_other_hosts_get_nothing(run, server, names):
    """Neither value nor token: the request isn't made."""
    other = f"http://localhost:{server.port}"
    _, (answer,), _ = result_of(run("secrets", ["KEY"], bearer(f"{other}/echo"), env=names("localhost 0 127.0.0.1")))
    assert (answer.get("error"), answer.get("kind")) == ("NotAllowed", "policy"), answer
    assert "KEY" in answer["message"]
    assert server.requests == []


def test_redirects_to_other_hosts_lose_it(run, server, names):
    calls = [
        bearer(f"{server.url}/redirect/307?to=http://localhost:{server.port}/echo"),
        bearer(f"{server.url}/redirect/307?to=/echo"),
    ]
    _, answers, _ = result_of(run("secrets", ["KEY"], *calls, env=names("localhost 0 127.0.0.1")))
    assert [answer.get("status") for answer in answers] == [200, 200], answers
    away, home = server.at("/echo")
    assert (away.header("authorization"), away.header("x-key")) == (None, None)
    assert home.header("x-key") == VALUE


def test_only_headers(run, server):
    """In a URL or a body a token stays what it is: the value never gets where it would be kept or shown."""
    call = {"url": f"{server.url}/echo?key={{KEY}}", "data": "body {KEY}"}
    tokens, _, _ = result_of(run("secrets", ["KEY"], call))
    (request,) = server.at("/echo")
    assert VALUE not in request.target
    assert request.body == f"body {tokens['KEY']}".encode()


def test_basic_authentication(run, server):
    """Base64 hides the token from the host: it stays a token."""
    result_of(run("secrets", ["KEY"], {"url": f"{server.url}/echo", "auth": ["user", "{KEY}"]}))
    assert VALUE not in str(server.at("/echo")[0].headers)


def test_errors_and_tracebacks(run, server):
    envelope = run("fails_with", "KEY", f"{server.url}/echo")
    assert envelope["error"]["class"] == "ValueError"
    assert server.at("/echo")[0].header("authorization") == f"Bearer {VALUE}"


def test_record(run, server):
    envelope = run("secrets", ["KEY"], bearer(f"{server.url}/echo?a=b"))
    (record,) = envelope["execution"]["host_requests"]
    assert record["url"] == f"{server.url}/echo?a=***"


def test_only_over_tls(run, names, server, public):
    """A public host gets no secret in the clear."""
    env = names(f"api.test 0 {PUBLIC}", PUBLIC_RULE)
    call = bearer(f"http://api.test:{server.port}/echo")
    _, (answer,), _ = result_of(run("secrets", ["KEY"], call, secret_hosts=["api.test"], hosts=["api.test"], env=env))
    assert "error" in answer, answer
    assert public.requests == []


def test_over_tls(run, tls):
    env = {"SSL_CERT_FILE": str(tls.bundle)}
    one = tls.good
    _, (answer,), _ = result_of(
        run("secrets", ["KEY"], bearer(f"{one.url}/echo"), secret_hosts=[one.address], hosts=[one.address], env=env)
    )
    assert answer.get("status") == 200, answer
    assert one.requests[0].header("x-key") == VALUE


def test_only_tasks_that_name_it(capsule, tmp_path, server):
    (tmp_path / "capsule.toml").write_text(f'[secrets]\nKEY = {{ hosts = ["{server.address}"] }}\n')
    (tmp_path / "main.py").write_text(
        "import os\nfrom capsule import task\n"
        "@task(env_variables=['KEY'])\ndef child(): return os.environ['KEY']\n"
        "@task\ndef main(): return [os.environ.get('KEY'), child()[:3]]\n"
    )
    done = capsule("run", "main.py", env={"KEY": VALUE})
    assert done.returncode == 0, done.stderr
    none, token = json.loads(done.stdout)
    assert none is None
    assert token != VALUE[:3]


def test_value_from_the_dotenv_file(capsule, tmp_path, server):
    (tmp_path / "capsule.toml").write_text(f'[secrets]\nKEY = {{ hosts = ["{server.address}"] }}\n')
    (tmp_path / ".env").write_text(f"KEY={VALUE}\n")
    (tmp_path / "main.py").write_text(
        "import os\nfrom capsule import task\nfrom capsule.http import get\n"
        f"@task(env_variables=['KEY'], allowed_hosts=['{server.address}'])\n"
        f"def main(): return get('{server.url}/echo', headers={{'X-Key': os.environ['KEY']}}).status_code\n"
    )
    assert capsule("run", "main.py").stdout == "200\n"
    assert server.at("/echo")[0].header("x-key") == VALUE


def test_verbose_tells_nothing(capsule, tmp_path, server):
    (tmp_path / "capsule.toml").write_text(f'[secrets]\nKEY = {{ hosts = ["{server.address}"] }}\n')
    (tmp_path / "main.py").write_text(
        "import os\nfrom capsule import task\nfrom capsule.http import get\n"
        f"@task(env_variables=['KEY'], allowed_hosts=['{server.address}'], max_retries=0)\n"
        "def main():\n"
        f"    echo = get('{server.url}/echo?a=' + os.environ['KEY'], headers={{'X-Key': os.environ['KEY']}}).text()\n"
        "    print(echo)\n"
        "    raise ValueError(echo)\n"
    )
    done = capsule("run", "--verbose", "main.py", env={"KEY": VALUE})
    assert done.returncode == 1
    assert server.at("/echo")[0].header("x-key") == VALUE
    assert "ValueError" in done.stderr
    assert VALUE not in done.stdout + done.stderr


# --- the guest's memory itself

ECHOES = """
import os
from capsule import task
from capsule.http import get, stream

@task
def main():
    key = os.environ["KEY"]
    headers = {"Authorization": f"Bearer {key}", "X-Key": key}
    whole = get(URL, headers=headers)
    with stream("GET", URL, headers=headers) as response:
        parts = list(response.iter_bytes())
    print("holding", len(whole.text()), len(parts), flush=True)
    import time
    time.sleep(60)
"""


def linear_memories(pid: int) -> Iterator[tuple[int, int]]:
    """The address ranges of sandboxes: private writable mappings of images, and what they grew behind them."""
    end = 0
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+ *(.*)", line)
            assert found
            start, stop, mode, file = int(found[1], 16), int(found[2], 16), found[3], found[4]
            if mode.startswith("rw") and (file.endswith(".image") or (not file and start == end)):
                end = stop
                yield start, stop


def test_no_linear_memory_holds_it(capsule_start, server, tmp_path):
    """Read from outside while the task holds two responses that told the value back, one whole and one in parts."""
    (tmp_path / "main.py").write_text(f"URL = {server.url + '/echo'!r}\n" + ECHOES)
    (tmp_path / "capsule.toml").write_text(
        f'[tasks]\ndefault_allowed_hosts = ["{server.address}"]\ndefault_env_variables = ["KEY"]\n'
        f'[secrets]\nKEY = {{ hosts = ["{server.address}"] }}\n'
    )
    process = capsule_start("run", "main.py", env={"KEY": VALUE})
    assert process.stdout.readline().startswith("holding"), process.stderr.read()
    assert [r.header("x-key") for r in server.at("/echo")] == [VALUE, VALUE]
    memory = b""
    with open(f"/proc/{process.pid}/mem", "rb", buffering=0) as mem:
        for start, stop in linear_memories(process.pid):
            mem.seek(start)
            memory += mem.read(stop - start)
    assert b"capsule-secret-" in memory  # it's the right memory: the token is there
    assert b"*" * len(VALUE) in memory
    assert VALUE.encode() not in memory
