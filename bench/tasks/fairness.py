"""Short tasks beside one that never ends; returns the milliseconds that each call took."""

import time

from capsule import task


@task(compute="HIGH")
def endless() -> None:
    while True:
        pass


@task
def short(value: int) -> int:
    return value


@task(compute="HIGH")
def main(calls: int) -> list[float]:
    busy = endless.start()
    times = []
    for i in range(calls):
        start = time.perf_counter()
        short(i)
        times.append((time.perf_counter() - start) * 1e3)
    busy.cancel()
    return times
