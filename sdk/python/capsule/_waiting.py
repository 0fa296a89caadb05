"""Waiting for a time and for signals, however long it takes.

A recorded run that only waits needs no process: it's suspended, and goes on when the time or the signal has come. See
docs/reference/waiting.md.
"""

from __future__ import annotations

import datetime
from typing import Any

from . import _duration
from ._duration import Duration
from ._host import INSIDE

if INSIDE:
    from ._waiting_inside import apause, areceive, pause, receive
else:
    from ._waiting_outside import apause, areceive, pause, receive

NAME_MAX = 128
"""Bytes of a signal's name (guest/abi.h)."""

_FORMS = _duration.FORMS.replace(" or ", ", ") + " or a datetime with a time zone"


def sleep(duration: Duration | datetime.datetime) -> None:
    """Wait, for however long: `capsule.sleep("7d")`.

    The time counts on while the run is suspended, and through the death of its process: a resumed run waits for what is
    left. This blocks; in a coroutine write `await asleep("7d")`.

    Args:
        duration: seconds as a number, or a number with a unit: "500ms", "30s", "5m", "1h", "7d"; or a timedelta. At
            most 36,500 days. A datetime with a time zone is waited for; one that has passed isn't.

    Raises:
        TypeError: it's nothing of that kind.
        ValueError: it's negative, has no unit, or is a datetime without a time zone.
        RuntimeError: in a sandbox, an event loop runs that this would stop; or a module is being imported.
    """
    pause("sleep", *_when(duration, "sleep()"))


async def asleep(duration: Duration | datetime.datetime) -> None:
    """As `sleep`, while other coroutines run: `await capsule.asleep("7d")`. Cancelling it ends the wait."""
    await apause("asleep", *_when(duration, "asleep()"))


def wait_signal(name: str, timeout: Duration | None = None) -> Any:
    """Wait for a signal, and return the JSON value that came with it: `capsule.wait_signal("approval", timeout="3d")`.

    Somebody sends it by `capsule signal RUN approval '{"ok": true}'`, now or before: a run's signals are kept until
    they are waited for. Each is given out once, in the order in which they came, to what has waited longest for its
    name. This blocks; in a coroutine write `await await_signal("approval")`.

    Args:
        name: the signal's name, 1 to 128 bytes of UTF-8 without NUL.
        timeout: how long to wait at most; forms as in `sleep`. 0: only take what is there. None: without limit.

    Returns:
        What json.loads() makes of the value.

    Raises:
        SignalTimeout: none came in time.
        TaskError: nothing can send signals to this run, since it isn't recorded (type "policy").
        TypeError: the name isn't a string, or the timeout nothing that a duration can be.
        ValueError: the name can't be one, or the timeout isn't a duration.
        RuntimeError: outside of a sandbox, where there are no signals; or as in `sleep`.
    """
    return receive("wait_signal", *_expected(name, timeout, "wait_signal()"))


async def await_signal(name: str, timeout: Duration | None = None) -> Any:
    """As `wait_signal`, while other coroutines run: `await capsule.await_signal("approval", timeout="3d")`.

    Cancelling it ends the wait; a signal that comes at that very moment is kept for the task's next wait for its name.
    """
    return await areceive("await_signal", *_expected(name, timeout, "await_signal()"))


def _when(duration: object, what: str) -> tuple[str, int]:
    """What a sleep is, as the host is told it."""
    if isinstance(duration, datetime.datetime):
        return "until_ns", _duration.moment(duration, what)
    return "duration_ns", _duration.nanoseconds(duration, what, _FORMS)


def _expected(name: object, timeout: object, what: str) -> tuple[str, int | None, str]:
    """A signal's name, the time to wait, and how a message calls that time."""
    if not isinstance(name, str):
        raise TypeError(f"{what}: a signal's name is a string, not a {type(name).__name__}")
    try:
        n = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {name!a} isn't a signal's name: it isn't Unicode") from None
    if not 1 <= n <= NAME_MAX:
        raise ValueError(f"{what}: a signal's name has 1 to {NAME_MAX} bytes, this one has {n}")
    if "\0" in name:
        raise ValueError(f"{what}: a signal's name can't contain a NUL character")
    if timeout is None:
        return name, None, ""
    ns = _duration.nanoseconds(timeout, f"{what}: timeout")
    return name, ns, timeout if isinstance(timeout, str) else f"{ns / 1e9:g} s"
