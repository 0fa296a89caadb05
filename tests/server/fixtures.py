"""The test server and the false resolver as fixtures."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.server.server import Server

_YEAR = datetime.timedelta(days=365)


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(_server: Server) -> Server:
    """The server without TLS; what earlier tests sent is forgotten."""
    _server.clear()
    return _server


PUBLIC = "93.184.215.14"
"""An address that is public as far as the program can see; the resolver's rule below leads it to the public server."""
PUBLIC_RULE = f"@{PUBLIC} 127.0.0.2"


@pytest.fixture(scope="session")
def _public(_server: Server) -> Iterator[Server]:
    other = Server(host="127.0.0.2", port=_server.port)
    yield other
    other.close()


@pytest.fixture
def public(_public: Server) -> Server:
    """A server at PUBLIC, on the same port as `server`: what arrives there went to the public address."""
    _public.clear()
    return _public


@dataclass
class Tls:
    """Servers with TLS, each with a certificate of its own, and the bundle that trusts their authority.

    Attributes:
        good: for localhost and 127.0.0.1; offers HTTP/2.
        old: the same without HTTP/2.
        expired: its time is over.
        other_name: for another name.
        foreign: from an authority that nobody trusts.
        bundle: the authority's certificate, for SSL_CERT_FILE.
    """

    good: Server
    old: Server
    expired: Server
    other_name: Server
    foreign: Server
    bundle: Path

    def servers(self) -> list[Server]:
        return [self.good, self.old, self.expired, self.other_name, self.foreign]


@pytest.fixture(scope="session")
def _tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    authority, nobody = trustme.CA(), trustme.CA()
    bundle = tmp_path_factory.mktemp("authority") / "bundle.pem"
    authority.cert_pem.write_to_path(bundle)
    past = datetime.datetime.now(datetime.timezone.utc) - _YEAR
    names = ("localhost", "127.0.0.1", "secure.test")
    tls = Tls(
        _secure(authority.issue_cert(*names), "h2", "http/1.1"),
        _secure(authority.issue_cert(*names)),
        _secure(authority.issue_cert(*names, not_before=past - _YEAR, not_after=past)),
        _secure(authority.issue_cert("elsewhere.test")),
        _secure(nobody.issue_cert(*names)),
        bundle,
    )
    yield tls
    for one in tls.servers():
        one.close()


def _secure(
    certificate: trustme.LeafCert, *protocols: str, pages: dict[str, tuple[str, str]] | None = None
) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if protocols:
        context.set_alpn_protocols(protocols)
    return Server(context, pages=pages)


@pytest.fixture
def tls(_tls: Tls) -> Tls:
    """Servers with TLS; what earlier tests sent is forgotten."""
    for one in _tls.servers():
        one.clear()
    return _tls


@pytest.fixture(scope="session")
def _resolver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("resolver") / "resolver.so"
    source = Path(__file__).parent / "resolver.c"
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture
def names(_resolver: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """names("a.test 0 10.0.0.1", …) -> environment of a program that has these names and no others (resolver.c)."""

    def environment(*rules: str) -> dict[str, str]:
        file = tmp_path / "names.txt"
        file.write_text("".join(f"{rule}\n" for rule in rules))
        return {"LD_PRELOAD": str(_resolver), "TEST_RESOLVER": str(file)}

    return environment


@dataclass
class Site:
    """A stand-in for a public host, and the environment of a program that meets it."""

    server: Server
    env: dict[str, str]


@pytest.fixture
def site(names: Callable[..., dict[str, str]], tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """site("example.com", {"/": ("text/html", "…")}) stands in for that host, with TLS, at a public address."""
    made: list[Site] = []

    def stand_in(host: str, pages: dict[str, tuple[str, str]]) -> Site:
        authority = trustme.CA()
        bundle = tmp_path / "authority.pem"
        authority.cert_pem.write_to_path(bundle)
        server = _secure(authority.issue_cert(host), pages=pages)
        env = names(f"{host} 0 {PUBLIC}", f"@{PUBLIC} 127.0.0.1:{server.port}")
        made.append(Site(server, {**env, "SSL_CERT_FILE": str(bundle)}))
        return made[-1]

    yield stand_in
    for one in made:
        one.server.close()


PROGRAMS = Path(__file__).resolve().parent.parent / "guest"


@pytest.fixture
def http_run(capsule: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """http_run("http_probe.py:task", *arguments, hosts=[…], toml=…, env=…) -> envelope of a run of that task.

    hosts are the program's allowed_hosts (None: the default); toml is added to capsule.toml; also names further files
    that the program needs. The envelope has the run's output besides: "stdout", "stderr" and "code".
    """

    def run(
        what: str,
        *arguments: object,
        hosts: Sequence[str] | None = None,
        toml: str = "",
        also: Sequence[str] = (),
        **keywords: object,
    ) -> dict[str, Any]:
        program, _, task = what.partition(":")
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        for name in (program, *also):
            shutil.copy(PROGRAMS / name, project)
        defaults = "" if hosts is None else f"[tasks]\ndefault_allowed_hosts = {json.dumps(list(hosts))}\n"
        (project / "capsule.toml").write_text(defaults + toml)
        (project / "args.json").write_text(json.dumps(arguments))
        options = ["--json", "--task", task, "--args-file", "args.json"]
        done = capsule("run", *options, Path(program).name, cwd=project, **keywords)
        envelope: dict[str, Any] = json.loads(done.stdout)
        return envelope | {"stdout": done.stdout, "stderr": done.stderr, "code": done.returncode}

    return run
