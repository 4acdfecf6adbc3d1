"""What is imported where, seen from fresh processes: start-up is cheap, core knows no framework."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import nntrace

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "textual"}
FRAMEWORKS |= {"nntrace_torch", "nntrace_keras", "nntrace_tui"}
HEAVY = {"numpy", "pyarrow", "click", "rich", "wrapt"}


def imported_by(*words, **environment):
    """The top-level names of all modules in a fresh process, as it ends."""
    code = (
        "import atexit, json, sys; atexit.register(lambda: print(json.dumps(sorted("
        "{name.partition('.')[0] for name in sys.modules}))))\n" + "\n".join(words)
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def core_modules():
    home = Path(nntrace.__file__).parent
    for file in sorted(home.rglob("*.py")):
        parts = file.relative_to(home.parent).with_suffix("").parts
        if parts[-1] not in ("__main__", "sitecustomize"):
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_whole_core_imports_no_framework_and_no_adapter():
    modules = list(core_modules())
    some = {"nntrace.cli.diagnose", "nntrace.rules.loss.trend", "nntrace.recorder.writer"}
    assert some <= set(modules)
    imported = imported_by(f"import {', '.join(modules)}")
    assert imported & FRAMEWORKS == set()


def test_a_traced_process_that_imports_nothing_pays_for_nothing(tmp_path):
    bootstrap = str(Path(import_module("nntrace.launch").__file__).parent / "bootstrap")
    imported = imported_by("pass", PYTHONPATH=bootstrap, NNTRACE_RUN=str(tmp_path / "run"))
    assert imported & (HEAVY | FRAMEWORKS) == set()
    assert "nntrace" in imported


def test_a_traced_process_that_imports_another_package_loads_no_adapter(tmp_path):
    bootstrap = str(Path(import_module("nntrace.launch").__file__).parent / "bootstrap")
    imported = imported_by("import pluggy", PYTHONPATH=bootstrap, NNTRACE_RUN=str(tmp_path / "run"))
    assert imported & (HEAVY | FRAMEWORKS) == set()


def test_the_helps_import_neither_arrow_nor_numpy():
    for words in (["--help"], ["run", "--help"]):
        call = f"from nntrace.cli import main; main({words!r})"
        assert imported_by(call) & ({"numpy", "pyarrow"} | FRAMEWORKS) == set()


def test_importing_nntrace_imports_nothing_heavy():
    assert imported_by("import nntrace") & (HEAVY | FRAMEWORKS) == set()


def test_importing_the_core_does_not_bring_the_traced_side_to_the_reading_side():
    code = "import sys, nntrace.trace; assert 'nntrace.recorder' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_traced_pytorch_program_does_not_pay_for_the_experiments_of_a_check():
    experiment = "nntrace_torch.probes.rates"
    code = f"import sys, nntrace_torch.adapter; assert {experiment!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_import_contracts_hold():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
