"""The exceptions that task code meets and raises."""

from __future__ import annotations

from typing import Any

NEVER_RETRIED = frozenset(
    {"out_of_fuel", "policy", "not_found", "bad_input", "bad_output", "cancelled", "interrupted", "diverged"}
)
"""Failure types after which no further attempt is made: it would end the same way, or isn't for Capsule to decide."""


class NonRetryable(Exception):
    """Raise it (or a subclass) in a task to fail at once: no further attempt is made, whatever `max_retries` says."""


class SignalTimeout(NonRetryable, TimeoutError):
    """No signal came in time: what `capsule.wait_signal(name, timeout=…)` raises.

    A task that lets it through isn't tried again: it would only wait for as long once more.

    Attributes:
        name: of the signal that was waited for.
    """

    def __init__(self, name: str, message: str | None = None) -> None:
        super().__init__(message if message is not None else f"no signal {name!r} came in time")
        self.name = name


class TaskError(Exception):
    """A task that was called from this one failed, after all its attempts.

    Attributes:
        type: what ended it: "task_error" (its code raised), "timeout", "out_of_fuel", "out_of_memory", "trap",
            "cancelled", "policy", "not_found", "bad_input", "bad_output", "interrupted", "diverged" or "host_error";
            docs/reference/errors.md describes each.
        message: the failure in words; for "task_error" the text of the exception.
        class_name: name of the exception's class for "task_error", else None.
        traceback: the task's own traceback as text, or None.
        execution: run id, duration in ms, retries, fuel and memory used of the failed task; empty if it never ran.
        task_name: the task that failed, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        type: str = "task_error",
        class_name: str | None = None,
        traceback: str | None = None,
        execution: dict[str, Any] | None = None,
        task_name: str | None = None,
        retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.message = message
        self.class_name = class_name
        self.traceback = traceback
        self.execution: dict[str, Any] = execution if execution is not None else {}
        self.task_name = task_name
        self._retry = type not in NEVER_RETRIED if retry is None else retry and type not in NEVER_RETRIED

    def __str__(self) -> str:
        where = f"task '{self.task_name}' failed: " if self.task_name else ""
        return f"{where}{self.class_name or self.type}: {self.message}"
