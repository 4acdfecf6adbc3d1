"""`nntrace run` in real processes: what stays as it is without, and what it refuses to do."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from processes import TRAIN, bare, runs, traced, without_notices, write

from nntrace.errors import NntraceError
from nntrace.launch.command import resolve
from nntrace.manifest import Manifest
from nntrace.schema import RunStatus
from nntrace.trace import Trace

# What is as without nntrace; none of these programs trains.

FACTS = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "name": __name__, "file": __file__,
    "package": __package__, "path": sys.path, "cwd": os.getcwd(), "flags": list(sys.flags),
    "main": sys.modules["__main__"].__dict__ is globals(), "executable": sys.executable,
    "stdin": sys.stdin.read(),
}))
"""


@pytest.mark.parametrize(
    ("with_trace", "without"),
    [
        (
            ["facts.py", "--lr", "1e-3", "a b", ""],
            [sys.executable, "facts.py", "--lr", "1e-3", "a b", ""],
        ),
        (["-m", "pkg.facts", "--name", "x"], [sys.executable, "-m", "pkg.facts", "--name", "x"]),
        (["-m", "pkg"], [sys.executable, "-m", "pkg"]),
        ([sys.executable, "-u", "facts.py", "--every", "3"],) * 2,
        (["sh", "run.sh", "one", "two"],) * 2,
        (["./run.sh"],) * 2,
        (["pkg/facts.py"], [sys.executable, "pkg/facts.py"]),
    ],
    ids=["script", "submodule", "package", "python", "shell", "executable", "script in folder"],
)
def test_a_program_sees_itself_as_without_nntrace(folder, with_trace, without):
    for name in ("facts.py", "pkg/facts.py", "pkg/__main__.py"):
        write(folder, name, FACTS)
    write(folder, "pkg/__init__.py", "")
    script = write(folder, "run.sh", f'#!/bin/sh\nexec {sys.executable} facts.py "$@"\n')
    script.chmod(0o755)
    expected = bare(folder, *without, text="typed\ntext")
    found = traced(folder, *with_trace, text="typed\ntext")
    assert json.loads(found.stdout) == json.loads(expected.stdout)
    assert found.returncode == expected.returncode == 0


ENDINGS = {
    "an exit code": "sys.exit(3)",
    "an exit message": "sys.exit('so long')",
    "no interpreter shutdown": "os._exit(4)",
    "an uncaught exception": "raise ValueError('no')",
    "a signal to itself": "os.kill(os.getpid(), signal.SIGTERM)",
    "an interrupt": "raise KeyboardInterrupt",
    "an atexit function": "atexit.register(print, 'late')",
    "a closed stderr": "sys.stderr.close()",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_as_without_nntrace(folder, name):
    code = f"import atexit, os, signal, sys\nprint('out', flush=True)\n{ENDINGS[name]}\n"
    write(folder, "ends.py", code)
    expected = bare(folder, sys.executable, "ends.py")
    found = traced(folder, "ends.py")
    assert found.returncode == expected.returncode
    assert found.stdout == expected.stdout
    assert without_notices(found.stderr)[0] == expected.stderr.splitlines()


@pytest.mark.parametrize(
    "custom", ["import os\nos.environ['MINE'] = '1'", "1 / 0", "import nowhere"]
)
def test_the_users_own_sitecustomize_runs_as_without_nntrace(folder, custom):
    write(folder, "site/sitecustomize.py", custom)
    write(
        folder,
        "look.py",
        """
        import os, sys
        print(os.environ.get("MINE"), getattr(sys.modules.get("sitecustomize"), "__file__", None))
        print(sys.path)
        """,
    )
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    expected = bare(folder, sys.executable, "look.py", env=environment)
    found = traced(folder, "look.py", env=environment)
    assert found.returncode == expected.returncode
    mine, path = found.stdout.splitlines()
    assert path == expected.stdout.splitlines()[1]
    assert mine.split()[0] == expected.stdout.split()[0]
    if expected.stderr:
        assert expected.stderr.splitlines()[-1] in found.stderr
    else:
        assert mine == expected.stdout.splitlines()[0]


def test_a_program_that_looks_for_torch_without_importing_it_finds_the_same(folder):
    code = "import importlib.util as u; s = u.find_spec('torch'); print(s.name, s.origin)\n"
    write(folder, "look.py", code)
    expected = bare(folder, sys.executable, "look.py")
    assert traced(folder, "look.py").stdout == expected.stdout


@pytest.fixture
def other_python(folder):
    """A Python that nntrace is not installed for."""
    other = os.path.realpath(sys.executable)
    if bare(folder, other, "-c", "import nntrace").returncode == 0:
        pytest.skip("this Python's nntrace is installed for its base interpreter too")
    return other


def test_a_python_without_nntrace_runs_untraced_and_says_so(folder, other_python):
    write(folder, "ends.py", "import sys; print('ran'); sys.exit(5)")
    found = traced(folder, other_python, "ends.py")
    assert (found.returncode, found.stdout) == (5, "ran\n")
    assert f"not installed for {other_python}" in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_framework_imported_without_nntrace_is_said_once_in_all_processes(folder, other_python):
    write(folder, "torch.py", "print('imported')")
    child = "import subprocess, sys, torch; subprocess.run([sys.executable, '-c', 'import torch'])"
    write(folder, "workers.py", child)
    found = traced(folder, other_python, "workers.py")
    assert found.stdout == "imported\nimported\n"
    assert found.stderr.count("not installed for") == 1


def test_a_launcher_in_a_python_without_nntrace_is_not_said_to_be_untraced(folder, other_python):
    write(folder, "launcher.py", f"import subprocess; subprocess.run([{sys.executable!r}, 'a.py'])")
    write(folder, "a.py", TRAIN)
    found = traced(folder, other_python, "launcher.py")
    assert found.returncode == 0
    assert "not installed for" not in found.stderr


def test_a_program_that_starts_others_elsewhere_is_announced(folder):
    write(folder, "docker", "#!/bin/sh\necho ran").chmod(0o755)
    found = traced(folder, "./docker", "run", "image", "python", "train.py")
    assert found.stdout == "ran\n"
    assert "put `nntrace run` inside" in found.stderr


def test_an_interpreter_told_to_ignore_the_environment_is_announced(folder):
    found = traced(folder, sys.executable, "-I", "-c", "print('ran')")
    assert found.stdout == "ran\n"
    assert "-I disables the trace" in found.stderr


# Nothing recorded, nothing to run.


def test_a_program_without_a_framework_leaves_no_folder_and_says_why(folder):
    write(folder, "plain.py", "print('done')")
    found = traced(folder, "plain.py")
    assert (found.returncode, found.stdout) == (0, "done\n")
    assert found.stderr == "nntrace: nothing was recorded: no framework was imported.\n"
    assert runs(folder) == []


def test_where_other_packages_were_imported_the_known_frameworks_are_named(folder):
    write(folder, "plain.py", "import numpy")
    found = traced(folder, "plain.py")
    assert "no framework that nntrace knows (keras, torch) was imported" in found.stderr


def test_a_program_of_keras_2_is_told_that_it_is_not_observed(folder):
    write(folder, "tf_keras.py", "")
    write(folder, "plain.py", "import numpy, tf_keras")
    found = traced(folder, "plain.py")
    assert "(keras, torch) was imported. Keras 2 (`tf_keras`) was: it is not" in found.stderr


def test_a_program_of_the_standard_library_imports_nothing_heavier_for_nntrace(folder):
    write(folder, "plain.py", "import sys; print(*sorted(sys.modules))")
    found = traced(folder, "plain.py")
    heavy = {"numpy", "pyarrow", "dataclasses", "inspect", "importlib.metadata", "nntrace.schema"}
    without = set(bare(folder, sys.executable, "plain.py").stdout.split())
    assert not heavy & (set(found.stdout.split()) - without)


def test_a_program_that_only_imports_torch_does_without_pyarrow(folder):
    write(folder, "plain.py", "import sys, torch; print('pyarrow' in sys.modules)")
    assert traced(folder, "plain.py").stdout == "False\n"


@pytest.mark.parametrize("collects", [True, False])
def test_importing_a_framework_sets_off_no_garbage_collection_of_ours(folder, collects):
    write(
        folder,
        "plain.py",
        f"""
        import gc, sys
        {"gc.enable()" if collects else "gc.disable()"}
        ours = []

        def look(phase, info):
            frame = sys._getframe()
            while frame is not None:
                if frame.f_code.co_filename.endswith("launch/session.py"):
                    ours.append(info["generation"])
                    return
                frame = frame.f_back

        gc.callbacks.append(look)
        import torch
        print(gc.isenabled(), ours)
        """,
    )
    assert traced(folder, "plain.py").stdout == f"{collects} []\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import torch", "no optimizer step happened"),
        (
            "import torch; torch.ones(1, requires_grad=True).sum().backward()",
            "no optimizer of torch.optim made a step",
        ),
    ],
)
def test_a_program_that_does_not_train_leaves_no_folder_and_says_why(folder, code, reason):
    write(folder, "idle.py", code)
    found = traced(folder, "idle.py")
    assert found.returncode == 0
    assert reason in found.stderr
    assert found.stderr.count("\n") == 1
    assert runs(folder) == []


@pytest.mark.parametrize(("children", "told"), [(1, "1 process was"), (2, "2 processes were")])
def test_of_training_in_forked_processes_it_is_said_why_it_is_not_recorded(folder, children, told):
    write(
        folder,
        "forks.py",
        f"""
        import multiprocessing
        from train import train

        processes = [
            multiprocessing.get_context("fork").Process(target=train, args=(3,))
            for _ in range({children})
        ]
        for process in processes:
            process.start()
        print([(process.join(), process.exitcode)[1] for process in processes])
        """,
    )
    found = traced(folder, "forks.py")
    assert found.stdout == f"{[0] * children}\n", found.stderr
    assert f"{told} forked from this one" in found.stderr
    assert "`spawn`, or import torch only there" in found.stderr
    assert runs(folder) == []


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-program"],
        ["missing.py"],
        ["train.txt"],
        ["--no-such-option", "train.py"],
        ["-m"],
        [],
    ],
)
def test_a_command_that_cannot_run_is_one_line_and_exit_code_2(folder, words):
    write(folder, "train.txt", "not executable")
    found = traced(folder, *words)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "Traceback" not in found.stderr
    assert runs(folder) == []


@pytest.mark.parametrize(
    ("text", "mode", "first", "advice"),
    [
        ("#!/usr/bin/env python3\n", 0o755, "tool", "run ./tool"),
        ("#!/usr/bin/env python3\n", 0o644, "tool", "run python tool"),
        ("#!/bin/sh\n", 0o644, "go.sh", "run sh go.sh"),
        ("echo no first line\n", 0o644, "./go.sh", "run sh ./go.sh"),
        ("", 0o644, "notes", "chmod +x notes"),
    ],
)
def test_the_message_on_a_file_that_is_no_command_says_how_to_run_it(
    folder, monkeypatch, text, mode, first, advice
):
    monkeypatch.chdir(folder)
    file = write(folder, Path(first).name, text)
    file.chmod(mode)
    with pytest.raises(NntraceError, match=re.escape(advice)):
        resolve((first,))


@pytest.mark.parametrize(
    ("main", "advice"), [(True, "run python pkg"), (False, "name the script in it")]
)
def test_the_message_on_a_folder_says_how_to_run_what_is_in_it(folder, monkeypatch, main, advice):
    monkeypatch.chdir(folder)
    (folder / "pkg").mkdir()
    if main:
        write(folder / "pkg", "__main__.py", "")
    with pytest.raises(NntraceError, match=f"is a folder: .*{advice}.$"):
        resolve(("pkg",))


def test_a_script_and_a_module_are_run_by_this_python(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert resolve(("train.py", "-x")) == [sys.executable, "train.py", "-x"]
    assert resolve(("-m", "pkg")) == [sys.executable, "-m", "pkg"]
    assert resolve(("sh", "-c", "true"))[1:] == ["-c", "true"]


# Where the run is written.


def run_at(path, status=RunStatus.FINISHED, pid=0):
    path.mkdir(parents=True)
    Manifest(path.name, status=status, pid=pid, host=os.uname().nodename).write(path)
    return path


def test_an_earlier_run_is_moved_aside(folder):
    earlier = run_at(folder / "out")
    run_at(folder / "out.1")
    found = traced(folder, "--out", "out", "train.py")
    assert found.returncode == 0
    assert (folder / "out.2" / "manifest.json").exists()
    assert len(Trace.open(earlier).steps) == 4
    assert "out.2" in found.stderr


@pytest.mark.parametrize(
    "kind", ["foreign files", "running", "file", "below a file", "bad manifest"]
)
def test_a_folder_that_is_not_ours_to_write_is_refused(folder, kind):
    out = folder / "out"
    if kind == "foreign files":
        write(folder, "out/thesis.tex", "years of work")
    elif kind == "running":
        run_at(out, RunStatus.RUNNING, os.getpid())
    elif kind == "bad manifest":
        write(folder, "out/manifest.json", "[]")
    else:
        out.write_text("a file")
    before = sorted(folder.rglob("*"))
    target = out / "run" if kind == "below a file" else out
    found = traced(folder, "--out", str(target), "train.py")
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert str(out) in found.stderr
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_turns_out_unwritable_costs_one_line_and_no_training(folder):
    (folder / "home").mkdir()
    blocking = "import os; os.rmdir('home'); open('home', 'w').close()\n"
    write(folder, "blocks.py", blocking + TRAIN + "    print('trained')\n")
    found = traced(folder, "--out", "home/run", "blocks.py")
    assert (found.returncode, found.stdout) == (0, "trained\n")
    assert found.stderr.count("\n") == 1
    assert "tracing stopped" in found.stderr


def test_a_folder_and_a_name_for_it_are_refused_before_the_program_starts(folder):
    found = traced(folder, "--out", "run", "--name", "try7", sys.executable, "-c", "print(1)")
    assert (found.returncode, found.stdout) == (2, "")
    assert "leave out --name or --out" in found.stderr
