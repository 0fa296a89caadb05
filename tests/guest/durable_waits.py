"""For tests of runs that are suspended (tests/cli/test_waiting.py). durable_waits.ts is the same in TypeScript."""

import asyncio
import os
import random
import sys
import time

from capsule import SignalTimeout, TaskError, asleep, await_signal, context, sleep, task, wait_signal


@task
def trivial(value):
    return value


@task
def one(name):
    """Says that it waits, and then what it got."""
    print(f"{name}?", flush=True)
    value = wait_signal(name)
    print(f"{name}: {value}", file=sys.stderr, flush=True)
    return value


@task
def in_turn(names):
    return [one(name) for name in names]


@task
async def together(names):
    """Each in a task of its own."""
    return await asyncio.gather(*(one.start(name) for name in names))


@task
async def in_one_task(names):
    """All in this task, and after each a step."""

    async def answer(name):
        return await trivial.start(await await_signal(name))

    return await asyncio.gather(*(answer(name) for name in names))


@task
def deep(depth, name):
    me = context()
    before = [me.attempt, me.idempotency_key, random.random(), os.urandom(4).hex(), time.time()]
    below = deep(depth - 1, name) if depth else [wait_signal(name)]
    again = context()
    assert before[:2] == [again.attempt, again.idempotency_key]
    assert time.time() >= before[4]
    return [before[1], *below]


@task(idempotent=False, max_retries=0)
def charge(name):
    return wait_signal(name)


@task
def charges(name):
    try:
        return charge(name)
    except TaskError as e:
        return e.type


@task(timeout="1h", max_retries=3)
def limited(name):
    return wait_signal(name)


@task
def limits(name):
    try:
        return limited(name)
    except TaskError as e:
        return [e.type, e.execution["retries"]]


@task
def in_time(name, timeout):
    try:
        return wait_signal(name, timeout=timeout)
    except SignalTimeout:
        return ["too late", wait_signal(name)]


@task
async def reminders(name, duration):
    """Asks again when a time has passed; the wait itself goes on."""
    answer = asyncio.create_task(await_signal(name))
    asked = 0
    while not answer.done():
        asked += 1
        print("asked", asked, flush=True)
        await asyncio.wait({answer, asyncio.create_task(asleep(duration))}, return_when=asyncio.FIRST_COMPLETED)
    return [asked, answer.result()]


@task(compute="HIGH")
def busy(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


@task
async def beside(name):
    """One waits and one computes."""
    work = busy.start(0.3)
    return await asyncio.gather(await_signal(name), work)


@task
def sleeps(durations):
    begin = time.time()
    for duration in durations:
        sleep(duration)
        print("slept", duration, flush=True)
    return time.time() - begin


@task(allowed_files=["./data"])
def writes(name):
    with open("data/log", "a") as log:
        log.write("before\n")
        log.flush()
        value = wait_signal(name)
        log.write(f"{value}\n")
    return value


@task
def many(name, n):
    return [wait_signal(name) for _ in range(n)]


@task
async def many_at_once(name, n):
    return await asyncio.gather(*(await_signal(name) for _ in range(n)))


@task(max_retries=1)
def fails_after(name):
    wait_signal(name)
    raise ValueError(f"attempt {context().attempt}")
