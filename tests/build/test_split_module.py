"""guest/split_module.py: what it makes of a module, and each module that it must refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "guest" / "split_module.py"

CUSTOM, TYPE, IMPORT, FUNCTION, MEMORY, GLOBAL, EXPORT, START, CODE, DATA = 0, 1, 2, 3, 5, 6, 7, 8, 10, 11
I32, I64, F64 = b"\x7f", b"\x7e", b"\x7c"


def number(n: int) -> bytes:
    """LEB128; good for unsigned numbers and for signed ones that aren't negative."""
    out = bytearray()
    while n > 0x3F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def vector(*items: bytes) -> bytes:
    return number(len(items)) + b"".join(items)


def name(text: str) -> bytes:
    return number(len(text)) + text.encode()


def i32(value: int) -> bytes:
    return b"\x41" + number(value) + b"\x0b"


def data(offset: int, content: bytes) -> bytes:
    return b"\0" + i32(offset) + number(len(content)) + content


def module(**changes: bytes | None) -> bytes:
    """A module as our linker makes them: one function, three pages, the stack pointer; with some sections
    replaced, or left out (None)."""
    sections: dict[str, bytes | None] = {
        "TYPE": vector(b"\x60\0\0"),
        "FUNCTION": vector(number(0)),
        "MEMORY": vector(b"\0" + number(3)),
        "GLOBAL": vector(I32 + b"\1" + i32(1024)),
        "EXPORT": vector(name("__stack_pointer") + b"\3\0"),
        "CODE": vector(b"\2\0\x0b"),
        "CUSTOM": name("name") + b"whatever",
        **changes,
    }
    out = b"\0asm\1\0\0\0"
    for key, body in sorted(sections.items(), key=lambda item: globals()[item[0]] or 100):
        if body is not None:
            out += bytes([globals()[key]]) + number(len(body)) + body
    return out


def split(tmp_path: Path, content: bytes) -> subprocess.CompletedProcess[str]:
    (tmp_path / "m.wasm").write_bytes(content)
    command = [sys.executable, str(TOOL), "m.wasm", "core.wasm", "memory.bin"]
    return subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)


def test_memory_holds_the_data_and_core_holds_the_code(tmp_path: Path) -> None:
    segments = vector(data(100_000, b"hello\0\0"), data(8, b"x"))
    constants = vector(I32 + b"\1" + i32(1024), I32 + b"\0" + i32(7), F64 + b"\0\x44" + b"\x0b" * 8 + b"\x0b")
    done = split(tmp_path, module(DATA=segments, GLOBAL=constants))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "memory.bin").read_bytes() == bytes(8) + b"x" + bytes(100_000 - 9) + b"hello"
    assert (tmp_path / "core.wasm").read_bytes() == module(GLOBAL=constants, CUSTOM=None)


def test_later_data_wins_over_earlier(tmp_path: Path) -> None:
    split(tmp_path, module(DATA=vector(data(0, b"abcd"), data(1, b"X\0"))))
    assert (tmp_path / "memory.bin").read_bytes() == b"aX\0d"


def test_a_module_without_data_gives_an_empty_memory(tmp_path: Path) -> None:
    assert split(tmp_path, module()).returncode == 0
    assert (tmp_path / "memory.bin").read_bytes() == b""


STACK_POINTER = I32 + b"\1" + i32(1024)
REFUSED = [
    (module(START=number(0)), "start function"),
    (module(IMPORT=vector(name("env") + name("memory") + b"\2\0\1")), "env.memory"),
    (module(IMPORT=vector(name("env") + name("g") + b"\3" + I32 + b"\0")), "env.g"),
    (module(GLOBAL=vector(STACK_POINTER, I32 + b"\1" + i32(0))), "global 1 is mutable"),
    (module(GLOBAL=vector(STACK_POINTER, I64 + b"\1\x42\0\x0b")), "global 1 is mutable"),
    (module(EXPORT=None), "__stack_pointer"),
    (module(DATA=vector(b"\1" + name("x"))), "passive"),
    (module(DATA=vector(b"\0\x23\0\x0b" + name("x"))), "not a constant"),
    (module(DATA=vector(data(3 * 65536 - 1, b"xy"))), "beyond"),
    (module(MEMORY=None), "memory of its own"),
    (b"#!/bin/sh\n", "not a core WebAssembly module"),
]


@pytest.mark.parametrize(("content", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_refuses_what_would_break_the_image_idea(tmp_path: Path, content: bytes, reason: str) -> None:
    refused = split(tmp_path, content)
    assert refused.returncode == 1
    assert reason in refused.stderr
    assert not (tmp_path / "core.wasm").exists()
