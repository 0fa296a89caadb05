"""Which hosts a task reaches: by name, by address, after a redirect, whatever the spelling."""

from pathlib import Path

import pytest

from tests.server.fixtures import PUBLIC, PUBLIC_RULE


def result_of(envelope):
    assert envelope["success"], (envelope["error"], envelope["stderr"])
    return envelope["result"]


def is_refused(answer):
    return (answer.get("error"), answer.get("kind")) == ("NotAllowed", "policy")


@pytest.fixture
def probe(http_run):
    """probe(call, …, hosts=…) -> the outcomes."""

    def run(*calls, **keywords):
        return result_of(http_run("http_probe.py:probe", *calls, **keywords))

    return run


# --- by default


def test_default_is_public_hosts(probe, server):
    (answer,) = probe(f"{server.url}/echo")
    assert is_refused(answer)
    assert "127.0.0.1 isn't allowed: it's a loopback address" in answer["message"]
    assert f'"{server.address}"' in answer["message"]  # what to write
    assert server.requests == []


def test_public_host(probe, names, server, public):
    """A host that is public as far as the program can see."""
    env = names(f"public.test 0 {PUBLIC}", PUBLIC_RULE)
    url = f"http://public.test:{server.port}/echo"
    allowed, listed = probe(url, env=env), probe(url, env=env, hosts=["public.test"])
    assert (allowed[0].get("status"), listed[0].get("status")) == (200, 200), allowed
    assert is_refused(probe(url, env=env, hosts=["other.test"])[0])
    assert is_refused(probe(url, env=env, hosts=[f"public.test:{server.port + 1}"])[0])


SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "127.0.0.1%2e",
    "%31%32%37.0.0.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
    "127\u30020\u30020\u30021",
    "localhost",
    "LOCALHOST.",
    "user@127.0.0.1",
    "public.test@127.0.0.1",
]


def test_no_spelling_gets_through(http_run, names, server):
    env = names("localhost 0 127.0.0.1,::1", f"public.test 0 {PUBLIC}")
    calls = [f"http://{one}:{server.port}/echo" for one in SPELLINGS]
    answers = result_of(http_run("http_probe.py:probe", *calls, env=env))
    wrong = [(one, answer) for one, answer in zip(SPELLINGS, answers, strict=True) if not is_refused(answer)]
    assert [one for one in wrong if one[1].get("kind") not in ("url", "dns")] == []
    assert server.requests == []
    by_host = http_run("http_probe.py:raw", *(request_for(url) for url in calls if url.isascii()), env=env)
    assert all(reply["error"]["type"] in ("policy", "bad_input", "http_error") for reply in result_of(by_host))
    assert server.requests == []


def request_for(url, **header):
    return {"method": "GET", "url": url, "headers": [], "stream": False, "upload": False, **header}


# --- lists


def test_nothing_allowed(http_run, server):
    answer = result_of(http_run("http_probe.py:nothing_allowed", f"{server.url}/echo"))
    assert is_refused(answer)
    assert "may not reach any host" in answer["message"]
    assert server.requests == []


def test_private_addresses_need_their_port(http_run, server):
    answer = result_of(http_run("http_probe.py:without_port", f"{server.url}/echo"))
    assert is_refused(answer)
    assert f'"{server.address}"' in answer["message"]


def test_entries(probe, names, server, public):
    env = names(
        "localhost 0 127.0.0.1",
        f"example.test 0 {PUBLIC}",
        f"a.example.test 0 {PUBLIC}",
        f"a.b.example.test 0 {PUBLIC}",
        f"badexample.test 0 {PUBLIC}",
        "inside.example.test 0 127.0.0.1",
        PUBLIC_RULE,
    )
    port = server.port

    def allowed(hosts, host):
        (answer,) = probe(f"http://{host}:{port}/echo", env=env, hosts=hosts)
        assert answer.get("status") == 200 or is_refused(answer), answer
        return "status" in answer

    assert allowed([f"localhost:{port}"], "localhost")
    assert allowed([f"localhost:{port}"], "LocalHost.")
    assert not allowed([f"localhost:{port}"], "127.0.0.1")
    assert allowed([f"127.0.0.1:{port}"], "127.0.0.1")
    assert allowed([f"127.0.0.1:{port}"], "127.1")  # the same address
    assert not allowed([f"127.0.0.1:{port + 1}"], "127.0.0.1")
    assert allowed(["*.example.test"], "a.example.test")
    assert allowed(["*.example.test"], "a.b.example.test")
    assert not allowed(["*.example.test"], "example.test")
    assert not allowed(["*.example.test"], "badexample.test")
    assert not allowed([f"*.example.test:{port}"], "inside.example.test")  # a wildcard opens no private address
    assert allowed([f"inside.example.test:{port}"], "inside.example.test")
    assert allowed(["example.test"], "example.test")
    assert not allowed(["example.test"], "a.example.test")


def test_limits_of_the_manifest(http_run, server):
    """[limits] max_allowed_hosts is above every decorator and default: here above without_port's."""
    limit = '[limits]\nmax_allowed_hosts = ["api.example.com"]\n'
    error = http_run("http_probe.py:without_port", server.url, toml=limit)["error"]
    assert error["type"] == "bad_input"
    assert '"127.0.0.1": max_allowed_hosts' in error["message"]


def test_a_limit_without_a_list(http_run, server, tmp_path, capsule):
    """A task that names no hosts gets the limit's, without what isn't public."""
    (tmp_path / "capsule.toml").write_text(f'[limits]\nmax_allowed_hosts = ["{server.address}", "api.example.com"]\n')
    (tmp_path / "main.py").write_text(
        "from capsule import task\nfrom capsule.http import NotAllowed, get\n"
        "@task\ndef main():\n"
        "    try:\n"
        f"        return get('{server.url}/echo').status_code\n"
        "    except NotAllowed as e:\n"
        "        return str(e)\n"
    )
    done = capsule("run", "main.py")
    assert "isn't allowed" in done.stdout, done


def test_a_kept_connection_is_no_permission(http_run, server):
    first, none, no_port, last = result_of(
        http_run("http_probe.py:rules_differ", f"{server.url}/echo", hosts=[server.address])
    )
    assert (first, is_refused(none), is_refused(no_port), last) == (200, True, True, 200)
    assert (len(server.requests), server.connections) == (2, 1)


# --- redirects and look-ups


def test_redirects_are_checked(probe, names, server):
    other = "http://10.0.0.1/secret"
    answers = probe(
        {"url": f"{server.url}/redirect/302", "params": {"to": other}},
        {"url": f"{server.url}/redirect/307", "params": {"to": f"http://localhost:{server.port}/echo"}},
        {"url": f"{server.url}/redirect/301", "params": {"to": "//[::1]/"}},
        {"url": f"{server.url}/redirect/301", "params": {"to": "http://169.254.169.254/latest/meta-data/"}},
        {"url": f"{server.url}/redirect/301", "params": {"to": other}, "follow_redirects": False},
        hosts=[server.address],
        env=names("localhost 0 127.0.0.1"),
    )
    assert [is_refused(answer) for answer in answers] == [True, True, True, True, False]
    assert "10.0.0.1" in answers[0]["message"]
    assert answers[4]["status"] == 301
    assert server.at("/echo") == []


def test_redirects_never_leave_tls(probe, server, tls):
    (answer,) = probe(
        {"url": f"{tls.old.url}/redirect/302", "params": {"to": f"{server.url}/echo"}},
        hosts=[server.address, tls.old.address],
        env={"SSL_CERT_FILE": str(tls.bundle)},
    )
    assert answer.get("error") == "RedirectError", answer
    assert server.requests == []


def test_names_that_lead_inside(probe, names, server):
    env = names(
        "inside.test 0 127.0.0.1",
        "mapped.test 0 ::ffff:127.0.0.1",
        "translated.test 0 64:ff9b::7f00:1",
        "both.test 0 10.0.0.1,127.0.0.1",
        "metadata.test 0 169.254.169.254",
    )
    hosts = ["inside", "mapped", "translated", "both", "metadata"]
    answers = probe(*(f"http://{host}.test:{server.port}/echo" for host in hosts), env=env)
    assert [is_refused(answer) for answer in answers] == [True] * 5, answers
    assert "inside.test isn't allowed: it leads to 127.0.0.1, a loopback address" in answers[0]["message"]
    assert server.requests == []


def test_name_that_changes_between_look_ups(probe, names, server, public):
    """Public first, then private: what was checked is what is dialled, each time."""
    env = names(f"moving.test 0 {PUBLIC}|127.0.0.1", PUBLIC_RULE)
    url = f"http://moving.test:{server.port}"
    first, *later = probe(f"{url}/old", f"{url}/old", f"{url}/echo", env=env)  # /old closes its connection
    assert first.get("status") == 200, first
    assert public.at("/old")
    assert all(is_refused(answer) or answer.get("status") == 200 for answer in later)
    assert server.requests == []


def test_name_that_changes_back(probe, names, server, public):
    """Private first, then public: the refusal of the one isn't held against the other, nor the other way round."""
    env = names(f"moving.test 0 127.0.0.1|{PUBLIC}|127.0.0.1", PUBLIC_RULE)
    first, *_ = probe(*[f"http://moving.test:{server.port}/old"] * 3, env=env)
    assert is_refused(first)
    assert server.requests == []


def test_name_that_changes_within_a_redirect(probe, names, server, public):
    env = names(f"moving.test 0 {PUBLIC}|127.0.0.1", f"other.test 0 {PUBLIC}", PUBLIC_RULE)
    there = f"http://moving.test:{server.port}"
    calls = [
        {"url": f"http://{host}.test:{server.port}/redirect/302", "params": {"to": f"{there}/old"}} for host in HOPS
    ]
    probe(*calls, env=env)
    assert public.requests
    assert server.requests == []


HOPS = ("moving", "other", "moving")


def test_one_address_of_several(probe, names, server, public):
    """A name with a public and a private address is reached at the public one, or not at all."""
    for addresses in (f"127.0.0.1,{PUBLIC}", f"{PUBLIC},127.0.0.1"):
        (answer,) = probe(f"http://two.test:{server.port}/echo", env=names(f"two.test 0 {addresses}", PUBLIC_RULE))
        assert answer.get("status") == 200 or is_refused(answer)
    assert server.requests == []


def test_name_that_does_not_exist(probe, names):
    (answer,) = probe("http://nowhere.test/", env=names())
    assert (answer["error"], answer["kind"]) == ("ConnectError", "dns")
    assert "nowhere.test" in answer["message"]


def test_names_are_looked_up_only_if_allowed(probe, names, server, public):
    """A name server would otherwise hear what a task knows: one.secret.attacker.example."""
    env = names(f"allowed.test 0 {PUBLIC}", PUBLIC_RULE)
    away = {"url": f"http://allowed.test:{server.port}/bad-location", "params": {"to": "http://more.evil.test/"}}
    first, second = probe("http://data.evil.test/", away, hosts=["allowed.test"], env=env)
    assert is_refused(first)
    assert is_refused(second)
    asked = Path(env["TEST_RESOLVER"] + ".asked").read_text().split()
    assert set(asked) == {"allowed.test"}


def test_international_names(probe, names, server, public):
    """The guest writes them as DNS knows them, and so do rules."""
    env = names(f"xn--bcher-kva.test 0 {PUBLIC}", PUBLIC_RULE)
    url = f"http://B\u00dcCHER.test:{server.port}/echo"
    (allowed,) = probe(url, hosts=["xn--bcher-kva.test"], env=env)
    (refused,) = probe(url, hosts=["bucher.test"], env=env)
    assert allowed.get("status") == 200, allowed
    assert public.at("/echo")[0].header("host") == f"xn--bcher-kva.test:{server.port}"
    assert is_refused(refused)


# --- requests made by hand, without what the package checks


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"url": "http://{host}/a\r\nX: y"}, "url"),
        ({"url": "http://{host}\r\n/"}, "url"),
        ({"url": "http://{host}/\0"}, "url"),
        ({"url": "ftp://{host}/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "gopher://{host}/_x"}, "url"),
        ({"url": "//{host}/"}, "url"),
        ({"url": "/echo"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://{host}:0/"}, "url"),
        ({"url": "http://127.0.0.1:65536/"}, "url"),
        ({"url": "http://\u00fc.test/"}, "url"),
        ({"url": "http://allowed.test\\@{host}/"}, "url"),
        ({"url": "http://{host}/" + "x" * 20_000}, "url"),
        ({"method": "GET / HTTP/1.1\r\nX: y\r\n\r\n"}, "method"),
        ({"method": "CONNECT"}, "method"),
        ({"method": "TRACE"}, "method"),
        ({"method": ""}, "method"),
        ({"headers": [["X", "a\r\nY: b"]]}, "header"),
        ({"headers": [["X\r\nY", "a"]]}, "header"),
        ({"headers": [["X", "a\nb"]]}, "header"),
        ({"headers": [["X", "a\0b"]]}, "header"),
        ({"headers": [["X:", "a"]]}, "header"),
        ({"headers": [["", "a"]]}, "header"),
        ({"headers": [["Host", "elsewhere.test"]]}, "header"),
        ({"headers": [["hOsT", "elsewhere.test"]]}, "header"),
        ({"headers": [["Transfer-Encoding", "chunked"]]}, "header"),
        ({"headers": [["Content-Length", "5"]]}, "header"),
        ({"headers": [["Connection", "upgrade"]]}, "header"),
        ({"headers": [["Proxy-Authorization", "x"]]}, "header"),
        ({"headers": [["Upgrade", "websocket"]]}, "header"),
    ],
)
def test_injection(http_run, server, change, kind):
    change = {key: value.format(host=server.address) if key == "url" else value for key, value in change.items()}
    header = {**request_for(f"{server.url}/echo"), **change}
    (reply,) = result_of(http_run("http_probe.py:raw", header, hosts=[server.address]))
    assert reply["ok"] is False
    assert (reply["error"]["type"], reply["error"].get("kind")) == ("bad_input", kind), reply
    assert server.requests == []


@pytest.mark.parametrize(
    "change",
    [
        {"method": 1},
        {"method": None},
        {"url": None},
        {"url": ["x"]},
        {"headers": "x"},
        {"headers": [["x"]]},
        {"headers": [["x", 1]]},
        {"headers": {"a": "b"}},
        {"timeout_ms": -1},
        {"timeout_ms": "soon"},
        {"redirects": 11},
        {"redirects": -1},
        {"length": -5, "upload": True},
    ],
)
def test_malformed_operations(http_run, server, change):
    run = http_run("http_probe.py:raw", {**request_for(f"{server.url}/echo"), **change}, hosts=[server.address])
    if run["success"]:
        assert run["result"][0]["ok"] is False, run["result"]
    else:
        assert run["error"]["class"] == "ValueError"  # the message was refused as a whole
    assert server.requests == []


@pytest.mark.parametrize("op", ["http.read", "http.write", "http.close"])
def test_requests_that_are_none(http_run, op):
    run = http_run("http_probe.py:raw", {"op": op, "request": 4711, "max": 10, "end": True})
    (reply,) = result_of(run)
    assert reply["ok"] is (op == "http.close") or reply["error"]["type"] == "bad_input"


# --- how it ends


def test_policy_ends_the_task(http_run, server):
    run = http_run("http_probe.py:uncaught", f"{server.url}/echo")
    assert (run["error"]["type"], run["execution"]["retries"]) == ("policy", 0)
    assert run["code"] == 1
    kind, message, retries = result_of(http_run("http_probe.py:parent", f"{server.url}/echo"))
    assert (kind, retries) == ("policy", 0)
    assert "127.0.0.1 isn't allowed" in message


def test_a_refusal_in_a_group_is_a_refusal(capsule, tmp_path):
    """asyncio.TaskGroup packs exceptions: the task ends as `policy` all the same, and isn't tried again."""
    (tmp_path / "main.py").write_text(
        "import asyncio\nfrom capsule import http, task\n"
        "@task(allowed_hosts=[], max_retries=3)\n"
        "async def main():\n"
        "    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(http.aget('http://example.com/'))\n"
        "        group.create_task(asyncio.sleep(10))\n"
    )
    done = capsule("run", "--verbose", "main.py")
    assert done.returncode == 1
    assert "error: policy:" in done.stderr
    assert "attempt 2" not in done.stderr
