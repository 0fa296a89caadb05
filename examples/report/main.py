"""Measures Capsule's own C sources, one task per file, and writes out/report.md.

No task can do more than its part: `measure` reads the sources and writes nothing, `write_report` sees only ./out, and
`main` lists names. What a hostile source file could do to its reader ends with that reader's sandbox.
"""

import os
import re

from capsule import TaskError, task

SOURCES = ["../../src", "../../cli"]
READ_SOURCES = [{"path": folder, "mode": "ro"} for folder in SOURCES]

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# A line that begins in the first column, has a parameter list, and is followed by the body.
FUNCTION = re.compile(r"^[A-Za-z_][^;={}#]*\([^;{}]*\)\s*\{", re.MULTILINE)


@task(allowed_files=READ_SOURCES)
def measure(path: str) -> dict:
    """Count what is in one file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    code = COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), text)
    filled = sum(1 for line in text.splitlines() if line.strip())
    code_lines = sum(1 for line in code.splitlines() if line.strip())
    return {
        "path": os.path.normpath(path).lstrip("./"),
        "lines": len(text.splitlines()),
        "code": code_lines,
        "comments": filled - code_lines,
        "functions": len(FUNCTION.findall(code)),
    }


@task(allowed_files=["./out"])
def write_report(files: list[dict], failed: list[str]) -> str:
    """Write the table and return where it is."""
    rows = [f"| {f['path']} | {f['lines']} | {f['code']} | {f['comments']} | {f['functions']} |" for f in files]
    head = ["# Sources", "", "| file | lines | code | comments | functions |", "|---|---|---|---|---|"]
    with open("out/report.md", "w", encoding="utf-8") as file:
        file.write("\n".join(head + rows) + "\n")
        file.writelines(f"\nNot measured: {line}\n" for line in failed)
    return "out/report.md"


@task(allowed_files=READ_SOURCES)
def main() -> str:
    paths = [
        os.path.join(folder, name)
        for source in SOURCES
        for folder, _, names in os.walk(source)
        for name in names
        if name.endswith((".c", ".h"))
    ]
    files, failed = [], []
    for path in sorted(paths):
        try:
            files.append(measure(path))
        except TaskError as error:
            failed.append(f"{path}: {error}")
    written = write_report(files, failed)
    lines = sum(f["lines"] for f in files)
    functions = sum(f["functions"] for f in files)
    longest = max(files, key=lambda f: f["lines"], default={"path": "none", "lines": 0})
    return (
        f"{len(files)} files, {lines} lines, {functions} functions; "
        f"the longest is {longest['path']} with {longest['lines']} lines\n"
        f"details: {written}"
    )
