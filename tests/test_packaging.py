"""The wheel holds exactly the import packages, their data files and the entry points."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The program's choice, a part of every Jinja, and Python's own hook.
UNDECLARED = {"jax", "markupsafe", "sitecustomize"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(out),
        ".",
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def test_the_top_level_names_are_the_four_packages(wheel):
    names = {name.partition("/")[0] for name in wheel.namelist()}
    packages = {name for name in names if not name.endswith(".dist-info")}
    assert packages == {"nntrace", "nntrace_torch", "nntrace_keras", "nntrace_tui"}


def test_every_source_file_is_in(wheel):
    sources = {
        str(file.relative_to(home))
        for home, package in (
            ("", "nntrace"),
            ("adapters", "nntrace_torch"),
            ("adapters", "nntrace_keras"),
            ("tui", "nntrace_tui"),
        )
        for home in [ROOT / home]
        for file in (home / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert sources <= set(wheel.namelist())
    assert "nntrace/launch/bootstrap/sitecustomize.py" in sources
    assert any(name.endswith(".tcss") for name in sources)
    for package in ("nntrace", "nntrace_torch", "nntrace_keras", "nntrace_tui"):
        assert f"{package}/py.typed" in sources


def test_the_entry_points_lead_somewhere(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    parser = ConfigParser(delimiters=("=",))
    parser.optionxform = str
    parser.read_string(wheel.read(name).decode())
    assert dict(parser["console_scripts"]) == {"nntrace": "nntrace.cli:main"}
    assert dict(parser["nntrace.adapters"]) == {
        "torch": "nntrace_torch:TorchAdapter",
        "keras": "nntrace_keras:KerasAdapter",
    }
    assert dict(parser["nntrace.monitors"]) == {"textual": "nntrace_tui:run"}
    files = set(wheel.namelist())
    for section in parser.sections():
        for value in parser[section].values():
            module = value.partition(":")[0].replace(".", "/")
            assert files & {f"{module}.py", f"{module}/__init__.py"}, value


def imported(file):
    """The top-level names of the modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_no_import_counts_on_what_another_package_happens_to_bring(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    declared = {line.partition(">=")[0].lower() for line in lines}
    places = [ROOT, ROOT / "adapters", ROOT / "tui"]
    modules = [name for name in wheel.namelist() if name.endswith(".py")]
    files = [next(p / name for p in places if (p / name).exists()) for name in modules]
    known = sys.stdlib_module_names | UNDECLARED
    others = {name for name in chain(*map(imported, files)) if not name.startswith("nntrace")}
    homes = packages_distributions()
    assert [n for n in others - known if not declared & {n, *map(str.lower, homes[n])}] == []


def test_the_licence_is_in(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
