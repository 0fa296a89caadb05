"""For tests that kill a run and go on with it (tests/cli/test_durable.py). durable.ts is the same in TypeScript.

`url` is a server: /tell/NAME takes note of what it's sent, /hold/NAME answers when the test lets it.
"""

import asyncio
import os
import random
import secrets
import sys
import time
import uuid

from capsule import TaskError, context, task
from capsule.http import HttpError, apost, get, post, stream

DATA = "data"


@task(max_retries=0)
def tell(url, name, value=0):
    """A step that shows outside: once, or there's a bug."""
    return post(f"{url}/tell/{name}", json=value).json()


@task(max_retries=0)
def hold(url, name):
    """A step in which the test kills the run."""
    return post(f"{url}/hold/{name}").text()


@task(max_retries=0)
def steps(url):
    first = [tell(url, "a", 1), tell(url, "b", [2])]
    held = hold(url, "here")
    return [*first, held, tell(url, "c", 3)]


# --- what a task gets from outside


def failure(call):
    try:
        return call()
    except Exception as e:
        return [type(e).__name__, str(e)]


def read(path):
    with open(path) as file:
        return file.read()


def sensed():
    return {
        "wall": [time.time_ns(), time.time()],
        "ticks": [time.monotonic_ns(), time.perf_counter(), time.process_time()],
        "random": [random.random(), random.getrandbits(64), random.sample(range(1000), 5)],
        "system": [os.urandom(16).hex(), secrets.token_hex(), str(uuid.uuid4()), str(uuid.uuid1())],
        "hash": hash("text") == hash("te" + "xt"),
        "environment": [os.environ.get("WORD"), "LATER" in os.environ],
        "file": read(f"{DATA}/file.txt"),
        "large": len(read(f"{DATA}/large.txt")),
        "gone": read(f"{DATA}/gone.txt"),
        "list": sorted(os.listdir(DATA)),
        "scan": sorted((e.name, e.is_dir()) for e in os.scandir(DATA)),
        "walk": [[where, sorted(folders), sorted(names)] for where, folders, names in os.walk(DATA)],
        "stat": [os.stat(f"{DATA}/file.txt").st_size, os.stat(f"{DATA}/file.txt").st_mtime_ns],
        "exists": [os.path.exists(f"{DATA}/{name}") for name in ("file.txt", "new.txt", "gone.txt")],
        "error": failure(lambda: read(f"{DATA}/new.txt")),
        "refused": failure(lambda: read("/etc/passwd")),
    }


@task(max_retries=0, allowed_files=["./data"], env_variables=["WORD", "LATER"])
def senses(url):
    before = sensed()
    tell(url, "before", before)
    between = [time.time(), random.random(), str(uuid.uuid4())]
    tell(url, "between", between)
    hold(url, "here")
    after = [time.time() >= before["wall"][1], time.monotonic_ns() >= before["ticks"][0]]
    return [before, between, after, random.random() != between[1], read(f"{DATA}/file.txt")]


# --- files that are open when the process dies


@task(max_retries=0, allowed_files=["./data"])
def writes(url):
    with (
        open(f"{DATA}/written", "w+") as plain,
        open(f"{DATA}/appended", "a") as append,
        open(f"{DATA}/both", "r+b") as both,
        open(f"{DATA}/file.txt") as half,
    ):
        plain.write("one\n")
        plain.flush()
        append.write("one\n")
        append.flush()
        both.seek(3)
        both.write(b"XX")
        both.flush()
        first = half.readline()
        os.mkdir(f"{DATA}/folder")
        os.rename(f"{DATA}/gone.txt", f"{DATA}/folder/moved")
        tell(url, "written", [plain.tell(), append.tell(), both.tell()])
        hold(url, "here")
        plain.write("two\n")
        plain.flush()
        append.write("two\n")
        append.flush()
        both.write(b"YY")
        both.flush()
        both.seek(0)
        plain.seek(0)
        return [plain.read(), append.tell(), both.read().decode(), first, half.read()]


# --- order


@task(max_retries=0)
async def nap(n):
    await asyncio.sleep(n / 1000)
    return n


@task(max_retries=0)
async def order(url):
    seen = []
    for next_one in asyncio.as_completed([nap.start((i * 37) % 23) for i in range(24)]):
        seen.append(await next_one)
    naps = [asyncio.ensure_future(nap.start(n)) for n in (500, 3, 2)]
    done, rest = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
    seen.append(sorted(one.result() for one in done))
    for one in rest:
        one.cancel()
    seen.append(await asyncio.gather(*rest, return_exceptions=True) != [])
    try:
        await asyncio.wait_for(nap.start(60_000), 0.01)
    except TimeoutError:
        seen.append("timeout")
    cancelled = nap.start(60_000)
    cancelled.cancel()
    try:
        await cancelled
    except TaskError as e:
        seen.append(e.type)
    late, never = hold.start(url, "late"), nap.start(60_000)
    await tell.start(url, "order", seen)
    three = nap.start(1), hold.start(url, "here"), apost(f"{url}/hold/own")
    seen.append(len(await asyncio.gather(*three)))
    never.cancel()
    try:
        await never
    except TaskError as e:
        seen.append(e.type)
    seen.append(await late)
    return [seen, await nap.map([3, 2, 1])]


@task(max_retries=0)
def nest(url, depth):
    key = context().idempotency_key
    if depth == 0:
        hold(url, "here")
        return [key]
    down = tell(url, f"down-{depth}", key)
    below = nest(url, depth - 1)
    return [down, *below, tell(url, f"up-{depth}", key)]


# --- failures


class Special(Exception):
    pass


@task(max_retries=1)
def fails(how):
    if how == "special":
        raise Special("bad\n\x00 é", 7)
    if how == "exits":
        sys.exit(3)
    if how == "policy":
        get("http://127.0.0.1:1/")
    if how == "output":
        return object()
    if how == "memory":
        return len(bytearray(10**9))
    if how == "fuel":
        while True:
            pass
    return how


HOWS = ["special", "exits", "policy", "output", "memory", "fine"]


@task(max_retries=0)
def errors(url):
    outcomes = []
    for how in HOWS:
        try:
            outcomes.append(fails(how))
        except TaskError as e:
            outcomes.append([e.type, e.class_name, e.message, e.execution["retries"], e.execution["duration_ms"]])
    tell(url, "errors", outcomes)
    hold(url, "here")
    return outcomes


@task(max_retries=5)
def flaky(url):
    me = context()
    post(f"{url}/tell/attempt", json=[me.attempt, me.idempotency_key])
    if me.attempt < 3:
        raise ValueError("not yet")
    if me.attempt == 3:
        post(f"{url}/hold/here")
        raise ValueError("nor now")
    return [me.attempt, me.idempotency_key]


@task(max_retries=0)
def retries(url):
    return [flaky(url), context().idempotency_key, context().attempt]


@task(max_retries=2)
def limited(url):
    """Each attempt is killed by the test, or fails."""
    post(f"{url}/hold/attempt-{context().attempt}")
    raise ValueError(f"attempt {context().attempt}")


@task(max_retries=0)
def limits(url):
    try:
        limited(url)
    except TaskError as e:
        return [e.message, e.execution["retries"]]


@task(idempotent=False, max_retries=3)
def charge(url, name):
    post(f"{url}/tell/charge-{name}", json=0)
    return post(f"{url}/hold/{name}").text()


@task(max_retries=0)
def charges(url):
    first = charge(url, "open")
    try:
        charge(url, "here")
    except TaskError as e:
        return [first, e.type, e.message, charge(url, "open")]


@task(max_retries=0)
def parent_of_charge(url, name):
    return charge(url, name)


@task(max_retries=0)
def deep_charges(url):
    """What isn't idempotent is below a task that is."""
    try:
        return parent_of_charge(url, "here")
    except TaskError as e:
        return [e.type, e.class_name]


@task(idempotent=False, max_retries=0)
def only_once(url):
    return hold(url, "here")


# --- output


@task(max_retries=0)
def says(n):
    print("child", n)
    print("child err", n, file=sys.stderr)


@task(max_retries=0)
def speaks(url):
    print("one")
    print("err one", file=sys.stderr)
    says(1)
    print("no end of line", end="", flush=True)
    tell(url, "spoken")
    hold(url, "here")
    print(", two")
    print("err two", file=sys.stderr)
    says(2)
    return "done"


# --- HTTP


def response_of(call):
    try:
        r = call()
    except HttpError as e:
        return [type(e).__name__, e.kind, str(e)]
    return [r.status_code, r.url, len(r.content), r.content[:64].hex(), sum(r.content) % 65521, r.redirected]


@task(max_retries=0)
def asks(url):
    seen = [
        response_of(lambda: get(f"{url}/bytes?n=5000000")),
        response_of(lambda: get(f"{url}/status/404")),
        response_of(lambda: get(f"{url}/status/500")),
        response_of(lambda: get(f"{url}/redirect/302?to=/text%3Fhex%3D616263")),
        response_of(lambda: post(f"{url}/tell/json", json={"é": [1, None]})),
        response_of(lambda: get(f"{url}/empty")),
        response_of(lambda: get(f"{url}/gzip")),
        response_of(lambda: get("http://169.254.169.254/")),
        response_of(lambda: get("nothing://")),
        response_of(lambda: get(f"{url}/later?ms=5000", timeout=0.05)),
        response_of(lambda: get(f"{url}/short")),
        response_of(lambda: get("http://127.0.0.1:1/")),
    ]
    with stream("GET", f"{url}/bytes?n=300000") as response:
        seen.append(len(response.read()))
    tell(url, "seen", seen)
    return [seen, response_of(lambda: post(f"{url}/hold/here"))]


@task(max_retries=0)
def streams(url):
    """The response's second half comes never."""
    with stream("GET", f"{url}/slow") as response:
        parts = response.iter_bytes()
        first = next(parts)[:1].decode()
        hold(url, "here")
        try:
            while True:
                next(parts)
        except HttpError as e:
            return [first, e.kind]
        except StopIteration:
            return "it ended"


@task(max_retries=0, env_variables=["KEY"])
def secret(url):
    token = os.environ["KEY"]
    headers = {"Authorization": f"Bearer {token}"}
    post(f"{url}/tell/first", headers=headers)
    hold(url, "here")
    post(f"{url}/tell/second", headers=headers)
    return token == os.environ["KEY"]


# --- large


@task(max_retries=0, ram="512MB", compute="HIGH")
def large(megabytes):
    return "x" * (megabytes * 1_000_000)


@task(max_retries=0, ram="1GB", compute="HIGH")
def larges(url, megabytes):
    text = large(megabytes)
    hold(url, "here")
    return [len(text), text[:3]]


@task(max_retries=0, compute="LOW", ram="32MB")
def trivial(n):
    return n


@task(max_retries=0, compute="HIGH", ram="512MB")
def many(url, n):
    total = sum(trivial.map(range(n)))
    hold(url, "here")
    return total + sum(trivial(i) for i in range(100))


# --- forks


@task(max_retries=0)
def identified(url, name, run):
    tell(url, name, [run, context().run_id])
    return [run == context().run_id, context().run_id]


@task(max_retries=0)
def forked(url):
    run = context().run_id
    return [run, identified(url, "one", run), identified(url, "two", run), identified(url, "three", run)]
