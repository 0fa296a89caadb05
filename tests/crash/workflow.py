"""A workflow of 200 steps of every kind, which leave marks outside: a line in a file, or a request to a server.

Its result is the same each time, unless a resumed run saw another clock, other random numbers or other results than
before.
"""

import asyncio
import os
import random
import time
import uuid

import capsule
from capsule import context, task
from capsule.http import post

MARKS = "marks"


def mark() -> None:
    """Leave a line in a file named after this step, in one write."""
    me = context()
    with open(f"{MARKS}/{me.idempotency_key.replace('/', '-')}", "a") as file:
        file.write(f"{me.task_name} {me.attempt}\n")


@task(compute="MEDIUM", allowed_files=["./marks"])
def step(n: int, token: str) -> int:
    mark()
    return n + len(token)


@task(allowed_files=["./marks"], max_retries=2)
def flaky(n: int) -> int:
    mark()
    if context().attempt < 2:
        raise ValueError("not yet")
    return n


@task
def request(url: str, n: int) -> int:
    key = context().idempotency_key
    return post(f"{url}/{key}", json={"n": n}).json()["n"]


@task
async def nested(n: int, token: str) -> int:
    values = await asyncio.gather(*(step.start(n + i, token) for i in range(4)))
    return sum(values) + step(n, token)


@task
def pure(n: int) -> int:
    return n * n


@task(allowed_files=["./marks"])
async def main(url: str) -> dict:
    began, ticks, token = time.time(), time.monotonic(), f"{random.getrandbits(64):016x}"
    folder = len(os.listdir(MARKS))
    total, names = 0, [str(uuid.uuid4())]
    for n in range(40):
        total += step(n, token)
    total += sum(await asyncio.gather(*(step.start(n, token) for n in range(30))))
    for n in range(5):
        total += await nested(n, token)
        names.append(str(uuid.uuid4()))
        await capsule.asleep(0.002)
    total += sum(await asyncio.gather(*(flaky.start(n) for n in range(10))))
    for n in range(20):
        total += request(url, n)
    for n in range(5):
        total += post(f"{url}/main-{n}", json={"n": n}).json()["n"]
    total += sum(await asyncio.gather(*(request.start(url, n) for n in range(20))))
    total += sum(pure.map(range(40)))
    token_now, again = f"{random.Random(token).getrandbits(32)}", random.Random(token).getrandbits(32)
    assert token_now == str(again) and len(set(names)) == len(names)
    for n in range(10):
        total += step(n, names[n % len(names)])
    assert time.monotonic() >= ticks and folder == 0, (ticks, time.monotonic(), folder)
    return {"total": total, "later": time.time() > began}
