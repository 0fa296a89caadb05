"""Finds calls that the conventions rule out, and says what to use instead."""

from __future__ import annotations

import re
import sys

from c_text import c_files, code_lines

INSTEAD = {
    "strcpy": "src/base/buffer.h",
    "strcat": "src/base/buffer.h",
    "strncpy": "memcpy with a checked length",
    "strncat": "src/base/buffer.h",
    "sprintf": "snprintf or src/base/buffer.h",
    "vsprintf": "vsnprintf or src/base/buffer.h",
    "gets": "a bounded read",
    "strtok": "strchr or strcspn",
    "alloca": "malloc, or a fixed array",
    "atoi": "strtol with its checks",
    "setjmp": "an error code",
    "longjmp": "an error code",
    "system": "posix_spawn",
    "popen": "posix_spawn",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
    "goto": "a cleanup attribute, or a function",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(name for name in INSTEAD if name != "goto") + r")\s*\(|\b(goto)\b")


def main() -> int:
    found = 0
    for path in c_files("src", "cli", "include", "guest", "examples", "bench"):
        for number, line in enumerate(code_lines(path), 1):
            for match in CALL.finditer(line):
                name = match[1] or match[2]
                print(f"{path}:{number}: {name} is not used here; use {INSTEAD[name]}")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
