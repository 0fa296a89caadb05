"""Holds the C sources to two rules of the design: includes between rooms point one way, and each third-party
header is included by one .c file only (so that only that file must change when the library does)."""

from __future__ import annotations

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
}

# Third-party headers by library: how many .c files may include them, and in which room (None: any).
LIBRARIES = {
    "wasmtime": (("wasmtime.h", "wasm.h", "wasmtime/"), 2, "sandbox"),
    "capsule_toml": (("capsule_toml.h",), 1, "app"),
    "yyjson": (("yyjson.h",), 1, "base"),
    "libsodium": (("sodium.h", "sodium/"), 1, None),
    "curl": (("curl/",), 2, "net"),
    "sqlite": (("sqlite3.h",), 1, "journal"),
    "nats": (("nats.h", "nats/"), 1, None),
}


def room_of(path: Path) -> str:
    return path.parts[1] if path.parts[0] == "src" and len(path.parts) > 2 else path.parts[0]


def resolve(source: Path, header: str) -> Path | None:
    """The file of ours that an include means, or None for a header of the system or a library."""
    for base in (source.parent, Path("src"), Path("include"), Path("guest"), Path()):
        candidate = base / header
        if (ROOT / candidate).is_file():
            return Path(*[part for part in candidate.parts if part != "."])
    return None


def library_of(header: str) -> str | None:
    for name, (patterns, _, _) in LIBRARIES.items():
        if any(header == pattern or (pattern.endswith("/") and header.startswith(pattern)) for pattern in patterns):
            return name
    return None


def check_arrow(source: Path, number: int, target: Path) -> str | None:
    room, other = room_of(source), room_of(target)
    if room == other or other in ALLOWED.get(room, {other}):
        return None
    allowed = ", ".join(sorted(ALLOWED[room])) or "nothing"
    return f"{source}:{number}: {room} includes {target}; from other rooms it may include: {allowed}"


def main() -> int:
    problems: list[str] = []
    users: dict[str, list[Path]] = defaultdict(list)
    for source in c_files("src", "cli", "include", "examples"):
        for number, header in includes(source):
            target = resolve(source, header)
            if target is not None:
                if problem := check_arrow(source, number, target):
                    problems.append(problem)
            elif (name := library_of(header)) and source not in users[name]:
                users[name].append(source)
                if source.suffix == ".h":
                    problems.append(f"{source}:{number}: a header includes {header}; only one .c file may")
    for name, files in users.items():
        _, limit, room = LIBRARIES[name]
        if len(files) > limit:
            listed = ", ".join(str(file) for file in files)
            problems.append(f"{name} is included by {len(files)} files (at most {limit}): {listed}")
        problems += [f"{file}: {name} belongs to src/{room}" for file in files if room and room_of(file) != room]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
