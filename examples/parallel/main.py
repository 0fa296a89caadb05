"""Tasks in parallel: a fan-out over data, a race, failures, and a time limit. Every call has a sandbox of its own."""

import asyncio
import time

from capsule import TaskError, task


@task(compute="LOW", ram="64MB")
def count_primes(start: int) -> int:
    """How many of the next 1,000 numbers are prime: work for a core."""
    numbers = range(max(start, 2), start + 1000)
    return sum(all(n % divisor for divisor in range(2, int(n**0.5) + 1)) for n in numbers)


@task(compute="LOW", ram="64MB", max_retries=0)
def ask(model: str, seconds: float) -> str:
    """Stands for a service that takes its time. Who waits needs no thread."""
    if model == "broken":
        raise ConnectionError("no answer")
    time.sleep(seconds)
    return f"{model} answered"


async def race() -> str:
    """The first answer; the other task is cancelled."""
    racers = [asyncio.ensure_future(ask.start("tortoise", 3600)), asyncio.ensure_future(ask.start("hare", 0.1))]
    finished, late = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
    for racer in late:
        racer.cancel()
    return finished.pop().result()


async def gather() -> str:
    """All of them at the same time, whatever becomes of each."""
    names = ["small", "broken", "large"]
    answers = await asyncio.gather(*(ask.start(name, 0.1) for name in names), return_exceptions=True)
    return ", ".join(answer.message if isinstance(answer, TaskError) else answer for answer in answers)


async def in_time() -> str:
    """Waiting for no more than a moment: the task is cancelled then."""
    try:
        return await asyncio.wait_for(ask.start("sleepy", 3600), timeout=0.1)
    except TimeoutError:
        return "too late"


@task
async def main() -> dict:
    primes = await count_primes.map(range(0, 20_000, 1000))  # one sandbox per item, results in order
    return {
        "primes": sum(primes),
        "race": await race(),
        "gather": await gather(),
        "in time": await in_time(),
    }
