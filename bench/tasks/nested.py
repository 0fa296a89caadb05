"""Many calls in a row."""

from capsule import task


@task
def echo(value: int) -> int:
    return value


@task(compute="HIGH")
def main(calls: int) -> int:
    return sum(echo(1) for _ in range(calls))
