"""C sources as the checks see them: which files, and their text without comments and strings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A comment, a string or a character; the order decides which of them a quote or slash belongs to.
_NOISE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def c_files(*folders: str) -> list[Path]:
    """Our .c and .h files below the folders, relative to the repository."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *folders]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [Path(line) for line in listed.splitlines()]
    return sorted(path for path in paths if path.suffix in {".c", ".h"} and (ROOT / path).exists())


def code_lines(path: Path) -> list[str]:
    """The file's lines with comments and strings blanked out, line numbers kept."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return _NOISE.sub(blank, (ROOT / path).read_text(encoding="utf-8")).split("\n")


def includes(path: Path) -> list[tuple[int, str]]:
    """(line number, header) of every #include."""
    found = []
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").split("\n"), 1):
        if match := re.match(r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", line):
            found.append((number, match[1]))
    return found
