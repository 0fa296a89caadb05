"""What values become between tasks and at the outside, and how errors name the place."""

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid

import pytest
from capsule import _codec

UTC = datetime.timezone.utc


@dataclasses.dataclass
class Point:
    x: int
    data: bytes = b""


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


def there(value, outer=False):
    text, tagged = _codec.dumps(value, "result", outer=outer)
    return json.loads(text), tagged


def there_and_back(value):
    text, tagged = _codec.dumps(value, "result", outer=False)
    return _codec.loads(text.decode(), tagged=tagged)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**200,
        1.5,
        1e300,
        "",
        "é\U0001f600\x00\n",
        [],
        [1, [2]],
        {},
        {"a": {"b": [None]}},
        {"$a": 1, "b": 2},
    ],
)
def test_json_is_plain_and_comes_back(value):
    assert there(value) == (value, False)
    assert there_and_back(value) == value


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00\xff",
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
        datetime.datetime(2026, 1, 2, tzinfo=UTC),
        datetime.date(2026, 1, 2),
        datetime.time(3, 4),
        set(),
        {1, 2},
        {(1, 2), "a"},
        {frozenset({1})},
        [b"a", {"k": {b"b"}}],
        [{"$bytes": "no bytes"}, b"x"],
        [{"$": 1}, {"$$x": 1}, b"x"],
        [{"$set": [1]}, set()],
    ],
)
def test_tagged_comes_back(value):
    assert there(value)[1]
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "received"),
    [
        ((1, 2), [1, 2]),
        ([(1,), b"x"], [[1], b"x"]),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (frozenset({1}), {1}),
        (Point(1), {"x": 1, "data": b""}),
        ([Point(1), Point(2)], [{"x": 1, "data": b""}, {"x": 2, "data": b""}]),
        (Colour.RED, "red"),
        ({"c": Colour.RED}, {"c": "red"}),
        (Level.HIGH, 3),
        ([Level.HIGH, b"x"], [3, b"x"]),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
    ],
)
def test_becomes_something_simpler(value, received):
    assert there_and_back(value) == received


@pytest.mark.parametrize(("key", "text"), [(1, "1"), (None, "null"), (True, "true"), (2.5, "2.5"), (Colour.RED, "red")])
@pytest.mark.parametrize("beside", [{}, {"b": b"x"}])
def test_keys_that_json_can_write(key, text, beside):
    assert text in there_and_back({key: 0, **beside})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00\xff", "AP8="),
        (datetime.datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ({3, 1, 2}, [1, 2, 3]),
        (Point(1, b"a"), {"x": 1, "data": "YQ=="}),
        ({"$x": b""}, {"$x": ""}),
    ],
)
def test_outer_form(value, text):
    assert there(value, outer=True) == (text, False)


class Odd:
    pass


def cycle():
    value = {"a": [1]}
    value["a"].append(value)
    return value


def nested(n):
    value = []
    for _ in range(n):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "result: the number is NaN, which JSON doesn't have"),
        ({"items": [1, 2, 3, {"price": float("inf")}]}, "result.items[3].price: the number is Infinity"),
        ([-float("inf")], "result[0]: the number is -Infinity"),
        ({"a b": Odd()}, "result['a b']: an Odd object isn't a JSON value"),
        ({"a": lambda: 0}, "result.a: a function object isn't a JSON value"),
        ([Odd], "result[0]: a type object isn't a JSON value"),
        ((i for i in ()), "result: a generator object isn't a JSON value"),
        (1j, "result: a complex object isn't a JSON value"),
        (cycle(), "result.a[1]: a dict that contains itself"),
        ({"k": {(1, 2): 3}}, "result.k: a key is a tuple object; JSON's keys are strings"),
        ({float("nan"): 3}, "result: the number is NaN"),
        ({1: 0, "1": b""}, "result['1']: two keys become this same string"),
        (["\ud800"], "result[0]: text with a lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
        (10**5000, "result: an integer with too many digits"),
        ([b"", nested(300)], "nested deeper than 200 levels"),
        (nested(100_000), "nested"),
        (Point(Odd()), "result.x: an Odd object"),
    ],
    ids=lambda v: type(v).__name__,
)
@pytest.mark.parametrize("outer", [False, True])
def test_refusals_name_the_place(value, message, outer):
    with pytest.raises(_codec.CodecError) as e:
        _codec.dumps(value, "result", outer=outer)
    assert message in str(e.value)
    assert len(str(e.value)) < 2000


def test_same_object_twice_is_no_cycle():
    shared = [b"x"]
    assert there_and_back([shared, shared]) == [shared, shared]


def test_a_refusal_leaves_nothing_behind():
    """The encoder remembers containers that are open; after a failure a new object may have an old one's address."""
    for _ in range(1000):
        with pytest.raises(_codec.CodecError):
            _codec.dumps([[Odd()]], "result", outer=False)
        assert there_and_back([[[1]]]) == [[[1]]]
    assert not _codec._markers


@pytest.mark.parametrize(
    "text",
    ["", " ", "[1", "[1] x", "NaN", "[Infinity]", "{'a':1}", "\x00", "[" * 100_000, "1" * 5000, '{"$nope": 1} x'],
)
def test_bad_json(text):
    with pytest.raises(_codec.CodecError):
        _codec.loads(text, tagged=False)


@pytest.mark.parametrize(
    "text",
    ['{"$nope": 1}', '{"$bytes": 1}', '{"$bytes": "*"}', '{"$datetime": "x"}', '{"$set": [{"a": 1}]}', '{"$set": 1}'],
)
def test_bad_tags(text):
    with pytest.raises(_codec.CodecError):
        _codec.loads(text, tagged=True)


def test_whitespace_around():
    assert _codec.loads(" [1, 2]\n", tagged=False) == [1, 2]
