"""Values between tasks and to the outside: JSON, and forms for what JSON lacks (docs/reference/values.md).

Most values are plain JSON and go through the C encoder in one step. Only when it refuses is the value walked in
Python: to convert what has a documented form, or to name the place of what has none.

Inner form (task to task): what JSON lacks becomes an object with one key, {"$bytes": base64}, {"$datetime": ISO},
{"$date": ISO}, {"$time": ISO}, {"$set": [...]}; a user's own object with one key that begins with "$" gets one
"$" more. A message says in its header whether it is `tagged`. Outer form (result of an entry task): the bare string
or list.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import json.encoder
import pathlib
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

DEPTH_MAX = 200
"""How deep lists and objects may nest in a value that needs converting; plain JSON may nest somewhat deeper."""


class CodecError(ValueError):
    """A value that can't cross; the message begins with the path to it."""


# --- plain JSON


class _NeedsWalk(TypeError):
    """The C encoder met something that isn't JSON."""


def _refuse(value: object) -> NoReturn:
    raise _NeedsWalk


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't JSON")


_markers: dict[int, Any] = {}


def _make_encoder() -> Callable[[Any, int], Any]:
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without the C module
        encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_refuse)
        return lambda value, level: (encoder.encode(value),)
    string: Any = json.encoder.encode_basestring
    made: Callable[[Any, int], Any] = make(_markers, _refuse, string, None, ":", ",", False, False, False)
    return made


encode_plain = _make_encoder()
"""encode_plain(value, 0) -> chunks of JSON; raises on anything but plain JSON values. After a failure: forget()."""

forget = _markers.clear

_decoder: Any = json.JSONDecoder(parse_constant=_refuse_constant)

scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once
"""scan(text, 0) -> (value, end); StopIteration or ValueError if it isn't JSON."""


def dumps_plain(value: Any) -> str:
    """Compact JSON of a value known to be plain."""
    try:
        return "".join(encode_plain(value, 0))
    finally:
        forget()


# --- writing


def dumps(value: Any, root: str | Callable[[int | str], str], *, outer: bool) -> tuple[bytes, bool]:
    """Return (JSON in UTF-8, tagged).

    Args:
        value: anything documented in docs/reference/values.md.
        root: name of the value in error messages.
        outer: use the outer form, which is never tagged.

    Raises:
        CodecError: something in it has no form; the message names the path.
    """
    try:
        return "".join(encode_plain(value, 0)).encode(), False
    except MemoryError:
        raise
    except Exception:
        forget()
    walk = _Walk(outer)
    try:
        plain = walk.convert(value, 0)
    except CodecError as e:
        raise CodecError(f"{walk.where(root)}: {e}") from None
    except RecursionError:
        raise CodecError(f"{walk.where(root)}: nested too deep") from None
    return dumps_plain(plain).encode(), walk.tagged


class _Walk:
    """One conversion to plain JSON values, and where it is."""

    def __init__(self, outer: bool) -> None:
        self.outer = outer
        self.tagged = False
        self.path: list[int | str] = []
        self.open: set[int] = set()

    def where(self, root: str | Callable[[int | str], str]) -> str:
        """Write the path to where the conversion stopped: result.items[3].price."""
        path = self.path
        if callable(root):
            # [args, kwargs] of a call: its caller knows the parameters' names
            text, path = (root(path[1]), path[2:]) if len(path) > 1 else ("arguments", [])
        else:
            text = root
        for step in path[:50]:
            if isinstance(step, int):
                text += f"[{step}]"
            else:
                text += f".{step}" if step.isidentifier() and len(step) < 100 else f"[{step[:100]!r}]"
        return text + ("…" if len(path) > 50 else "")

    def tag(self, name: str, outer: Any, inner: Any = None) -> Any:
        if self.outer:
            return outer
        self.tagged = True
        return {name: outer if inner is None else inner}

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if isinstance(value, enum.Enum):
            return self.convert(value.value, depth)
        if isinstance(value, str):
            return _checked_str(value)
        if isinstance(value, int):
            return _checked_int(value)
        if isinstance(value, float):
            return _checked_float(value)
        scalar = _SCALARS.get(kind) or next((c for t, c in _SCALARS.items() if isinstance(value, t)), None)
        if scalar is not None:
            name, text = scalar(value)
            return self.tag(name, text) if name else text
        if depth >= DEPTH_MAX:
            raise CodecError(f"nested deeper than {DEPTH_MAX} levels")
        if id(value) in self.open:
            raise CodecError(f"a {kind.__name__} that contains itself, which JSON can't say")
        self.open.add(id(value))
        plain = self.container(value, depth)
        self.open.discard(id(value))
        return plain

    def container(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.mapping(((_key(k), v) for k, v in value.items()), depth)
        if isinstance(value, (list, tuple)):
            return self.items(value, depth)
        if isinstance(value, (set, frozenset)):
            return self.set_of(value, depth)
        if isinstance(value, _results_class()):
            return self.items(value.result(), depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
            return self.mapping(fields, depth)
        name = type(value).__qualname__
        raise CodecError(f"{_an(name)} isn't a JSON value (nor bytes, a date or time, a set or a dataclass)")

    def items(self, values: Any, depth: int) -> list[Any]:
        out = []
        for i, value in enumerate(values):
            self.path.append(i)
            out.append(self.convert(value, depth + 1))
            self.path.pop()
        return out

    def mapping(self, pairs: Any, depth: int) -> dict[str, Any]:
        out = {}
        for key, value in pairs:
            self.path.append(key)
            if key in out:
                raise CodecError("two keys become this same string")
            out[_checked_str(key)] = self.convert(value, depth + 1)
            self.path.pop()
        if not self.outer and len(out) == 1:
            (key,) = out
            if key.startswith("$"):
                self.tagged = True
                return {"$" + key: out[key]}
        return out

    def set_of(self, values: Any, depth: int) -> Any:
        try:
            ordered = sorted(values)
        except Exception:  # not comparable: any order will do
            ordered = list(values)
        out = self.items(ordered, depth)
        if not self.outer:
            for value, plain in zip(ordered, out, strict=True):
                if isinstance(plain, dict) and dataclasses.is_dataclass(value):
                    raise CodecError("a set of dataclass objects can't be rebuilt by the receiver; send a list")
        return self.tag("$set", out)


def _results_class() -> type[Any]:
    from ._results import Results  # it needs this module

    return Results


def _an(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name} object"


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(_checked_int(key))
    if isinstance(key, float):
        return float.__repr__(_checked_float(key))
    raise CodecError(f"a key is {_an(type(key).__qualname__)}; JSON's keys are strings")


def _checked_str(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CodecError("text with a lone surrogate isn't Unicode; send bytes") from None
    return str.__str__(value)


def _checked_int(value: int) -> int:
    try:
        int.__repr__(value)
    except ValueError:
        raise CodecError("an integer with too many digits for JSON; send it as a string in hex") from None
    return int.__int__(value)


def _checked_float(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):
        name = "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        raise CodecError(f"the number is {name}, which JSON doesn't have")
    return float.__float__(value)


def _bytes(value: Any) -> tuple[str, str]:
    return "$bytes", base64.b64encode(value).decode()


def _string(value: Any) -> tuple[str, str]:
    return "", str(value)


_SCALARS: dict[type, Callable[[Any], tuple[str, str]]] = {
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    datetime.datetime: lambda v: ("$datetime", v.isoformat()),
    datetime.date: lambda v: ("$date", v.isoformat()),
    datetime.time: lambda v: ("$time", v.isoformat()),
    decimal.Decimal: _string,
    uuid.UUID: _string,
    pathlib.PurePath: _string,
}


# --- reading


def loads(text: str, *, tagged: bool) -> Any:
    """Read JSON, with its tagged forms if the sender said so. Raises CodecError."""
    try:
        value, end = scan(text, 0)
        if end != len(text):
            value = _decoder.decode(text)
    except StopIteration:
        value = _loads_strictly(text)
    except RecursionError:
        raise CodecError("nested too deep") from None
    except ValueError as e:
        raise CodecError(f"not JSON: {e}") from None
    return untag(value) if tagged else value


def _loads_strictly(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError) as e:
        raise CodecError(f"not JSON: {e}") from None


def untag(value: Any) -> Any:
    """Turn tagged forms back into what they stand for. Raises CodecError."""
    if isinstance(value, list):
        return [untag(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key,) = value
        if key.startswith("$"):
            if key.startswith("$$"):
                return {key[1:]: untag(value[key])}
            return _untag_one(key, value[key])
    return {k: untag(v) for k, v in value.items()}


def _untag_one(key: str, value: Any) -> Any:
    reader = _READERS.get(key)
    if reader is None:
        raise CodecError(f"unknown form {key[:100]!r}")
    try:
        return reader(value)
    except CodecError:
        raise
    except Exception as e:
        raise CodecError(f"malformed {key}: {e}") from None


def _frozen(value: Any) -> Any:
    """A list in a set was a tuple, a set in a set was a frozenset."""
    if isinstance(value, list):
        return tuple(_frozen(v) for v in value)
    return frozenset(value) if isinstance(value, set) else value


_READERS: dict[str, Callable[[Any], Any]] = {
    "$bytes": lambda v: base64.b64decode(v, validate=True),
    "$datetime": datetime.datetime.fromisoformat,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$set": lambda v: {_frozen(untag(i)) for i in v},
}
