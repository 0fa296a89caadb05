"""A task that returns its argument: what a sandbox costs when its code costs nothing."""

from capsule import task


@task
def echo(value: object) -> object:
    return value
