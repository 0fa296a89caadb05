"""Ways in which a task ends badly."""

import os
import sys

from capsule import NonRetryable, TaskError, task


@task(max_retries=2)
def non_retryable():
    raise NonRetryable("not again")


@task(max_retries=1)
def retried():
    raise ValueError("each time")


@task(max_retries=0)
def exits(code):
    sys.exit(code)


@task(max_retries=0)
def leaves():
    os._exit(3)


@task(max_retries=0, ram="64MB")
def hungry():
    keep = []
    while True:
        keep.append(bytearray(1_000_000))


@task(max_retries=0, ram="64MB")
def survives_hunger():
    try:
        bytearray(500_000_000)
    except MemoryError:
        return "caught"


@task(max_retries=0)
def deep_python():
    def f(n):
        return f(n + 1)

    try:
        f(0)
    except RecursionError:
        return "caught"


@task(max_retries=0)
def deep_python_uncaught():
    deep_python_uncaught.__wrapped__()


@task(max_retries=0)
def deep_c():
    value = []
    for _ in range(100_000):
        value = [value]
    try:
        return repr(value)
    except RecursionError:
        return "caught"


@task(max_retries=0)
def deep_result():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


@task(max_retries=0)
def deep_comparison():
    class Node:
        def __eq__(self, other):
            return [self] == [other] and Node() == Node()

        __hash__ = None

    try:
        return [Node()] == [Node()]
    except RecursionError:
        return "caught"


@task(max_retries=0)
def huge_message():
    raise ValueError("x" * 5_000_000)


@task(max_retries=0)
def broken_str():
    class Odd(Exception):
        def __str__(self):
            raise ValueError

    raise Odd


@task(max_retries=0)
def wrong_arguments():
    retried(1, 2, 3)


@task(max_retries=3)
def parent_of_non_retryable():
    non_retryable()


def outcome(call, *args):
    try:
        return call(*args)
    except TaskError as e:
        return [e.type, e.class_name, len(e.message), e.execution.get("retries")]


@task
def main():
    calls = [exits, leaves, hungry, survives_hunger, deep_python, deep_python_uncaught, deep_c, deep_result]
    calls += [
        deep_comparison,
        huge_message,
        broken_str,
        wrong_arguments,
        non_retryable,
        retried,
        parent_of_non_retryable,
    ]
    return {c.name: outcome(c, *([2] if c is exits else [])) for c in calls}
