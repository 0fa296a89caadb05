"""fetch in sandboxes, against a server on loopback."""

import json

import pytest

PROGRAM = {"also": ["js/checks.ts"]}


def program(tmp_path, body, options=""):
    """Write a program with that handler; its path."""
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    file = project / "main.ts"
    file.write_text(
        'import { env, task } from "@capsule-run/sdk";\n'
        f'export const main = task({{ name: "main", maxRetries: 0, {options} }}, {body});\n'
    )
    return file


def envelope_of(capsule, file, *arguments, toml="", **keywords):
    (file.parent / "capsule.toml").write_text(toml)
    done = capsule("run", file, "--json", *map(str, arguments), **keywords)
    return json.loads(done.stdout) | {"stderr": done.stderr, "code": done.returncode}


def allowed(*hosts):
    return f"[tasks]\ndefault_allowed_hosts = {json.dumps(list(hosts))}\n"


def test_programming_interface(http_run, server):
    """What web-platform-tests ask of fetch, as far as a server without a browser can be asked."""
    other = f"http://localhost:{server.port}"
    hosts = [server.address, f"localhost:{server.port}"]
    envelope = http_run("js/fetch_api.ts:main", server.url, other, hosts=hosts, **PROGRAM)
    assert envelope["success"], (envelope["error"], envelope["stderr"])
    assert envelope["result"] == []


def test_tls_and_http2(capsule, tmp_path, tls):
    body = "async (urls: string[]) => Promise.all(urls.map(async (url) => (await fetch(url)).status))"
    file = program(tmp_path, body)
    urls = [tls.good.url + "/echo", tls.old.url + "/echo"]
    toml = allowed(tls.good.address, tls.old.address)
    envelope = envelope_of(capsule, file, json.dumps(urls), toml=toml, env={"SSL_CERT_FILE": str(tls.bundle)})
    assert envelope["result"] == [200, 200]


@pytest.mark.parametrize("which", ["expired", "other_name", "foreign"])
def test_certificates_are_checked(capsule, tmp_path, tls, which):
    server = getattr(tls, which)
    file = program(tmp_path, "(url: string) => fetch(url).catch((e) => [e.name, e.cause.kind])")
    envelope = envelope_of(
        capsule, file, server.url, toml=allowed(server.address), env={"SSL_CERT_FILE": str(tls.bundle)}
    )
    assert envelope["result"] == ["TypeError", "tls"]


def test_a_refusal_that_nobody_catches_ends_the_task_as_policy(capsule, tmp_path, server):
    envelope = envelope_of(capsule, program(tmp_path, "async (url: string) => (await fetch(url)).status"), server.url)
    assert envelope["error"]["type"] == "policy"
    assert "127.0.0.1" in envelope["error"]["message"]
    assert envelope["execution"]["retries"] == 0
    assert server.requests == []


def test_requests_are_recorded_without_their_secrets(capsule, tmp_path, server):
    file = program(tmp_path, "async (url: string) => { await (await fetch(url)).text(); }")
    envelope = envelope_of(capsule, file, server.url + "/echo?key=s3cret", toml=allowed(server.address))
    assert envelope["success"], envelope["stderr"]
    (request,) = envelope["execution"]["host_requests"]
    assert (request["method"], request["status"]) == ("GET", 200)
    assert request["url"].startswith(server.url + "/echo?key=")
    assert "s3cret" not in json.dumps(envelope)


def test_credentials_in_a_url_are_refused_without_being_shown(capsule, tmp_path, server):
    file = program(tmp_path, "async (url: string) => { await fetch(url); }")
    url = server.url.replace("http://", "http://user:pa55@")
    envelope = envelope_of(capsule, file, url, toml=allowed(server.address))
    assert envelope["error"]["class"] == "TypeError"
    assert "pa55" not in json.dumps(envelope)
    assert server.requests == []


def test_secrets_go_into_headers_and_nowhere_else(capsule, tmp_path, server):
    body = (
        "async (url: string) => { const r = await fetch(url, { headers: { Authorization: `Bearer ${env.TOKEN}` } });"
        " const text = await r.text(); console.log(env.TOKEN, text); return [process.env.TOKEN, text]; }"
    )
    file = program(tmp_path, body, 'envVariables: ["TOKEN"]')
    toml = allowed(server.address) + f'[secrets]\nTOKEN = {{ hosts = ["{server.address}"] }}\n'
    envelope = envelope_of(capsule, file, server.url + "/echo", toml=toml, env={"TOKEN": "s3cret-value"})
    assert envelope["success"], envelope["stderr"]
    assert [dict(r.headers).get("Authorization") for r in server.requests] == ["Bearer s3cret-value"]
    assert "s3cret-value" not in json.dumps(envelope)


def test_requests_run_at_the_same_time(capsule, tmp_path, server):
    body = (
        "async (url: string) => {"
        "  const texts = Array.from({ length: 200 }, () => fetch(url).then((r) => r.text()));"
        "  return (await Promise.all(texts)).length; }"
    )
    file = program(tmp_path, body, 'compute: "HIGH"')
    assert envelope_of(capsule, file, server.url + "/echo", toml=allowed(server.address))["result"] == 200
