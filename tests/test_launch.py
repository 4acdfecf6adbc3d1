"""`nntrace run` in real processes: every way to start a program, and all that stays as it is."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nntrace.launch import resolve
from nntrace.manifest import Manifest
from nntrace.schema import RunStatus
from nntrace.trace import Trace

TRAIN = """
import sys
import torch
from torch.nn import functional

def train(steps=4, model=None):
    torch.manual_seed(0)
    model = model or torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
        optimizer.step()

if __name__ == "__main__":
    train()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with `train.py`, in which nothing was ever traced."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("NNTRACE")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    write(folder, "train.py", TRAIN)
    return folder


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def start(folder, *words, **options):
    return subprocess.Popen(
        words,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def bare(folder, *words, text=None, **options):
    process = start(folder, *words, stdin=subprocess.PIPE, **options)
    stdout, stderr = process.communicate(text, timeout=120)
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def traced(folder, *words, **options):
    return bare(folder, sys.executable, "-m", "nntrace", "run", *words, **options)


def without_notices(stderr):
    """What the program itself wrote, and the lines of nntrace."""
    lines = stderr.splitlines()
    ours = [line for line in lines if line.startswith("nntrace: ")]
    return [line for line in lines if line not in ours], ours


def runs(folder):
    home = folder / "nntrace-runs"
    return sorted(home.iterdir()) if home.exists() else []


def only_run(folder):
    (run,) = runs(folder)
    return Trace.open(run)


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


def test_a_python_without_nntrace_runs_untraced_and_says_so(folder):
    other = os.path.realpath(sys.executable)
    if bare(folder, other, "-c", "import nntrace").returncode == 0:
        pytest.skip("this Python's nntrace is installed for its base interpreter too")
    write(folder, "ends.py", "import sys; print('ran'); sys.exit(5)")
    found = traced(folder, other, "ends.py")
    assert (found.returncode, found.stdout) == (5, "ran\n")
    assert f"not installed for {other}" in found.stderr
    assert found.stderr.count("\n") == 1


def test_an_interpreter_told_to_ignore_the_environment_is_announced(folder):
    found = traced(folder, sys.executable, "-I", "-c", "print('ran')")
    assert found.stdout == "ran\n"
    assert "-I disables the trace" in found.stderr


# Nothing recorded, nothing to run.


def test_a_program_without_a_framework_leaves_no_folder_and_says_why(folder):
    write(folder, "plain.py", "print('done')")
    found = traced(folder, "plain.py")
    assert (found.returncode, found.stdout) == (0, "done\n")
    assert "nothing was recorded" in found.stderr
    assert "torch" in found.stderr
    assert runs(folder) == []


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


# Programs that train.


def test_a_script_is_traced_and_the_last_line_names_the_run_and_what_to_do_next(folder):
    write(
        folder, "exits.py", TRAIN + "    print(sys.stdin.read(), sys.argv[1:])\n    sys.exit(3)\n"
    )
    found = traced(folder, "--every", "2", "exits.py", "--lr", "1", text="typed")
    assert found.returncode == 3
    assert found.stdout == "typed ['--lr', '1']\n"
    trace = only_run(folder)
    assert trace.path.name.startswith("exits-")
    assert trace.sampled_steps.tolist() == [0, 2]
    assert trace.status is RunStatus.FINISHED
    assert trace.manifest.command == ("exits.py", "--lr", "1")
    assert trace.manifest.config["every"] == 2
    (line,) = found.stderr.splitlines()
    assert f"nntrace: {trace.path.name}: 4 steps, 2 sampled, overhead " in line
    assert line.endswith(f"Next: nntrace diagnose nntrace-runs/{trace.path.name}")


def test_a_package_is_traced_under_its_given_name(folder):
    write(folder, "pkg/__init__.py", "")
    write(folder, "pkg/training.py", TRAIN)
    found = traced(folder, "--name", "my run/1", "-m", "pkg.training")
    assert found.returncode == 0
    assert only_run(folder).path.name.startswith("my-run-1-")


def test_a_shell_script_that_starts_python_twice_leaves_two_runs(folder):
    write(folder, "all.sh", f"{sys.executable} train.py\n{sys.executable} -m train\nexit 7\n")
    found = traced(folder, "--out", "run", "sh", "all.sh")
    assert found.returncode == 7
    assert len(Trace.open(folder / "run").steps) == 4
    assert len(Trace.open(folder / "run-2").steps) == 4
    assert "nothing was recorded" not in found.stderr


def test_every_rank_of_torchrun_has_its_own_folder(folder):
    write(
        folder,
        "ranks.py",
        TRAIN
        + """
    import os
    torch.distributed.init_process_group("gloo")
    torch.distributed.all_reduce(torch.ones(1))
    torch.distributed.destroy_process_group()
    """,
    )
    torchrun = str(Path(sys.executable).with_name("torchrun"))
    found = traced(
        folder, "--out", "run", torchrun, "--standalone", "--nproc-per-node", "2", "ranks.py"
    )
    assert found.returncode == 0, found.stderr
    trace = Trace.open(folder / "run")
    assert trace.ranks == (0, 1)
    assert [len(trace.of_rank(rank).steps) for rank in (0, 1)] == [4, 4]
    starts = [trace.of_rank(rank).events_of("rank_start")[0].payload for rank in (0, 1)]
    assert [(start["rank"], start["world_size"]) for start in starts] == [(0, 2), (1, 2)]
    assert trace.status is RunStatus.FINISHED
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["run"]
    assert found.stderr.count("Next: nntrace diagnose") == 1


def test_spawned_processes_and_forked_workers_write_nothing(folder):
    write(
        folder,
        "helpers.py",
        """
        import multiprocessing
        import torch
        from torch.utils.data import DataLoader, TensorDataset
        from train import train

        def seeded(number):
            torch.manual_seed(number)
            return number * 2

        class Augmented(TensorDataset):
            def __getitem__(self, index):
                torch.manual_seed(index)
                return super().__getitem__(index)

        if __name__ == "__main__":
            train(2)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(seeded, [1, 2]))
            loader = DataLoader(Augmented(torch.randn(8, 4)), batch_size=4, num_workers=2)
            print(sum(len(batch) for (batch,) in loader))
            train(2)
        """,
    )
    found = traced(folder, "helpers.py")
    assert found.stdout == "[2, 4]\n8\n", found.stderr
    trace = only_run(folder)
    assert len(trace.steps) == 4
    assert trace.ranks == (0,)
    assert [event.payload["seed"] for event in trace.events_of("seed")] == ["0", "0"]
    assert [event.payload["workers"] for event in trace.events_of("loader")] == [2]
    (line,) = found.stderr.splitlines()
    assert "Next:" in line


def test_a_program_that_forks_and_waits_for_its_child_is_not_disturbed(folder):
    write(
        folder,
        "forks.py",
        TRAIN
        + """
    import os
    pid = os.fork()
    if pid == 0:
        train(3)
        sys.exit(9)
    waited, status = os.wait()
    print(waited == pid, os.waitstatus_to_exitcode(status))
    """,
    )
    found = traced(folder, "forks.py")
    assert found.stdout == "True 9\n"
    assert len(only_run(folder).steps) == 4
    assert found.stderr.count("\n") == 1


ENDLESS = """
import time
from train import train
import torch

class Slow(torch.nn.Linear):
    steps = 0

    def forward(self, inputs):
        print(self.steps, flush=True)
        self.steps += 1
        time.sleep(0.05)
        return super().forward(inputs)

train(1_000_000, Slow(4, 3))
"""


def interrupted(folder, number, after):
    write(folder, "endless.py", ENDLESS)
    process = start(folder, sys.executable, "-m", "nntrace", "run", "endless.py")
    for line in process.stdout:
        if int(line) == after:
            break
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    begun = [after, *map(int, stdout.split())][-1]
    return process.returncode, begun, stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_opens_and_is_a_second_short_at_most(folder, number):
    code, begun, _ = interrupted(folder, number, after=60)
    assert code == -number
    trace = only_run(folder)
    assert trace.status is RunStatus.KILLED
    lost = begun - len(trace.steps)
    assert lost * 0.05 < 2  # a step takes 0.05 s at least; twice as much as promised, for CI
    assert len(trace.sampled_steps) > 0


def test_an_interrupted_run_ends_as_without_nntrace_and_is_complete(folder):
    code, begun, stderr = interrupted(folder, signal.SIGINT, after=5)
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    trace = only_run(folder)
    assert trace.status is RunStatus.FAILED
    assert "KeyboardInterrupt" in trace.manifest.error
    assert len(trace.steps) == begun


def test_an_uncaught_exception_makes_the_run_a_failed_one(folder):
    write(folder, "breaks.py", TRAIN + "    raise ValueError('out of memory')\n")
    found = traced(folder, "breaks.py")
    assert found.returncode == 1
    assert without_notices(found.stderr)[0][-1] == "ValueError: out of memory"
    trace = only_run(folder)
    assert trace.status is RunStatus.FAILED
    assert trace.manifest.error == "ValueError: out of memory"
    assert len(trace.steps) == 4


def test_a_program_that_removes_its_working_directory_is_recorded_to_the_end(folder):
    write(
        folder,
        "moves.py",
        TRAIN + "    import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n",
    )
    found = traced(folder, "moves.py")
    assert found.returncode == 0
    assert only_run(folder).status is RunStatus.FINISHED
    (line,) = found.stderr.splitlines()
    assert "Next: nntrace diagnose" in line


def test_an_error_inside_nntrace_before_the_first_step_is_the_reason_given(folder):
    write(
        folder,
        "broken.py",
        "import torch\n"
        "import nntrace_torch.clearing as c\n"
        "def broken(*args): raise RuntimeError('planted')\n"
        "c.GradientClearing.look = broken\n" + TRAIN,
    )
    found = traced(folder, "broken.py")
    assert found.returncode == 0
    assert found.stderr.count("tracing stopped") == 1
    assert "no optimizer step happened" not in found.stderr
    assert runs(folder) == []
