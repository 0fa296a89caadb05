"""Capsule: run functions as tasks, each in a WebAssembly sandbox of its own.

    from capsule import task

    @task(name="main", compute="LOW", ram="64MB")
    def main() -> str:
        return "Hello from Capsule!"

`capsule run hello.py` runs it. The same package is what a task file imports inside a sandbox and outside of it.
"""

from ._context import Context, context
from ._errors import NonRetryable, SignalTimeout, TaskError
from ._handle import Handle
from ._results import Results
from ._task import Task, task
from ._waiting import asleep, await_signal, sleep, wait_signal

__all__ = [
    "Context",
    "Handle",
    "NonRetryable",
    "Results",
    "SignalTimeout",
    "Task",
    "TaskError",
    "asleep",
    "await_signal",
    "context",
    "sleep",
    "task",
    "wait_signal",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # tracebacks and help() show where users import it from
del _name
