"""Many trivial tasks at once."""

from capsule import task


@task
def echo(value: int) -> int:
    return value


@task(compute="HIGH")
def main(tasks: int) -> int:
    return sum(echo.map(range(tasks)))
