"""Splits a linked guest into code and memory.

usage: split_module.py LINKED.wasm CORE.wasm MEMORY.bin

A sandbox maps its linear memory from an image file, so the module that runs must bring none: CORE is LINKED
without data and custom sections, MEMORY is what the data segments put into memory, from address 0 to the last
byte that isn't zero. Core plus MEMORY behaves like LINKED.

That a memory image is the whole state of a guest is checked here, because nothing later would notice: no
start function, no imported memory or global, no mutable global but the stack pointer (which is back at its
base whenever no guest function is running), no segment that is copied in at run time.
"""

from __future__ import annotations

import sys
from pathlib import Path

CUSTOM, IMPORT, MEMORY, GLOBAL, EXPORT, START, DATA, DATA_COUNT = 0, 2, 5, 6, 7, 8, 11, 12
KIND_FUNCTION, KIND_TABLE, KIND_MEMORY, KIND_GLOBAL = 0, 1, 2, 3
I32 = 0x7F
OP_I32_CONST, OP_END = 0x41, 0x0B
PAGE = 65536


class SplitError(Exception):
    """The module can't be split; the message says why."""


class Reader:
    """Reads a module's binary encoding from a position on."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self) -> int:
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return result

    def signed(self) -> int:
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return result - (1 << shift) if byte & 0x40 else result

    def take(self, n: int) -> bytes:
        self.at += n
        return self.data[self.at - n : self.at]

    def name(self) -> str:
        return self.take(self.unsigned()).decode()

    def limits(self) -> int:
        """Skips limits and returns the minimum."""
        flags = self.unsigned()
        minimum = self.unsigned()
        if flags & 1:
            self.unsigned()
        return minimum

    def constant(self, what: str) -> int:
        """Reads a constant i32 expression."""
        if self.byte() != OP_I32_CONST:
            raise SplitError(f"{what} is not a constant number")
        value = self.signed()
        if self.byte() != OP_END:
            raise SplitError(f"{what} is not a constant number")
        return value & 0xFFFFFFFF


def sections(module: bytes) -> list[tuple[int, bytes, bytes]]:
    """(number, body, whole encoding) of every section."""
    if module[:8] != b"\0asm\1\0\0\0":
        raise SplitError("this is not a core WebAssembly module")
    reader, found = Reader(module, 8), []
    while reader.at < len(module):
        start, number = reader.at, reader.byte()
        body = reader.take(reader.unsigned())
        found.append((number, body, module[start : reader.at]))
    return found


def check_imports(body: bytes) -> None:
    reader = Reader(body)
    for _ in range(reader.unsigned()):
        module, name, kind = reader.name(), reader.name(), reader.byte()
        if kind != KIND_FUNCTION:
            raise SplitError(f"it imports something other than a function: {module}.{name}")
        reader.unsigned()


def exports(body: bytes) -> dict[str, tuple[int, int]]:
    reader = Reader(body)
    return {reader.name(): (reader.byte(), reader.unsigned()) for _ in range(reader.unsigned())}


def mutable_globals(body: bytes) -> list[int]:
    reader, found = Reader(body), []
    for index in range(reader.unsigned()):
        kind, mutable = reader.byte(), reader.byte()
        if mutable:
            if kind != I32:
                raise SplitError(f"global {index} is mutable")
            reader.constant(f"the initial value of global {index}")
            found.append(index)
        else:
            # Floats are the only constants whose bytes may contain the end opcode.
            opcode = reader.byte()
            fixed = {0x43: 4, 0x44: 8}.get(opcode)
            if fixed:
                reader.take(fixed)
            else:
                reader.signed()
            if reader.byte() != OP_END:
                raise SplitError(f"the initial value of global {index} is not a constant")
    return found


def memory_contents(body: bytes, size: int) -> bytes:
    reader, memory = Reader(body), bytearray()
    for index in range(reader.unsigned()):
        if reader.unsigned() != 0:
            raise SplitError(f"data segment {index} is passive: it would be copied in at run time")
        offset = reader.constant(f"the offset of data segment {index}")
        data = reader.take(reader.unsigned())
        end = offset + len(data)
        if end > size:
            raise SplitError(f"data segment {index} ends beyond the memory's {size} bytes")
        if end > len(memory):
            memory.extend(bytes(end - len(memory)))
        memory[offset:end] = data
    return bytes(memory.rstrip(b"\0"))


def check_state(parts: dict[int, bytes]) -> None:
    """Raises SplitError if anything but linear memory and the stack pointer could hold state."""
    check_imports(parts.get(IMPORT, b"\0"))
    if START in parts:
        raise SplitError("it has a start function, which would run again in every sandbox")
    stack_pointer = exports(parts.get(EXPORT, b"\0")).get("__stack_pointer")
    if stack_pointer is None:
        raise SplitError("it doesn't export __stack_pointer (link with -Wl,--export=__stack_pointer)")
    for index in mutable_globals(parts.get(GLOBAL, b"\0")):
        if (KIND_GLOBAL, index) != stack_pointer:
            raise SplitError(f"global {index} is mutable, so linear memory would not be the whole state")


def split(module: bytes) -> tuple[bytes, bytes]:
    """(core, memory) of a linked module. Raises SplitError."""
    found = sections(module)
    parts = {number: body for number, body, _ in found if number != CUSTOM}
    check_state(parts)
    reader = Reader(parts.get(MEMORY, b"\0"))
    if reader.unsigned() != 1:
        raise SplitError("it doesn't have exactly one memory of its own")
    memory = memory_contents(parts.get(DATA, b"\0"), reader.limits() * PAGE)
    kept = (whole for number, _, whole in found if number not in (CUSTOM, START, DATA, DATA_COUNT))
    return module[:8] + b"".join(kept), memory


def write_sparse(path: Path, data: bytes) -> None:
    """Writes data, leaving a hole wherever a block is all zeros (the stack's 8 MiB, to begin with)."""
    with path.open("wb") as file:
        for at in range(0, len(data), PAGE):
            block = data[at : at + PAGE]
            if any(block):
                file.seek(at)
                file.write(block)
        file.truncate(len(data))


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    source, core_path, memory_path = (Path(argument) for argument in sys.argv[1:])
    try:
        core, memory = split(source.read_bytes())
    except SplitError as error:
        print(f"split_module: {source.name} can't be split: {error}", file=sys.stderr)
        return 1
    core_path.write_bytes(core)
    write_sparse(memory_path, memory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
