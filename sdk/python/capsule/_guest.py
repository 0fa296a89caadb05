"""The Python side of the guest: what the C shim calls. Only inside a sandbox.

boot() and load() run while an image is built. call() runs once in every sandbox, on memory that was copied from the
image, so it's written for few steps and few touched pages: what it needs is made beforehand.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
import json
import keyword
import linecache
import os
import random
import sys
import tempfile
import uuid
from types import ModuleType
from typing import Any

from . import _codec, _context, _failure, _guest_imports, _loop, _runtime
from ._host import HEADER_MAX, MESSAGE_MAX, PROJECT, host
from ._task import Task, registry

_host = host()
_reseed = _host.reseed
_flush_out = sys.stdout.flush
_flush_err = sys.stderr.flush
_environ = os.environ
_scan = _codec.scan
_encode = _codec.encode_plain
_join = "".join

_unseeded: list[random.Random] = []


# --- once, in the base image


def boot() -> None:
    """Get ready for images: refusals, event loop, uniqueness. After the preload."""
    _guest_imports.patch()
    _loop.prepare()
    _track_seeds()
    os.environ.clear()
    _warm_up()
    freeze()


_tracking: dict[int, random.Random] | None = {}


def _track_seeds() -> None:
    """Note generators that seed themselves while an image is built: each sandbox must seed them anew.

    One that was given a seed keeps it, as it would in a new process.
    """
    seed = random.Random.seed

    def tracked(self: random.Random, a: Any = None, version: int = 2) -> None:
        seed(self, a, version)
        if _tracking is not None and not isinstance(self, random.SystemRandom):
            if a is None:
                _tracking[id(self)] = self
            else:
                _tracking.pop(id(self), None)

    tracked.__name__, tracked.__qualname__, tracked.__doc__ = "seed", "Random.seed", seed.__doc__
    random.Random.seed = tracked  # type: ignore[method-assign]
    hidden: random.Random = random._inst
    random.seed = hidden.seed
    tracked(hidden)
    _unseeded[:] = [hidden]
    before = hidden.getstate()[1]
    _reseed(_unseeded)
    after = hidden.getstate()[1]
    if after[-1] != 624 or sum(a == b for a, b in zip(before, after, strict=True)) > 8:
        raise SystemError("random.Random isn't laid out as the guest expects")


async def _return_later(*args: Any) -> Any:
    await asyncio.sleep(0)
    return args


def _warm_up() -> None:
    """Run the call path until the interpreter has specialised it: that writes to its code, better here than later."""
    registry["def"] = Task(lambda *args: args, "def", {})
    registry["async"] = Task(_return_later, "async", {})
    for _ in range(20):
        for name in registry:
            head = json.dumps({"task": name, "attempt": 1, "key": "k", "outer": True, "tagged": False})
            for body in ("[[1],{}]", '[["a",[2.5,null,true]],{}]', "[[],{}]"):
                call(head, body)
                json.loads(body)
    registry.clear()
    _runtime.calling = False
    _context._header = None


# --- once, in an application's image


def load(text: str) -> bytes:
    """Import an application; return the header of the reply."""
    try:
        header = _scan(text, 0)[0]
        _import(header)
        tasks = [_describe(t) for t in registry.values()]
        reply = _codec.dumps_plain({"ok": True, "tasks": tasks}).encode("utf-8", "replace")
        if len(reply) > HEADER_MAX:
            raise ValueError(f"{len(tasks)} tasks with {len(reply)} bytes of options are too many for one program")
    except BaseException as e:
        return _failure.header(_failure.of_load(e))
    _settle()
    return reply


def _import(header: dict[str, Any]) -> None:
    entry: str = header["entry"]
    path: list[str] = header["path"]
    name: str = header["module"]
    stdlib = [p for p in sys.path if p not in path]
    sys.path[:] = path[:1] + stdlib + path[1:]
    sys.argv = [entry]
    os.chdir(header.get("cwd", PROJECT))
    _let_shadow(path[0] if path else PROJECT, entry)
    if not name.isidentifier() or keyword.iskeyword(name) or name in sys.modules or name in sys.stdlib_module_names:
        name = "__capsule_main__"
    spec = importlib.util.spec_from_file_location(name, entry)
    if spec is None or spec.loader is None:
        raise ImportError(f"{entry} isn't a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _let_shadow(folder: str, entry: str) -> None:
    """A user's own statistics.py comes before Python's, although Python's is loaded already."""
    try:
        names = {n.removesuffix(".py") for n in os.listdir(folder) if f"{folder}/{n}" != entry}
    except OSError:
        return
    names &= sys.stdlib_module_names
    for loaded in list(sys.modules):
        top = loaded.partition(".")[0]
        candidates = (f"{folder}/{top}.py", f"{folder}/{top}/__init__.py")
        if top in names and _comes_from_path(top) and any(map(os.path.exists, candidates)):
            del sys.modules[loaded]


def _comes_from_path(name: str) -> bool:
    """Whether Python looks for this module on sys.path; not the ones that are compiled in, nor what starts it."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return name != "encodings" and getattr(spec, "origin", None) not in ("built-in", "frozen", None)


def _describe(one: Task[..., Any]) -> dict[str, Any]:
    return {
        "name": one.name,
        "qualname": one.__qualname__,
        "file": one.file,
        "line": one.line,
        "async": one.is_async,
        "options": one.options,
    }


def _settle() -> None:
    """Bring the interpreter into the state that every sandbox starts from."""
    global _tracking
    if _tracking is not None:
        _unseeded[:] = _tracking.values()
        for generator in _unseeded:
            generator.gauss_next = None  # type: ignore[attr-defined]
        _tracking = None
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    state: Any = uuid
    state._node = state._last_timestamp = None
    _keep_sources()
    os.environ.clear()
    _flush()
    freeze()


def freeze() -> None:
    """Make everything that exists part of the image: the collector and reference counts leave it alone."""
    gc.collect()
    _host.immortalise(gc.get_objects())
    gc.freeze()


def _keep_sources() -> None:
    """Tracebacks show the lines that ran, even if the file is edited while the run goes on."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
        if isinstance(file, str) and file.startswith(PROJECT + "/"):
            lines = linecache.getlines(file)
            linecache.cache[file] = (sum(map(len, lines)), None, lines, file)


# --- in every sandbox


def call(head: str, body: str) -> str | tuple[bytes, bytes]:
    """Run a task. Returns the result as JSON, for the common reply; else (header, body) of the reply."""
    try:
        header = _scan(head, 0)[0]
        task = registry.get(header["task"])
        if task is None:
            return _reply(_failure.plain("not_found", f"there is no task {header['task']!r}"))
        _context._header = header
        _runtime.calling = True
        _reseed(_unseeded)
        if "env" in header:
            _environ.update(header["env"])
        try:
            if header.get("tagged"):
                args, kwargs = _codec.loads(body, tagged=True)
            else:
                value, end = _scan(body, 0)
                args, kwargs = value if end == len(body) else _codec.loads(body, tagged=False)
        except Exception as e:
            return _reply(_failure.plain("bad_input", f"the arguments can't be read: {e}"))
        function = task.__wrapped__
        try:
            result = function(*args, **kwargs)
            if task.is_async:
                result = _loop.run(result)
        except BaseException as e:
            return _raised(e, task, args, kwargs)
        finally:
            _flush()
        try:
            return _join(_encode(result, 0))
        except BaseException:
            _codec.forget()
        return _walked(result, header.get("outer", False))
    except BaseException as e:  # nothing of ours may take the sandbox down
        return _reply(_failure.of_task(e))


def _walked(result: Any, outer: bool) -> tuple[bytes, bytes]:
    """The reply for a result that isn't plain JSON."""
    try:
        body, tagged = _codec.dumps(result, "result", outer=outer)
    except _codec.CodecError as e:
        return _reply(_failure.plain("bad_output", str(e)))
    if len(body) > MESSAGE_MAX - HEADER_MAX:
        return too_long(len(body))
    return (b'{"ok":true,"tagged":true}' if tagged else b'{"ok":true,"tagged":false}'), body


def too_long(size: int) -> tuple[bytes, bytes]:
    """The reply instead of a result that is too long for a message."""
    limit = (MESSAGE_MAX - HEADER_MAX) // 1_000_000
    text = f"the result is {size / 1e6:.0f} MB of JSON; a message holds {limit} MB. Write it to a file instead"
    return _reply(_failure.plain("bad_output", text))


def not_unicode() -> tuple[bytes, bytes]:
    """The reply instead of a result whose text has lone surrogates; the shim found out while encoding it."""
    return _reply(_failure.plain("bad_output", "result: text with a lone surrogate isn't Unicode; send bytes"))


def _reply(error: dict[str, Any]) -> tuple[bytes, bytes]:
    return _failure.header(error), b""


def _raised(e: BaseException, task: Task[..., Any], args: Any, kwargs: Any) -> tuple[bytes, bytes]:
    if type(e) is TypeError and e.__traceback__ is not None and e.__traceback__.tb_next is None:
        # raised by the call itself: do the arguments fit the function?
        try:
            inspect.signature(task.__wrapped__).bind(*args, **kwargs)
        except TypeError as mismatch:
            return _reply(_failure.plain("bad_input", f"{task.name}(): {mismatch}"))
        except ValueError:
            pass
    return _reply(_failure.of_task(e))


def _flush() -> None:
    try:
        _flush_out()
        _flush_err()
    except Exception:  # closed by the task: nothing to flush
        pass
