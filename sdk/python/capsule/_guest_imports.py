"""What can't work in a sandbox says so, and what to use instead. Only inside a sandbox.

Three refusals: an import that is hopeless for everybody (ssl, ctypes, …); an import that only user code is refused
(socket, subprocess: the standard library and packages import them without need, and a *use* fails with OSError); a
missing module that exists as a C extension or belongs to a part of the standard library that isn't here.
All import errors are ModuleNotFoundError, so that `try: import x except ImportError` in packages works as ever.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from ._host import PROJECT

SOCKETS = "sockets can't work in a sandbox; for HTTP use capsule.http"
PROCESSES = "processes can't be started in a sandbox; put the work into a task and call it"
THREADS = "threads can't be started in a sandbox; put the work into tasks, several at once by asyncio.gather"

_TLS = "there is no TLS in a sandbox, the host does it; for HTTPS use capsule.http"
_NATIVE = "native libraries can't be loaded in a sandbox; use a pure-Python package"
_TERMINAL = "there is no terminal in a sandbox"
_SYSTEM = "there are no users, processes or devices of an operating system in a sandbox"
_FILES = "memory maps and file locks can't work in a sandbox; read the file instead"

_REFUSED = {
    "ssl": ("_ssl", _TLS),
    "_ssl": ("_ssl", _TLS),
    "ctypes": ("_ctypes", _NATIVE),
    "_ctypes": ("_ctypes", _NATIVE),
    "multiprocessing": ("_multiprocessing", PROCESSES),
    "_multiprocessing": ("_multiprocessing", PROCESSES),
    "_posixsubprocess": ("_posixsubprocess", PROCESSES),
    "_posixshmem": ("_posixshmem", PROCESSES),
    "pty": ("termios", _TERMINAL),
    "tty": ("termios", _TERMINAL),
    "termios": ("termios", _TERMINAL),
    "curses": ("_curses", _TERMINAL),
    "_curses": ("_curses", _TERMINAL),
    "readline": ("readline", _TERMINAL),
    "tkinter": ("_tkinter", _TERMINAL),
    "_tkinter": ("_tkinter", _TERMINAL),
    "turtle": ("_tkinter", _TERMINAL),
    "fcntl": ("fcntl", _FILES),
    "mmap": ("mmap", _FILES),
    "sqlite3": ("_sqlite3", "this Python is built without SQLite; keep data in files or JSON"),
    "grp": ("grp", _SYSTEM),
    "pwd": ("pwd", _SYSTEM),
    "resource": ("resource", _SYSTEM),
    "syslog": ("syslog", _SYSTEM),
}
"""Module: the built-in that it needs, and why it isn't there. An interpreter that has the built-in has the module."""

_NOT_FOR_USERS = {"socket": SOCKETS, "_socket": SOCKETS, "subprocess": PROCESSES}


class _Loaded:
    """Loader that hands out a module which was loaded before."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed already."""


class First:
    """Finder in front of all others: refusals, and modules that are handed out to some only."""

    def __init__(self) -> None:
        self.kept: dict[str, ModuleType] = {}

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for what is refused; None for everything else."""
        refused = _REFUSED.get(name)
        if refused is not None and refused[0] not in sys.builtin_module_names:
            raise ModuleNotFoundError(f"import of {name!r}: {refused[1]}", name=name)
        why = _NOT_FOR_USERS.get(name)
        if why is None:
            return None
        if _asked_by_user():
            raise ModuleNotFoundError(f"import of {name!r}: {why}", name=name)
        module = self.kept.get(name)
        return None if module is None else ModuleSpec(name, _Loaded(module), origin=module.__file__)  # type: ignore[arg-type]

    def keep(self, names: Iterable[str]) -> None:
        """Take modules out of sys.modules, so that the next import of one asks here."""
        for name in names:
            module = sys.modules.pop(name, None)
            if module is not None:
                self.kept[name] = module


def _asked_by_user() -> bool:
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and frame.f_code.co_filename.startswith(PROJECT + "/")


class Last:
    """Finder behind all others: says why a module is missing, if there's more to say than that."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ModuleNotFoundError for C extensions and for absent parts of the standard library."""
        tail = name.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            for entry in _names(folder):
                if entry.startswith(tail + ".") and entry.endswith((".so", ".pyd")):
                    # no name=: `from package import extension` would take it for a plain missing attribute
                    raise ModuleNotFoundError(
                        f"{name} is a C extension ({entry}), which can't run in a sandbox; "
                        "use a pure-Python package for it"
                    )
        if name in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name!r} is a part of Python that a sandbox doesn't have", name=name)


def _names(folder: str) -> Iterable[str]:
    finder = sys.path_importer_cache.get(folder)
    cached = getattr(finder, "_path_cache", None)
    if cached:
        names: Iterable[str] = cached
        return names
    try:
        return os.listdir(folder)
    except OSError:
        return ()


def _refuse_with(kind: Callable[[str], Exception], message: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise kind(message)

    return refuse


def _not_supported(message: str) -> OSError:
    return OSError(errno.ENOTSUP, message)


first = First()


def install() -> None:
    """Put the finders in place. Before anything is preloaded."""
    sys.meta_path.insert(0, first)
    sys.meta_path.append(Last())


def patch() -> None:
    """Make the use of sockets, processes and threads fail clearly. After the preload."""
    _patch_threads()
    _patch_os()
    socket = sys.modules.get("socket")
    if socket is not None:
        _patch_socket(socket)
    subprocess: Any = sys.modules.get("subprocess")
    if subprocess is not None:
        subprocess.Popen.__init__ = _refuse_with(_not_supported, PROCESSES)
    first.keep(_NOT_FOR_USERS)


def _patch_threads() -> None:
    import _thread
    import threading

    refuse = _refuse_with(RuntimeError, THREADS)
    thread: Any = _thread
    thread.start_new_thread = thread.start_new = thread.start_joinable_thread = refuse
    for name in ("_start_joinable_thread", "_start_new_thread"):  # the second until Python 3.12
        setattr(threading, name, refuse)


def _patch_socket(socket: Any) -> None:
    refuse = _refuse_with(_not_supported, SOCKETS)
    socket.socket.__init__ = refuse
    for name in ("create_connection", "create_server", "getaddrinfo", "gethostbyname", "socketpair", "fromfd"):
        setattr(socket, name, refuse)
    if not hasattr(socket, "gethostname"):
        socket.gethostname = lambda: "localhost"


def _patch_os() -> None:
    module: Any = os
    refuse = _refuse_with(_not_supported, PROCESSES)
    module.system = module.popen = refuse
    missing = ("fork", "forkpty", "exec", "spawn", "posix_spawn", "kill", "wait", "pipe")

    def absent(name: str) -> NoReturn:
        # an AttributeError, so that hasattr(os, "fork") stays what packages expect
        why = f"; {PROCESSES}" if name.startswith(missing) else ""
        raise AttributeError(f"module 'os' has no attribute {name!r}{why}", name=name, obj=os)

    module.__getattr__ = absent
