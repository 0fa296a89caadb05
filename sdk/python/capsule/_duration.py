"""Durations and moments as people write them, in nanoseconds; the same grammar as the host's (src/base/units.h)."""

from __future__ import annotations

import datetime
import math
import re

Duration = int | float | str | datetime.timedelta
"""Seconds, a number with a unit such as "30s" or "7d", or a timedelta."""

DAYS_MAX = 36500
"""The longest duration."""

_SECOND = 1_000_000_000
_DAY = 86400 * _SECOND
_UNITS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": _DAY}
_WRITTEN = re.compile(r"([0-9]+)(?:\.([0-9]+))? ?(ns|us|ms|s|m|h|d)", re.ASCII | re.IGNORECASE)
_TEXT_MAX = 64
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
_UNTIL_MAX = 2**63 - 1  # in the year 2262

FORMS = 'a number of seconds, "500ms", "30s", "5m", "1h", "7d" or a datetime.timedelta'


def nanoseconds(value: object, what: str, forms: str = FORMS) -> int:
    """Read a duration. `what` begins the message of an error, `forms` ends it.

    Raises:
        TypeError: it's nothing that a duration can be.
        ValueError: it's negative, has no unit, isn't finite, or is longer than DAYS_MAX.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, datetime.timedelta)):
        raise TypeError(f"{what} can't be a {type(value).__name__}; write {forms}")
    found = _read(value)
    if found is None:
        raise ValueError(f"{what}: {_shown(value)} isn't a duration; write {forms}")
    if found < 0:
        raise ValueError(f"{what}: {_shown(value)} is negative; write {forms}")
    if found > DAYS_MAX * _DAY:
        raise ValueError(f"{what}: {_shown(value)} is more than the maximum, {DAYS_MAX} days")
    return found


def _shown(value: Duration) -> str:
    try:
        text = str(value) if isinstance(value, datetime.timedelta) else repr(value)
    except ValueError:  # an int with more digits than Python likes to write
        return "the number"
    return text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…"


def _read(value: Duration) -> int | None:
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, datetime.timedelta):
        return value // _MICROSECOND * 1000
    if isinstance(value, int):
        return value * _SECOND
    return round(value * _SECOND) if math.isfinite(value * _SECOND) else None


def _read_text(text: str) -> int | None:
    match = _WRITTEN.fullmatch(text) if len(text) <= _TEXT_MAX else None
    if match is None:
        return None
    whole, fraction, unit = match[1], match[2] or "", _UNITS[match[3].lower()]
    amount: int = int(whole + fraction) * unit // 10 ** len(fraction)
    return amount


def moment(value: datetime.datetime, what: str) -> int:
    """Read a moment: nanoseconds since 1970, at least 0.

    Raises:
        ValueError: it has no time zone, or is beyond what the clock can count.
    """
    if value.utcoffset() is None:
        raise ValueError(
            f"{what}: {value} has no time zone, so it could be any of many moments; "
            "write for instance datetime(2030, 1, 31, 9, 30, tzinfo=timezone.utc)"
        )
    found = (value - _EPOCH) // _MICROSECOND * 1000
    if found > _UNTIL_MAX:
        raise ValueError(f"{what}: {value} is beyond the year 2261")
    return max(0, found)
