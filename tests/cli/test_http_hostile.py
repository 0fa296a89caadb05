"""Servers that misbehave, and requests that are given up: each ends in its own error, soon; nothing stays behind."""

import json
import signal
import socket

import pytest

from tests.server.server import wait_until


def result_of(envelope):
    assert envelope["success"], (envelope["error"], envelope["stderr"])
    return envelope["result"]


@pytest.fixture
def probe(http_run, server):
    """probe(path or keyword arguments of `request`, …) -> the outcomes."""

    def run(*calls, toml="", hosts=None, **keywords):
        whole = [
            {**call, "url": server.url + call["url"]} if isinstance(call, dict) else server.url + call for call in calls
        ]
        return result_of(
            http_run("http_probe.py:probe", *whole, hosts=hosts or [server.address], toml=toml, **keywords)
        )

    return run


# --- what ends by itself


@pytest.mark.parametrize(
    ("path", "name", "kind", "message"),
    [
        ("/short", "ProtocolError", "closed", "127.0.0.1"),
        ("/midway", "ProtocolError", "closed", "127.0.0.1"),
        ("/reset", "ProtocolError", "closed", "127.0.0.1"),
        ("/nothing", "ProtocolError", "closed", "127.0.0.1"),
        ("/garbage", "ProtocolError", "protocol", "127.0.0.1"),
        ("/bad-gzip", "ProtocolError", "protocol", "127.0.0.1"),
        ("/circle", "RedirectError", "redirect", "10"),
        ("/hops/11", "RedirectError", "redirect", "10"),
        ("/headers?n=100000", "TooLarge", "too_large", "headers"),
        ("/endless", "TooLarge", "too_large", "max_response_size"),
        ("/bomb?mb=100", "TooLarge", "too_large", "max_response_size"),
        ("/bytes?n=100000000", "TooLarge", "too_large", "max_response_size"),
    ],
)
def test_ends_by_itself(probe, path, name, kind, message):
    (answer,) = probe(path)
    assert (answer.get("error"), answer.get("kind")) == (name, kind), answer
    assert message in answer["message"]


@pytest.mark.parametrize("path", ["/never", "/slow", "/slow-head"])
@pytest.mark.parametrize("stream", [False, True])
def test_takes_too_long(probe, path, stream):
    (answer,) = probe({"url": path, "timeout": 0.3, "stream": stream})
    assert (answer.get("error"), answer.get("kind")) == ("Timeout", "timeout"), answer
    assert "0.3" in answer["message"] or "300" in answer["message"]


def test_more_than_it_said(probe):
    """Only what was announced counts."""
    (answer,) = probe("/long")
    assert answer.get("text", answer.get("kind")) in ("hello", "protocol")


def test_two_lengths(probe):
    """Whichever it believes, what follows isn't taken for another response."""
    (answer, after) = probe("/two-lengths", "/echo")
    assert answer.get("length") in (5, 7) or answer.get("kind") == "protocol", answer
    assert after["status"] == 200


def test_afterwards_everything_works(probe):
    answers = probe(
        "/short", "/echo", "/garbage", "/echo", "/reset", "/echo", {"url": "/never", "timeout": 0.1}, "/echo"
    )
    assert [answer.get("status") for answer in answers[1::2]] == [200] * 4
    assert all("error" in answer for answer in answers[::2])


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:alert(1)", "http://", "//:0/"])
def test_redirects_to_what_is_no_page(probe, to):
    (answer,) = probe({"url": "/bad-location", "params": {"to": to}})
    assert "error" in answer, answer


def test_streams_end_as_badly(http_run, server):
    def download(path, most=10**9, **keywords):
        return result_of(
            http_run("http_probe.py:download", server.url + path, most, hosts=[server.address], **keywords)
        )

    assert download("/short")[1:] == ["ProtocolError", "closed"]
    assert download("/reset")[1:] == ["ProtocolError", "closed"]
    small = '[http]\nmax_response_size = "1MB"\n'
    n, name, kind = download("/endless", toml=small)
    assert (n <= 1_000_000, name, kind) == (True, "TooLarge", "too_large")
    n, name, kind = download("/bomb?mb=100", toml=small)
    assert (n <= 1_000_000, name, kind) == (True, "TooLarge", "too_large")
    n, name, kind = download("/endless", 3_000_000)
    assert (n >= 3_000_000, name) == (True, None)


# --- limits of capsule.toml


def test_limits(probe, http_run, server):
    def limit(line):
        return f"[http]\n{line}\n"

    fine, much = probe("/bytes?n=1000", "/bytes?n=1001", toml=limit('max_response_size = "1KB"'))
    assert (fine["length"], much["kind"]) == (1000, "too_large")
    fine, much = probe("/headers?n=10", "/headers?n=1000", toml=limit('max_header_size = "10KB"'))
    assert (fine["status"], much["kind"]) == (200, "too_large")
    answers = probe(*["/bytes?n=40000"] * 4, toml=limit('max_total_bytes = "100KB"'))
    assert [answer.get("length") for answer in answers[:2]] == [40_000, 40_000]
    assert "error" in answers[2]
    assert "max_total_bytes" in answers[3]["message"]


def test_concurrency(http_run, server):
    """More than may run at once wait for their turn."""
    toml = "[http]\nmax_concurrent_requests = 3\n"
    run = http_run("http_probe.py:many", server.url, 30, "/later?ms=20", hosts=[server.address], toml=toml)
    assert result_of(run)[1] is True
    assert server.connections == 3


# --- certificates


def test_certificates(http_run, tls):
    def probe(one, env):
        run = http_run("http_probe.py:probe", f"{one.url}/echo", hosts=[one.address], env=env)
        return result_of(run)[0]

    trusted = {"SSL_CERT_FILE": str(tls.bundle)}
    assert probe(tls.good, trusted).get("status") == 200
    for one, word in (
        (tls.expired, "expired"),
        (tls.other_name, "name"),
        (tls.foreign, "trust"),
    ):
        answer = probe(one, trusted)
        assert (answer.get("error"), answer.get("kind")) == ("TlsError", "tls"), answer
        assert "127.0.0.1" in answer["message"], (word, answer)
        assert one.requests == []
    assert probe(tls.good, {}).get("kind") == "tls"  # the system's bundle doesn't know the authority


def test_bundle_that_is_missing(http_run, tls, tmp_path):
    env = {"SSL_CERT_FILE": str(tmp_path / "none.pem")}
    run = http_run("http_probe.py:probe", f"{tls.good.url}/echo", hosts=[tls.good.address], env=env)
    (answer,) = result_of(run)
    assert answer.get("kind") == "tls"
    assert "none.pem" in answer["message"]


def test_plain_server_behind_https(http_run, server):
    (answer,) = result_of(http_run("http_probe.py:probe", f"https://{server.address}/", hosts=[server.address]))
    assert answer["error"] == "TlsError", answer


# --- giving up


WITHOUT_END = '[http]\nmax_response_size = "100GB"\nmax_total_bytes = "100GB"\n'
STAGES = [
    "looking up",
    "TLS",
    "waiting for the head",
    "in the head",
    "in the body",
    "streaming",
    "streaming much",
    "sending",
]


@pytest.fixture
def silent():
    """host:port where connections are made and nothing else ever happens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_cancelling_at_every_stage(http_run, server, silent, names):
    env = names("slow.test 5000 127.0.0.1")
    hosts = [server.address, silent, f"slow.test:{server.port}"]
    others = [f"https://{silent}/", f"http://slow.test:{server.port}/echo"]
    run = http_run("http_probe.py:cancels", server.url, *others, hosts=hosts, env=env, toml=WITHOUT_END)
    assert result_of(run) == [[name for name in STAGES for _ in range(2)] + ["CancelledError"], True]
    assert len(server.at("/echo")) == 70


@pytest.mark.parametrize("path", ["/never", "/slow", "/slow-head", "/endless"])
def test_timeout_of_the_task(http_run, server, path):
    """The task's, not the request's. An endless body in one piece may be too large for a message before."""
    run = http_run("http_probe.py:hanging_child", server.url, path, hosts=[server.address], toml=WITHOUT_END)
    kind, afterwards = result_of(run)
    assert kind == "timeout" or (path, kind) == ("/endless", "task_error"), run
    assert afterwards == 200


@pytest.mark.parametrize("path", ["/never", "/slow"])
def test_interrupt(capsule_start, server, tmp_path, path):
    """Ctrl-C while a request is under way."""
    (tmp_path / "main.py").write_text(
        "from capsule import task\nfrom capsule.http import get\n"
        f"@task(allowed_hosts=['{server.address}'])\n"
        f"def main(): get('{server.url}{path}')\n"
    )
    process = capsule_start("run", "--json", "main.py")
    assert wait_until(lambda: bool(server.at(path)))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["error"]["type"] == "cancelled"


def test_slow_name_server(http_run, names, server):
    """A look-up that takes its time holds up neither the request's timeout nor another request."""
    env = names("slow.test 5000 127.0.0.1")
    hosts = [f"slow.test:{server.port}", server.address]
    slow = {"url": f"http://slow.test:{server.port}/", "timeout": 0.3}
    answer, other = result_of(http_run("http_probe.py:probe", slow, f"{server.url}/echo", hosts=hosts, env=env))
    assert (answer["kind"], other["status"]) == ("timeout", 200), answer
