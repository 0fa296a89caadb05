"""A short workflow with something of everything, for the exits at fault points. Its result is the same each time."""

import asyncio
import random
import time

import capsule
from capsule import context, task

MARKS = "marks"


@task(allowed_files=["./marks"], max_retries=2)
def step(n: int, fails: bool = False) -> int:
    me = context()
    with open(f"{MARKS}/{me.idempotency_key.replace('/', '-')}", "a") as file:
        file.write(f"{me.attempt}\n")
    if fails and me.attempt == 1:
        raise ValueError("not yet")
    return n


@task
async def nested(n: int) -> int:
    return sum(await asyncio.gather(step.start(n), step.start(n + 1)))


@task(ram="1GB")
def large(n: int) -> str:
    return "x" * n


@task
async def main() -> dict:
    seed, began = random.random(), time.time()
    total = step(1) + step(2, True)
    total += await nested(10)
    text = large(200_000)
    await capsule.asleep(0.001)
    answer = await capsule.await_signal("go")
    total += sum(await asyncio.gather(*(step.start(n) for n in range(4))))
    return {"total": total, "text": len(text), "answer": answer, "sane": 0 <= seed < 1 and time.time() >= began}
