"""Runs code that nobody has read, such as a language model wrote, and survives what it does.

`run_code` has no files, little memory, little time and no second attempt. Whatever the code breaks is its own
sandbox, which is thrown away afterwards; `main` gets a TaskError and goes on.
"""

import contextlib
import io

from capsule import TaskError, task

OUTPUT_MAX = 64 * 1024

SNIPPETS = {
    "well behaved": "print(sum(n * n for n in range(1000)))",
    "a mistake": "print(1 / 0)",
    "endless loop": "while True: pass",
    "endless sleep": "import time; time.sleep(3600)",
    "memory bomb": "hoard = ['x' * 1_000_000]\nwhile True: hoard.append(hoard[-1] + 'x')",
    "reads /etc/passwd": "print(open('/etc/passwd').read())",
    "lists the disk": "import os; print(os.listdir('/home'))",
    "os._exit": "import os; os._exit(3)",
    "deep recursion": "def f(n): return f(n + 1)\nf(0)",
    "100 MB of output": "for _ in range(100): print('x' * 1_000_000)",
    "starts a program": "import subprocess; subprocess.run(['id'])",
    "tampers with Capsule": "import capsule, sys; capsule.task = None; sys.modules.clear(); print('gone')",
}


class BoundedOutput(io.StringIO):
    """Keeps what is printed, up to a limit."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > OUTPUT_MAX:
            raise RuntimeError(f"printed more than {OUTPUT_MAX} characters")
        return super().write(text)


@task(compute="LOW", ram="64MB", timeout="1s", max_retries=0, allowed_files=[], allowed_hosts=[], env_variables=[])
def run_code(code: str) -> str:
    """Run Python source and return what it prints."""
    output = BoundedOutput()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "<untrusted>", "exec"), {"__name__": "__untrusted__"})
    return output.getvalue()


@task(compute="HIGH", ram="64MB")
def main() -> str:
    lines = []
    for title, code in SNIPPETS.items():
        try:
            outcome = "printed " + run_code(code).strip()
        except TaskError as error:
            outcome = f"{error.type}: {error.class_name or ''} {error.message}"
        lines.append(f"{title:<22} {' '.join(outcome.split())[:90]}")
    return "\n".join(lines)
