"""Tasks that wait, all at the same time."""

import time

from capsule import task


@task
def sleeper(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task(compute="HIGH")
def main(tasks: int) -> int:
    return len(sleeper.map([1] * tasks, concurrency=tasks))
