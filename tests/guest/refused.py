"""What can't work in a sandbox: each attempt with the exception that it ends in."""

import contextlib
import importlib

from capsule import task

IMPORTS = [
    "ssl",
    "ctypes",
    "multiprocessing",
    "multiprocessing.pool",
    "socket",
    "subprocess",
    "fcntl",
    "mmap",
    "pwd",
    "grp",
    "resource",
    "termios",
    "curses",
    "readline",
    "tkinter",
    "sqlite3",
    "msvcrt",
    "_posixsubprocess",
    "pty",
    "syslog",
]

USES = {
    "thread": "import threading; threading.Thread(target=print).start()",
    "timer": "import threading; threading.Timer(1, print).start()",
    "_thread": "import _thread; _thread.start_new_thread(print, ())",
    "thread pool": "from concurrent.futures import ThreadPoolExecutor as E; E().submit(print)",
    "process pool": "from concurrent.futures import ProcessPoolExecutor as E; E()",
    "subprocess": "import asyncio.base_events as m; m.subprocess.run(['ls'])",
    "asyncio subprocess": "import asyncio; asyncio.run(asyncio.create_subprocess_exec('ls'))",
    "system": "import os; os.system('ls')",
    "popen": "import os; os.popen('ls')",
    "fork": "import os; os.fork()",
    "exec": "import os; os.execv('/bin/ls', ['ls'])",
    "socket": "import asyncio.base_events as m; m.socket.socket()",
    "connect": "import asyncio.base_events as m; m.socket.create_connection(('127.0.0.1', 80))",
    "resolve": "import asyncio.base_events as m; m.socket.getaddrinfo('localhost', 80)",
    "asyncio connect": "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', 80))",
    "ftplib": "import ftplib; ftplib.FTP('127.0.0.1')",
    "urllib": "import urllib.request; urllib.request.urlopen('ftp://127.0.0.1/x')",
}


def attempt(code):
    try:
        exec(compile(code, __file__, "exec"), {"__name__": "attempt"})
    except Exception as e:
        return [type(e).__name__, str(e)]
    return None


@task
def main():
    tried = {f"import {name}": attempt(f"import {name}") for name in IMPORTS}
    for name in IMPORTS:
        with contextlib.suppress(ImportError):
            importlib.import_module("no." + name)
    return tried | {name: attempt(code) for name, code in USES.items()}


@task
def works():
    """The same modules, where packages need them only to be there."""
    import asyncio
    import http.client
    import http.server
    import logging.handlers
    import socketserver
    import urllib.request
    import xmlrpc.client

    modules = [asyncio, http.client, http.server, logging.handlers, socketserver, urllib.request, xmlrpc.client]
    return [m.__name__ for m in modules]
