"""What a task file may import besides the standard library: packages, own modules, and files with odd names."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

USES_PACKAGE = """
from capsule import task
import tabulate

@task
def main():
    return tabulate.tabulate([["a", 1]], tablefmt="plain")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A real virtual environment with a pure-Python package and one that is a C extension."""
    folder = tmp_path_factory.mktemp("project") / ".venv"
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "tabulate==0.9.0", "ujson==5.10.0", "markupsafe==3.0.2"], check=True, timeout=240)
    return folder


def test_package_of_dot_venv(capsule, environment):
    file = environment.parent / "main.py"
    file.write_text(USES_PACKAGE)
    done = capsule("run", file)
    assert done.stdout == "a  1\n", done.stderr


def test_package_of_the_active_environment(capsule, environment, tmp_path):
    file = tmp_path / "main.py"
    file.write_text(USES_PACKAGE)
    assert "No module named 'tabulate'" in capsule("run", file).stderr
    assert capsule("run", file, env={"VIRTUAL_ENV": str(environment)}).stdout == "a  1\n"


def test_c_extension_says_what_it_is(capsule, environment):
    file = environment.parent / "extension.py"
    file.write_text("import ujson\n")
    stderr = capsule("run", file).stderr
    assert "ujson is a C extension (ujson." in stderr
    assert "can't run in a sandbox" in stderr
    assert 'File "extension.py", line 1' in stderr


def test_optional_c_extension_falls_back(capsule, environment):
    file = environment.parent / "fallback.py"
    file.write_text(
        "import markupsafe\nfrom capsule import task\n@task\ndef main(): return str(markupsafe.escape('<'))\n"
    )
    done = capsule("run", file)
    assert done.stdout == "&lt;\n", done.stderr


def test_own_modules_and_lazy_imports(capsule, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "late.py").write_text("VALUE = 'late'\n")
    (tmp_path / "statistics.py").write_text("VALUE = 'own'\n")
    (tmp_path / "main.py").write_text(
        "import statistics\nfrom capsule import task\n@task\ndef main():\n"
        "    from package import late\n    return [statistics.VALUE, late.VALUE]\n"
    )
    assert json.loads(capsule("run", tmp_path / "main.py").stdout) == ["own", "late"]


@pytest.mark.parametrize("name", ["json.py", "my-script.py", "class.py", "random.py", "capsule.py"])
def test_odd_file_names(capsule, tmp_path, name):
    file = tmp_path / name
    file.write_text(
        "import json, random\nfrom capsule import task\n@task\ndef main(): return [__name__, json.dumps(1)]\n"
    )
    done = capsule("run", file)
    assert json.loads(done.stdout or "null") == ["__capsule_main__", "1"], done.stderr


def test_the_same_file_runs_without_capsule(tmp_path):
    """Outside a sandbox a task is a function: plain `python main.py`."""
    file = tmp_path / "main.py"
    file.write_text(
        "from capsule import task\n@task\ndef main(x): return x * 2\nif __name__ == '__main__': print(main(4))\n"
    )
    sdk = Path(__file__).resolve().parents[2] / "sdk" / "python"
    env = {**os.environ, "PYTHONPATH": str(sdk)}
    done = subprocess.run([sys.executable, file], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "8\n"
