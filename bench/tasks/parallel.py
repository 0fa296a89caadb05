"""Tasks of about 200 ms of CPU each, one after the other or in parallel."""

from capsule import task


@task(compute="HIGH")
def count(n: int) -> int:
    total = 0
    for i in range(n):
        total += i & 7
    return total


@task(compute="HIGH")
def main(tasks: int, together: bool) -> int:
    work = [2_000_000] * tasks
    return sum(count.map(work) if together else [count(n) for n in work])
