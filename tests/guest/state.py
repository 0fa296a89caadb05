"""Nothing of one sandbox is seen by the next."""

import os
import sys

from capsule import context, task

seen = []
counter = {"n": 0}


@task(env_variables=["FOR_LEFT"])
def left(x: int):
    seen.append(x)
    counter["n"] += 1
    os.environ["LEFT"] = "behind"
    sys.modules["left_behind"] = sys
    os.chdir("/")
    return [seen, counter, os.environ.get("FOR_LEFT"), os.getcwd()]


@task
def right():
    return [seen, counter, dict(os.environ), "left_behind" in sys.modules, os.getcwd(), sys.argv, __name__]


@task(max_retries=0, timeout="1m")
def who():
    c = context()
    return [c.run_id, c.task_id, c.task_name, c.attempt, c.idempotency_key, c.deadline is not None]


@task
def main():
    return {"left": [left(1), left(2)], "right": right(), "who": [who(), who()], "me": context().run_id}
