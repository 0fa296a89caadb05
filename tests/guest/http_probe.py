"""Requests that tests choose, and what became of them."""

import asyncio
import gc
import json
import os
import sys

from capsule import TaskError, task
from capsule.http import HttpError, aget, apost, astream, get, post, request, stream


def outcome(function, *arguments, **keywords):
    try:
        answer = function(*arguments, **keywords)
        with answer:
            text = answer.text()
    except HttpError as e:
        return {"error": type(e).__name__, "kind": e.kind, "message": str(e)}
    return {
        "status": answer.status_code,
        "url": answer.url,
        "version": answer.version,
        "text": text[:5000],
        "length": len(answer.content),
        "headers": answer.headers.pairs(),
    }


@task(max_retries=0)
def probe(*calls):
    """Each call: a URL, or keyword arguments of `request`."""
    done = []
    for call in calls:
        options = {"method": "GET", **(call if isinstance(call, dict) else {"url": call})}
        done.append(outcome(request, **options))
    return done


@task(max_retries=0)
def raw(*headers):
    """Operations as they are, without what the package does for the user; the headers of their replies."""
    import _capsule

    replies = []
    for header in headers:
        op = _capsule.submit(json.dumps({"op": "http.request", **header}).encode(), b"")
        _capsule.wait((op,), -1)
        reply = _capsule.take(op)
        replies.append(json.loads(reply[4 : 4 + int.from_bytes(reply[:4], "little")]))
    return replies


@task(max_retries=3)
def uncaught(url):
    get(url)


@task(max_retries=0)
def parent(url):
    try:
        uncaught(url)
    except TaskError as e:
        return [e.type, e.message, e.execution["retries"]]


@task(max_retries=0, allowed_hosts=[])
def nothing_allowed(url):
    return outcome(get, url)


@task(max_retries=0, allowed_hosts=["127.0.0.1"])
def without_port(url):
    return outcome(get, url)


@task(max_retries=0)
async def cancels(base, silent, slow_name):
    """Give up on requests at each stage; then everything must still work."""

    async def body():
        yield b"x" * 1000
        await asyncio.sleep(60)

    async def reads(path):
        async with astream("GET", f"{base}{path}") as answer:
            async for _ in answer.aiter_bytes():
                pass

    stages = {
        "looking up": lambda: aget(slow_name),
        "TLS": lambda: aget(silent),
        "waiting for the head": lambda: aget(f"{base}/never"),
        "in the head": lambda: aget(f"{base}/slow-head"),
        "in the body": lambda: aget(f"{base}/slow"),
        "streaming": lambda: reads("/slow"),
        "streaming much": lambda: reads("/endless"),
        "sending": lambda: apost(f"{base}/length", data=body()),
    }
    cancelled = []
    for name, start in stages.items():
        for delay in (0, 0.05):
            try:
                async with asyncio.timeout(delay):
                    await start()
            except TimeoutError:
                cancelled.append(name)
    waiting = [asyncio.create_task(aget(f"{base}/never")) for _ in range(80)]  # more than may run at once
    await asyncio.sleep(0.05)
    for one in waiting:
        one.cancel()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    cancelled += {type(end).__name__ for end in ends}
    together = await asyncio.gather(*(aget(f"{base}/echo") for _ in range(70)))
    return [cancelled, {answer.status_code for answer in together} == {200}]


@task(max_retries=0, timeout="500ms")
def hangs(base, path):
    get(f"{base}{path}")


@task(max_retries=0)
def hanging_child(base, path):
    try:
        hangs(base, path)
    except TaskError as e:
        return [e.type, get(f"{base}/echo").status_code]


@task(max_retries=0)
async def many(base, n, path="/echo"):
    answers = await asyncio.gather(*(aget(f"{base}{path}") for _ in range(n)))
    return [sum(len(answer.content) for answer in answers), {answer.status_code for answer in answers} == {200}]


@task(max_retries=0)
async def refusals(url, n):
    ends = await asyncio.gather(*(aget(url) for _ in range(n)), return_exceptions=True)
    return sum(type(end).__name__ == "NotAllowed" for end in ends)


@task(max_retries=0)
def fetch(url):
    return get(url).status_code


@task(max_retries=0)
def tasks(base, n):
    """Requests from many tasks of one run."""
    return [fetch(f"{base}/echo") for _ in range(n)]


@task(max_retries=0)
def rules_differ(url):
    """Tasks with other rules, after a connection to the server is there."""
    return [fetch(url), nothing_allowed(url), without_port(url), fetch(url)]


@task(max_retries=0)
def upload(url, parts, size):
    """A streamed body; how many parts were asked for."""
    asked = []

    def body():
        for i in range(parts):
            asked.append(i)
            yield b"x" * size

    return [outcome(post, url, data=body()), len(asked)]


@task(max_retries=0)
def download(url, most):
    """Reads a stream until it ends or `most` bytes are there."""
    n = 0
    try:
        with stream("GET", url) as answer:
            for part in answer.iter_bytes():
                n += len(part)
                if n >= most:
                    break
    except HttpError as e:
        return [n, type(e).__name__, e.kind]
    return [n, None, None]


@task(max_retries=0)
def secrets(names, *calls):
    """What a task sees of its secrets, wherever it looks."""
    tokens = {name: os.environ.get(name) for name in names}
    done = []
    for call in calls:
        headers = {name: value.format(**tokens) for name, value in call.pop("headers", {}).items()}
        options = {key: value.format(**tokens) if key in ("url", "data") else value for key, value in call.items()}
        done.append(outcome(request, method="POST", **options, headers=headers))
    gc.collect()
    strings = [one for one in gc.get_objects() if isinstance(one, (dict, list, tuple))]
    seen = "\n".join(repr(one) for one in strings[-2000:] if len(one) < 50)
    print("on stdout", done)
    print("on stderr", done, file=sys.stderr)
    return [tokens, done, seen]


@task(max_retries=0)
def fails_with(name, url):
    token = os.environ[name]
    answer = get(url, headers={"Authorization": f"Bearer {token}"})
    raise ValueError(f"{token} {answer.text()}")


@task
def main():
    return "see tests/cli/test_http_hostile.py"
