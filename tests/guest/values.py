"""Values across both boundaries."""

import dataclasses
import datetime
import decimal
import enum
import uuid

from capsule import TaskError, task


@dataclasses.dataclass
class Point:
    x: int
    data: bytes = b"\x01"


class Colour(enum.Enum):
    RED = "red"


VALUES = {
    "none": None,
    "big": 2**100,
    "float": 1.5,
    "text": 'é\U0001f600\x00"\\',
    "bytes": b"\x00\xff",
    "datetime": datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone.utc),
    "date": datetime.date(2026, 1, 2),
    "time": datetime.time(3, 4),
    "set": {1, 2, 3},
    "pairs": {(1, 2)},
    "dollar": {"$bytes": "not bytes"},
    "list": [[], {}, [b""]],
}
SIMPLER = {
    "tuple": ((1, 2), [1, 2]),
    "point": (Point(1), {"x": 1, "data": b"\x01"}),
    "colour": (Colour.RED, "red"),
    "decimal": (decimal.Decimal("1.10"), "1.10"),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
}


@task(max_retries=0)
def echo(value):
    return value


@task(max_retries=0)
def types(value):
    return type(value).__name__


@task(max_retries=0)
def bad():
    return {"items": [1, {"price": float("nan")}]}


@task(max_retries=0)
def cycle():
    value = []
    value.append(value)
    return value


def refused(call, *args):
    try:
        call(*args)
    except TaskError as e:
        return [e.type, e.message]
    return None


@task
def inner():
    wrong = [k for k, v in VALUES.items() if echo(v) != v or types(v) != type(v).__name__]
    wrong += [k for k, (v, expected) in SIMPLER.items() if echo(v) != expected]
    if echo(VALUES) != VALUES:
        wrong.append("all at once")
    return wrong


@task
def refusals():
    return {
        "nan out": refused(bad),
        "cycle out": refused(cycle),
        "nan in": refused(echo, [0, float("inf")]),
        "object in": refused(echo, {"a": object()}),
        "count": refused(echo),
        "keyword": refused(lambda: echo(value=1, other=2)),
    }


@task
def megabytes(n: int):
    text = "x" * (n * 1_000_000)
    return len(echo(text)) == len(text)


@task
def main():
    return {**VALUES, **{k: v for k, (v, _) in SIMPLER.items()}}
