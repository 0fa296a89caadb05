"""Who waits for which host operation. Only inside a sandbox.

The host tells of a finished operation once (`next`), whoever asks. So whatever waits for more than one operation
registers with expect() and waits by pump(), which tells all of them: event loops, maps and handles don't steal one
another's news. Whoever waits for a single operation and nothing else asks for just that one: wait(), take().

An operation is expected (in `_waiting`), or finished before anybody expected it (in `_told`), or unknown: nobody has
heard of it yet, or its reply was taken.
"""

from __future__ import annotations

from collections.abc import Callable

from ._host import host

_host = host()
_next = _host.next
_take = _host.take
_wait = _host.wait
_submit = _host.submit
cancel = _host.cancel
"""cancel(op): ask the host to end it soon; it's done as ever, by an error unless it was quicker."""

_waiting: dict[int, Callable[[int], object]] = {}
_told: set[int] = set()

expecting = _waiting.__len__
"""expecting() -> how many operations pump() can tell of."""

expected = _waiting.__contains__
"""expected(op) -> whether somebody is still to be told that it's done."""


def submit(header: bytes, body: bytes) -> int:
    """Start an operation. While too many are open, wait until some of those that are expected are done."""
    while True:
        try:
            return _submit(header, body)
        except RuntimeError:
            if not _waiting:
                raise
        pump(-1)


def expect(op: int, arrived: Callable[[int], object]) -> None:
    """Have arrived(op) called, once, when the operation is done. It's called from within other code's waiting, so it
    only notes the news: it runs nothing of the user's and raises nothing but what a closed event loop raises."""
    if op in _told:
        _told.discard(op)
        if wait(op, 0):  # else another operation had this number before, and its reply was taken past us
            arrived(op)
            return
    _waiting[op] = arrived


def pump(timeout_ns: int) -> bool:
    """Park until operations are done (negative: without limit) and tell those who expect them; False: none in time."""
    ops = _next(timeout_ns)
    for op in ops:
        arrived = _waiting.pop(op, None)
        if arrived is None:
            _told.add(op)
            continue
        try:
            arrived(op)
        except Exception:  # its future was cancelled or its event loop closed in the meantime: nobody waits any more
            _told.add(op)
    return bool(ops)


def wait(op: int, timeout_ns: int) -> bool:
    """Park until this operation is done; False if it isn't in time. Others are told nothing."""
    return _wait((op,), timeout_ns) >= 0


def take(op: int) -> bytes:
    """Return the reply of a finished operation. Nobody is told of it any more."""
    if op in _waiting:
        del _waiting[op]
    elif op in _told:
        _told.discard(op)
    return _take(op)


def reply_now(op: int) -> bytes:
    """Block the sandbox, all its coroutines included, until an operation is done; return its reply."""
    wait(op, -1)
    return take(op)


def discard(op: int) -> None:
    """Cancel an operation that nobody waits for any more; its reply is dropped, now or when it comes."""
    cancel(op)
    if wait(op, 0):
        take(op)
    else:
        _waiting[op] = take
