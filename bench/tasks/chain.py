"""A chain of nested calls: at its end, all of its sandboxes are alive and parked."""

from capsule import task


@task
def chain(depth: int) -> int:
    if depth == 0:
        print("deepest")
        return 0
    return int(chain(depth - 1)) + 1
