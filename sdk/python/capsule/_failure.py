"""Exceptions as errors of the guest protocol. Only inside a sandbox.

Nothing here trusts the exception: its text may be huge or raise itself.
"""

from __future__ import annotations

import os
import traceback
from typing import Any

from . import _codec
from ._errors import NonRetryable, TaskError
from ._host import HEADER_MAX, PROJECT

MESSAGE_TEXT_MAX = 64 * 1024
TRACEBACK_TEXT_MAX = 256 * 1024

NO_MEMORY = "the task needs more memory than its ram option allows"

_OWN_TYPES = frozenset({"policy"})
"""What an exception's `_capsule_type` may make of the failure that it causes: capsule.http and wait_signal set it."""

_LIBRARY = os.path.dirname(traceback.__file__)
_OURS = os.path.dirname(__file__) + "/"
_DRIVERS = _LIBRARY + "/asyncio/"


def plain(kind: str, message: str) -> dict[str, Any]:
    """An error that no exception of the user's stands behind; never retried."""
    return {"type": kind, "message": _clip(message, MESSAGE_TEXT_MAX), "retry": False}


def of_task(e: BaseException) -> dict[str, Any]:
    """The error for an exception that left a task."""
    own_type = _own_type(e)
    if isinstance(e, MemoryError):
        error: dict[str, Any] = {"type": "out_of_memory", "message": _text(e) or NO_MEMORY}
    elif own_type is not None:
        error = {"type": own_type, "message": _text(e, bare=True)}
    else:
        error = {"type": "task_error", "class": _class_name(e), "message": _text(e)}
    error["traceback"] = _traceback(e)
    final = isinstance(e, NonRetryable) or (isinstance(e, TaskError) and not e._retry)
    error["retry"] = not final and own_type is None
    return error


def _own_type(e: BaseException) -> str | None:
    """The `_capsule_type` of an exception; of a group (asyncio.TaskGroup's), that of one of its members."""
    try:
        members = getattr(e, "exceptions", None)
        if isinstance(members, tuple):
            return next(filter(None, map(_own_type, members)), None)
        kind = getattr(e, "_capsule_type", None)
        return kind if isinstance(kind, str) and kind in _OWN_TYPES else None
    except BaseException:
        return None


def of_load(e: BaseException) -> dict[str, Any]:
    """The error for an exception that ended an import."""
    return {
        "type": "import_error",
        "class": _class_name(e),
        "message": _text(e),
        "traceback": _traceback(e),
        "retry": False,
    }


def header(error: dict[str, Any]) -> bytes:
    """The header of a reply with this error, within its limit."""
    while True:
        data = _codec.dumps_plain({"ok": False, "error": error}).encode("utf-8", "replace")
        if len(data) <= HEADER_MAX:
            return data
        for key in ("traceback", "message", "class"):
            if key in error:
                error[key] = _clip(error[key], len(error[key].encode("utf-8", "replace")) // 2)


def _class_name(e: BaseException) -> str:
    return _clip(type(e).__name__, 1000)


def _text(e: BaseException, *, bare: bool = False) -> str:
    """What it says; bare: of a TaskError without its type, which is said elsewhere."""
    try:
        return _clip(str(e.message if bare and isinstance(e, TaskError) else e), MESSAGE_TEXT_MAX)
    except BaseException as broken:
        return f"(its __str__ raised {_class_name(broken)})"


def _clip(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8: the beginning and the end of the text."""
    if len(text) * 4 <= limit:
        return text
    if len(text) <= limit:
        data = text.encode("utf-8", "replace")
        if len(data) <= limit:
            return text
    left_out = f"\n… {len(text)} characters, shortened …\n"
    room = max(limit - len(left_out) - 4, 0)
    end = room // 4 + 1
    head = text[:room].encode("utf-8", "replace")[: room - end].decode("utf-8", "ignore")
    tail = text[-end:].encode("utf-8", "replace")[-end:].decode("utf-8", "ignore")
    return head + left_out + tail


def _traceback(e: BaseException) -> str:
    """The traceback as Python prints it, without our own frames, files relative to the project."""
    try:
        whole = traceback.TracebackException(type(e), e, e.__traceback__, lookup_lines=False, compact=True)
        _trim(whole, set())
        text = "".join(_clip(part, TRACEBACK_TEXT_MAX) for part in whole.format())
        return _clip(text.replace(f'File "{PROJECT}/', 'File "'), TRACEBACK_TEXT_MAX)
    except BaseException as broken:
        return f"(no traceback: {_class_name(broken)} while writing it)\n"


def _trim(part: traceback.TracebackException | None, seen: set[int]) -> None:
    pending = [part]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = _users_frames(one.stack)
        pending += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]


def _users_frames(stack: traceback.StackSummary) -> traceback.StackSummary:
    kept = [f for f in stack if not f.filename.startswith((_OURS, "<frozen importlib"))]
    while kept and kept[0].filename.startswith(_DRIVERS):
        del kept[0]
    return traceback.StackSummary.from_list(kept)
