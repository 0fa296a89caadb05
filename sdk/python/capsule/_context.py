"""What a running task may know about itself."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from ._host import INSIDE, host


@dataclass(frozen=True)
class Context:
    """The task that is running.

    Attributes:
        run_id: the run that this task belongs to; the same for all tasks of a run.
        task_id: this task within the run.
        task_name: its name, as registered.
        attempt: 1 for the first attempt, then 2, 3, …
        idempotency_key: stays the same over all attempts of this task and over a resumed run. Hand it to services
            that accept one, and a repeated attempt has its effect once.
        deadline: when this attempt is stopped (UTC), or None.
        remaining_fuel: fuel that this attempt may still use, now; None outside a sandbox.
    """

    run_id: str
    task_id: str
    task_name: str
    attempt: int
    idempotency_key: str
    deadline: datetime.datetime | None

    @property
    def remaining_fuel(self) -> int | None:
        return host().fuel_left() if INSIDE else None


_header: dict[str, Any] | None = None
_current: Context | None = None


def enter(header: dict[str, Any]) -> None:
    """Keep the header of the call that begins; a Context is only made when somebody asks."""
    global _header, _current
    _header = header
    _current = None


def context() -> Context:
    """Return the Context of the running task.

    Outside a sandbox, and while a module is imported, there is none to report: the result then has run_id, task_id
    and task_name "local", attempt 1, no deadline, and an idempotency key that is new on every call.
    """
    global _current
    if _header is None:
        return Context("local", "local", "local", 1, f"local-{uuid.uuid4()}", None)
    if _current is None:
        ns = _header.get("deadline_ns")
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        deadline = None if ns is None else epoch + datetime.timedelta(microseconds=ns // 1000)
        _current = Context(
            _header.get("run_id", ""),
            str(_header.get("task_id", "")),
            _header["task"],
            _header.get("attempt", 1),
            _header.get("key", ""),
            deadline,
        )
    return _current
