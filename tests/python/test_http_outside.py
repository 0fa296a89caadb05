"""capsule.http outside of a sandbox: `python main.py` sees what `capsule run main.py` sees (tests/cli/test_http.py)."""

import asyncio
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import expected
from tests.server.server import Server

PROGRAM = Path(__file__).resolve().parent.parent / "guest" / "http_api.py"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("http_api", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def servers():
    both = Server(), Server()
    yield both
    for one in both:
        one.close()


@pytest.mark.parametrize("part", expected.PARTS, ids=lambda part: part.__name__)
def test_same_as_inside(program, servers, part, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")  # Python's library takes the developer's
    base = servers[0].url
    servers[0].clear()
    others = {"redirects": [servers[1].url], "failures": ["http://127.0.0.1:1/"]}
    result = getattr(program, part.__name__)(base, *others.get(part.__name__, []))
    if inspect.isawaitable(result):
        result = asyncio.run(result)
    if part.__name__ == "redirects":
        result[0] = {str(code): value for code, value in result[0].items()}
    assert result == part(base)


def test_type_of_options():
    """The keyword arguments are typed once, and `build` takes exactly these."""
    from capsule._http_request import build
    from capsule.http import Options

    takes = [p.name for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert set(takes) == set(Options.__annotations__)


# --- names and URLs, which need no server


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [
        ("http://\u00fc.example/", "http://xn--tda.example/"),
        ("http://B\u00dcCHER.example:80/", "http://xn--bcher-kva.example:80/"),
        ("http://fa\u00df.example/", "http://xn--fa-hia.example/"),  # IDNA 2003 would go to fass.example
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
        ("http://a\u3002example/", "http://a.example/"),
        ("http://[::1]:80/a b", "http://[::1]:80/a%20b"),
        ('http://a/%zz|^`{}"<>', "http://a/%zz|%5E%60%7B%7D%22%3C%3E"),
        (" http://a/\u2028 ", "http://a/%E2%80%A8"),
        ("http://a\\@b/", "http://a\\@b/"),
        ("http://a/\r\nx", "http://a/\r\nx"),
    ],
)
def test_urls_are_cleaned(url, cleaned):
    from capsule._http_request import clean_url

    assert clean_url(url)[0] == cleaned


@pytest.mark.parametrize(
    "url",
    ["", "x", "//a/", "http:/a", "http:a", "ftp://a/", "file:///etc/passwd", "javascript:1", "http://a\u2100b/"],
)
def test_urls_that_are_none(url):
    from capsule._http_request import clean_url
    from capsule.http import InvalidRequest

    with pytest.raises(InvalidRequest) as e:
        clean_url(url)
    assert e.value.kind == "url"


def test_errors_of_urls_hold_no_secret():
    from capsule.http import InvalidRequest, get

    with pytest.raises(InvalidRequest) as e:
        get("htp://user:word@host/path?key=secret#more")
    assert str(e.value) == "not an http or https URL: 'htp://host/path'"


# --- types


def test_types_that_users_see(tmp_path):
    """What mypy makes of calls, right and wrong."""
    (tmp_path / "user.py").write_text(
        "from capsule.http import Options, Response, aget, get, post, stream\n"
        "status: int = get('http://a/', params={'a': [1]}, timeout=1.5).status_code\n"
        "text: str = post('http://a/', json=[1], headers=[('a', 'b')], files={'f': ('n', b'')}).text()\n"
        "options: Options = {'auth': ('a', 'b'), 'data': b''}\n"
        "async def f() -> Response:\n"
        "    return await aget('http://a/', **options)\n"
        "with stream('GET', 'http://a/') as response:\n"
        "    lines: list[str] = list(response.iter_lines())\n"
        "get('http://a/', tiemout=1)\n"
        "get('http://a/', auth='secret')\n"
        "number: int = get('http://a/').text()\n"
    )
    package = Path(__file__).resolve().parents[2] / "sdk" / "python"
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "user.py"]
    done = subprocess.run(command, cwd=tmp_path, env={"MYPYPATH": str(package)}, capture_output=True, text=True)
    assert [line.split(": error:")[0] for line in done.stdout.splitlines() if "error:" in line] == [
        "user.py:9",
        "user.py:10",
        "user.py:11",
    ], done.stdout
