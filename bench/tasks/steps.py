"""Many trivial steps, then a wait for a signal: what a run that's resumed has to go through again."""

from capsule import task, wait_signal


@task
def echo(value: int) -> int:
    return value


@task(compute="HIGH")
def main(steps: int) -> object:
    total = sum(echo.map(range(steps)))
    return wait_signal("go") if total >= 0 else total


@task
def workflow() -> int:
    return echo(echo(echo(1)))
