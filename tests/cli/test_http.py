"""capsule.http and urllib.request in sandboxes, against a server on loopback."""

import json

import pytest

from tests.server import expected


def result_of(envelope):
    assert envelope["success"], (envelope["error"], envelope["stderr"])
    return envelope["result"]


# --- the programming interface


@pytest.mark.parametrize("part", expected.PARTS, ids=lambda part: part.__name__)
def test_programming_interface(http_run, server, tls, part):
    """The same as outside: tests/python/test_http_outside.py."""
    other = {"redirects": [f"http://localhost:{server.port}"], "failures": ["http://127.0.0.1:1/"]}
    hosts = [server.address, f"localhost:{server.port}", "127.0.0.1:1"]
    arguments = [server.url, *other.get(part.__name__, [])]
    assert result_of(http_run(f"http_api.py:{part.__name__}", *arguments, hosts=hosts)) == part(server.url)


def test_urllib(http_run, server, tmp_path):
    base = server.url
    (tmp_path / "project" / "out").mkdir(parents=True)
    files = 'default_allowed_files = ["./out"]\n'

    def call(task, *arguments):
        hosts = [server.address, "127.0.0.1:1"]
        return result_of(http_run(f"http_urllib.py:{task}", *arguments, hosts=hosts, toml=files))

    assert call("opens", base) == [
        [200, "OK", f"{base}/bytes?n=100000", "application/octet-stream"],
        [10, 5, 99985, 0],
        ["first\r\n", "zw\u00f6lf\n", "\n", "last"],
        ["PUT", "a=1", "b", "Python-urllib"],
        ["POST", "application/x-www-form-urlencoded"],
        "xxxxx",
        "abc",
        ["unpacked unpacked ", "hello, world", "", "as it was"],
    ]
    assert call("goes_on", base) == [
        "1",
        True,
        [1000, "1000"],
        ["a=1; Path=/", "b=2"],
        ["HTTPError", 404, "body of /status/404"],
        ["HTTPError", 500, "body of /status/500"],
        ["HTTPError", 302],
        ["Timeout"],
        "b'xxx'",
        ["URLError", "ProtocolError"],
        ["URLError", "ConnectError"],
        ["URLError", "OSError"],
        ["URLError", "str"],
    ]
    assert call("client", base) == [
        [200, 11, "hello", True],
        ["POST", "by hand", "a b"],
        [200, "application/json"],
        ["ResponseNotReady"],
        ["InvalidURL"],
        ["ValueError"],
        ["InvalidRequest"],
        ["InvalidRequest"],
        ["OSError"],
        ["ExpatError"],
    ]


def test_urllib_ends_as_policy_does(http_run):
    envelope = http_run("http_urllib.py:refused")
    assert envelope["error"]["type"] == "policy"
    assert envelope["execution"]["retries"] == 0
    assert "10.0.0.1 isn't allowed" in envelope["error"]["message"]


def test_proxies_are_not_inherited(http_run, server):
    """Neither by the host, whose environment names one, nor by a guest that is given the variable."""
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"), "http://127.0.0.1:1")
    toml = 'default_env_variables = ["http_proxy"]\n'
    envelope = http_run("http_urllib.py:proxies", server.url, hosts=[server.address], toml=toml, env=proxy)
    assert result_of(envelope) == ["/echo", ["URLError", "InvalidRequest"]]
    assert len(server.at("/echo")) == 1


# --- what goes over the wire


def test_what_is_sent_by_default(http_run, server, capsule):
    (answer,) = result_of(http_run("http_probe.py:probe", f"{server.url}/echo", hosts=[server.address]))
    headers = {name.lower(): value for name, value in json.loads(answer["text"])["headers"]}
    assert headers.pop("user-agent").startswith("capsule/")
    assert "gzip" in headers.pop("accept-encoding")
    assert headers == {"host": server.address, "accept": "*/*"}


def test_large_bodies_go_both_ways(http_run, server):
    """More than fits one message: in parts, as they come."""
    run = http_run("http_probe.py:upload", f"{server.url}/length", 90, 1_000_000, hosts=[server.address])
    (answer, asked) = result_of(run)
    assert (answer.get("text"), asked) == ("90000000", 90), answer
    server.clear()
    many = f"{server.url}/bytes?n=100000000"
    run = http_run("http_probe.py:download", many, 10**9, hosts=[server.address], toml=LARGE)
    assert result_of(run) == [100_000_000, None, None]


LARGE = '[http]\nmax_response_size = "1GB"\n'


def test_early_answer_ends_an_upload(http_run, server):
    """A server that answers before it has read the body."""
    answer, asked = result_of(
        http_run("http_probe.py:upload", f"{server.url}/early", 200, 1_000_000, hosts=[server.address])
    )
    assert answer.get("status") == 413 or answer.get("kind") == "closed", answer
    assert asked < 200


def test_connections_are_kept_between_tasks(http_run, server):
    assert result_of(http_run("http_probe.py:tasks", server.url, 20, hosts=[server.address])) == [200] * 20
    assert len(server.at("/echo")) == 20
    assert server.connections == 1


def test_many_at_once(http_run, server):
    length, fine = result_of(http_run("http_probe.py:many", server.url, 500, hosts=[server.address]))
    assert fine
    assert length > 0
    assert len(server.at("/echo")) == 500
    assert server.connections <= 64


def test_more_at_once_than_a_sandbox_may_have_open(http_run, server):
    """20,000 coroutines, refused one and all: what counts is that each gets its turn."""
    refused = result_of(http_run("http_probe.py:refusals", "http://127.0.0.1:1/", 20_000))
    assert refused == 20_000


def test_http2(http_run, tls):
    env = {"SSL_CERT_FILE": str(tls.bundle)}
    calls = [
        f"{tls.good.url}/echo",
        {"url": f"{tls.good.url}/echo", "method": "POST", "data": "body"},
        f"{tls.good.url}/bytes?n=3000000",
        f"{tls.old.url}/echo",
    ]
    hosts = [tls.good.address, tls.old.address]
    two, post, large, one = result_of(http_run("http_probe.py:probe", *calls, hosts=hosts, env=env))
    assert (two["status"], two["version"], one["version"]) == (200, "2", "1.1")
    assert json.loads(post["text"])["body"] == "body"
    assert large["length"] == 3_000_000
    assert tls.good.connections == 1


# --- the record


def test_host_requests(http_run, server):
    calls = [
        f"{server.url}/bytes?n=1000&token=hidden",
        f"http://user:hidden@{server.address}/redirect/302?to=%2Fgzip",
        {"url": f"{server.url}/status/500", "method": "POST", "data": "hidden", "headers": {"X-Key": "hidden"}},
        f"{server.url}/nothing",
        "http://10.0.0.1/",
    ]
    envelope = http_run("http_probe.py:probe", *calls, hosts=[server.address])
    records = envelope["execution"]["host_requests"]
    short = [[one["method"], one["url"].replace(server.url, ""), one["status"]] for one in records]
    assert short[:4] == [
        ["GET", "/bytes?n=***&token=***", 200],
        ["GET", "/redirect/302?to=***", 302],
        ["GET", "/gzip", 200],
        ["POST", "/status/500", 500],
    ]
    assert ["GET", "/nothing", 0] in short
    assert records[0]["bytes"] == 1000
    assert all(set(one) == {"method", "url", "status", "duration_ms", "bytes"} for one in records)
    assert all(one["duration_ms"] >= 0 for one in records)
    assert "hidden" not in json.dumps(envelope["execution"])


def test_verbose_shows_requests(capsule, server, tmp_path):
    (tmp_path / "main.py").write_text(
        "from capsule import task\nfrom capsule.http import get\n"
        f"@task(allowed_hosts=['{server.address}'])\n"
        f"def main(): return get('{server.url}/echo?key=hidden').status_code\n"
    )
    done = capsule("run", "--verbose", "main.py")
    assert done.stdout == "200\n"
    (line,) = [line for line in done.stderr.splitlines() if "/echo" in line]
    assert "GET" in line
    assert "200" in line
    assert "hidden" not in done.stderr


def test_requests_of_children_are_recorded(capsule, server, tmp_path):
    """In the envelope of the run, whatever became of the child; and in what its caller is told of its failure."""
    (tmp_path / "main.py").write_text(
        "from capsule import TaskError, http, task\n"
        f"@task(allowed_hosts=['{server.address}'], max_retries=1)\n"
        "def child(path):\n"
        f"    return http.get('{server.url}' + path).raise_for_status().status_code\n"
        "@task\n"
        "def main():\n"
        "    done = child('/echo')\n"
        "    try: child('/status/500')\n"
        "    except TaskError as e: return [done, len(e.execution['host_requests'])]\n"
    )
    done = capsule("run", "--json", "main.py")
    envelope = json.loads(done.stdout)
    assert envelope["result"] == [200, 2], done.stderr
    statuses = [one["status"] for one in envelope["execution"]["host_requests"]]
    assert statuses == [200, 500, 500]  # the second with its further attempt


def test_without_libcurl(capsule, capsule_bin, tmp_path):
    """An installation that lacks lib/capsule/curl.so runs programs, and says what their requests need."""
    guests = tmp_path / "guests"
    guests.mkdir()
    (guests / "python").symlink_to(capsule_bin.parent / "lib" / "capsule" / "python")
    (tmp_path / "main.py").write_text(
        "from capsule import http, task\n@task\ndef main():\n"
        "    try: http.get('http://example.com/')\n    except http.HttpError as e: return str(e)\n"
    )
    env = {"CAPSULE_GUESTS": str(guests)}
    done = capsule("run", "main.py", env=env)
    assert f"HTTP requests need {guests}/curl.so: " in done.stdout, done.stderr
    assert "install Capsule anew" in done.stdout
    report = capsule("doctor", env=env)
    assert report.returncode != 0
    assert f"{guests}/curl.so" in report.stdout
