"""What must differ between two sandboxes of one image, and what must not."""

import os
import random
import secrets
import tempfile
import uuid

from capsule import task

random.random(), uuid.uuid4(), uuid.uuid1(), secrets.token_hex()
tempfile.mktemp(dir="/tmp")
own = random.Random()
own.gauss(0, 1)
fixed = random.Random(5)
system = random.SystemRandom()
items = list(range(52))
IMAGE = uuid.uuid4().hex


@task
def draw():
    random.shuffle(items)
    return {
        "random": random.random(),
        "own": own.random(),
        "gauss": own.gauss(0, 1),
        "system": system.random(),
        "shuffle": list(items),
        "choice": random.choices(range(10**9), k=2),
        "uuid1": str(uuid.uuid1()),
        "node": uuid.getnode(),
        "uuid4": str(uuid.uuid4()),
        "secrets": secrets.token_hex(8),
        "urandom": os.urandom(8).hex(),
        "getrandom": own.randbytes(8).hex(),
        "tempfile": tempfile.mktemp(dir="/tmp"),
        "same fixed": fixed.random(),
        "same image": IMAGE,
    }


@task
def seeds(n: int):
    return [draw() for _ in range(n)]


@task
def main():
    return draw()
