"""A loop without an end, stopped by its timeout."""

from capsule import task


@task(compute="HIGH", timeout="50ms", max_retries=0)
def main() -> None:
    while True:
        pass
