"""Holds the C sources to two rules of the design: includes between rooms point one way, and each third-party
header is included by one .c file only (so that only that file must change when the library does). A guest's shim is
all about its engine: there the headers of that may be everywhere, but in no other guest."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

from c_text import ROOT, c_files, includes

# What each room may include from other rooms (from itself, always).
ALLOWED = {
    "cli": {"base", "include"},
    "run": {"app", "sandbox", "journal", "net", "base", "guest", "include"},
    "app": {"base", "guest"},
    "sandbox": {"base", "guest"},
    "journal": {"base"},
    "net": {"base", "guest"},
    "base": set(),
    "include": set(),
    "examples": {"include"},
    "guest": set(),
    "guest/common": {"guest"},
    "guest/js": {"guest/common", "guest"},
    "guest/python": {"guest/common", "guest"},
}

# Where "" includes are looked for besides the file's own folder: -I of CMakeLists.txt and of the guests' recipes.
FOLDERS = [Path(name) for name in ("src", "include", "guest", "guest/common", "")]

# Third-party headers by library: how many .c files may include them, and in which room (None: any).
LIBRARIES = {
    "wasmtime": (("wasmtime.h", "wasm.h", "wasmtime/"), 2, "src/sandbox"),
    "capsule_toml": (("capsule_toml.h",), 1, "src/app"),
    "yyjson": (("yyjson.h",), 1, "src/base"),
    "libsodium": (("sodium.h", "sodium/"), 1, None),
    "curl": (("curl/",), 2, "src/net"),
    "sqlite": (("sqlite3.h",), 1, "src/journal"),
    "nats": (("nats.h", "nats/"), 1, None),
    "HACL*": (("Hacl_",), 1, "guest/js"),
}
ENGINES = {
    "QuickJS": (("quickjs.h",), "guest/js"),
    "CPython": (("Python.h",), "guest/python"),
}


def room_of(path: Path) -> str:
    if path.parts[0] == "guest":
        return "/".join(path.parts[:2]) if len(path.parts) > 2 else "guest"
    return path.parts[1] if path.parts[0] == "src" and len(path.parts) > 2 else path.parts[0]


def place_of(path: Path) -> str:
    room = room_of(path)
    return f"src/{room}" if path.parts[0] == "src" else room


def resolve(source: Path, header: str) -> Path | None:
    """The file of ours that an include means, or None for a header of the system or a library."""
    for base in (source.parent, *FOLDERS):
        candidate = base / header
        if (ROOT / candidate).is_file():
            return Path(os.path.normpath(candidate))
    return None


def is_of(header: str, patterns: tuple[str, ...]) -> bool:
    return any(header == pattern or (pattern[-1] in "/_" and header.startswith(pattern)) for pattern in patterns)


def check_arrow(source: Path, number: int, target: Path) -> str | None:
    room, other = room_of(source), room_of(target)
    if room == other or other in ALLOWED.get(room, {other}):
        return None
    allowed = ", ".join(sorted(ALLOWED[room])) or "nothing"
    return f"{source}:{number}: {room} includes {target}; from other rooms it may include: {allowed}"


def check_engine(source: Path, number: int, header: str) -> str | None:
    for name, (patterns, room) in ENGINES.items():
        if is_of(header, patterns) and room_of(source) != room:
            return f"{source}:{number}: {name} belongs to {room}"
    return None


def check_users(name: str, files: list[Path]) -> list[str]:
    """Those that include a library are few enough, and where they should be."""
    _, limit, room = LIBRARIES[name]
    problems = [f"{file}: {name} belongs to {room}" for file in files if room and place_of(file) != room]
    problems += [f"{file}: a header includes {name}; only a .c file may" for file in files if file.suffix == ".h"]
    if len(files) > limit:
        problems.append(f"{name} is included by {len(files)} files (at most {limit}): {', '.join(map(str, files))}")
    return problems


def main() -> int:
    problems: list[str | None] = []
    users: dict[str, list[Path]] = defaultdict(list)
    for source in c_files("src", "cli", "include", "examples", "guest"):
        for number, header in includes(source):
            target = resolve(source, header)
            if target is not None:
                problems.append(check_arrow(source, number, target))
                continue
            problems.append(check_engine(source, number, header))
            for name, (patterns, _, _) in LIBRARIES.items():
                if is_of(header, patterns) and source not in users[name]:
                    users[name].append(source)
    for name, files in users.items():
        problems += check_users(name, files)
    found = [problem for problem in problems if problem]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
