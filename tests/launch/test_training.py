"""`nntrace run` in real processes that train: every way to start, and every way to end."""

import signal
import sys
from pathlib import Path

import pytest
from processes import TRAIN, bare, only_run, runs, start, traced, without_notices, write

from nntrace.schema import EventKind, RunStatus
from nntrace.trace import Trace


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
    assert trace.status is RunStatus.FAILED
    assert trace.manifest.error == "SystemExit: 3"
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


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"])
def test_a_variable_that_is_named_as_a_rank_and_is_none_does_not_end_tracing(
    folder, monkeypatch, name
):
    monkeypatch.setenv(name, "captain")
    found = traced(folder, "--out", "run", "train.py")
    assert found.returncode == 0
    assert len(Trace.open(folder / "run").steps) == 4


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


def test_where_a_nan_was_born_is_said_when_it_happens(folder):
    source = """
        import sys
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            loss = (model(torch.randn(8, 4)).square().mean() * (step < 2)).log()
            loss.backward()
            optimizer.step()
            print("step", step, file=sys.stderr)
        """
    write(folder, "train.py", source)
    found = traced(folder, "--out", "run", "train.py")
    assert found.returncode == 0, found.stderr
    lines = found.stderr.splitlines()
    [line] = [
        n
        for n, text in enumerate((folder / "train.py").read_text().splitlines(), 1)
        if ".log()" in text
    ]
    [said] = [text for text in lines if "`log`" in text]
    assert lines.index(said) == lines.index("step 1") + 1
    assert said.startswith("nntrace: step 2: `log` in the loss gives the first infinite value")
    assert said.endswith(f"(train.py:{line}). Next: nntrace diagnose run")


def test_an_operation_that_breaks_again_is_not_told_again(folder):
    source = """
        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(30):
            optimizer.zero_grad()
            loss = (model(torch.randn(8, 4)).square().mean() * (step not in (5, 20))).log()
            loss.backward()
            if loss.isfinite():
                optimizer.step()
        """
    write(folder, "train.py", source)
    found = traced(folder, "--out", "run", "train.py")
    events = Trace.open(folder / "run").events_of(EventKind.ORIGIN)
    assert len(events) == 2
    assert found.stderr.count("gives the first infinite value") == 1


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
    assert len(told(found.stderr)) == 1


def told(stderr):
    """The lines on stderr but Python 3.12's warning of a fork beside any second thread."""
    lines, warning = stderr.splitlines(), "This process (pid="
    pairs = zip(["", *lines], lines, strict=False)
    return [line for before, line in pairs if warning not in before and warning not in line]


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


@pytest.mark.parametrize(
    ("code", "status"), [(0, RunStatus.FINISHED), (3, RunStatus.FAILED)], ids=["well", "badly"]
)
def test_what_a_program_recorded_before_it_calls_os_exit_is_complete(folder, code, status):
    write(folder, "leaves.py", TRAIN + f"    import os; print('out', flush=True); os._exit({code})")
    found = traced(folder, "leaves.py")
    assert (found.returncode, found.stdout) == (code, "out\n")
    trace = only_run(folder)
    assert len(trace.steps) == 4
    assert trace.status is status
    assert trace.manifest.error == (f"os._exit({code})" if code else None)
    (line,) = found.stderr.splitlines()
    assert line.startswith("nntrace: ")
    assert "4 steps" in line


def test_a_block_that_ends_with_an_exit_code_of_zero_ends_well(folder):
    write(
        folder,
        "block.py",
        """
        import sys
        import nntrace
        from train import train

        with nntrace.start():
            train()
            sys.exit(0)
        """,
    )
    found = bare(folder, sys.executable, "block.py")
    assert found.returncode == 0, found.stderr
    assert only_run(folder).status is RunStatus.FINISHED


def test_a_spawned_process_says_what_it_raised_instead_of_its_exit_code(folder):
    write(
        folder,
        "spawns.py",
        """
        import torch.multiprocessing as mp

        def work(index):
            from train import train
            train()
            raise ValueError("bad row")

        if __name__ == "__main__":
            try:
                mp.spawn(work, nprocs=1)
            except Exception as error:
                print(type(error).__name__)
        """,
    )
    found = traced(folder, "spawns.py")
    assert found.stdout == "ProcessRaisedException\n", found.stderr
    assert only_run(folder).manifest.error == "ValueError: bad row"


def test_a_disk_that_stands_still_does_not_keep_a_program_that_calls_os_exit(folder):
    write(
        folder,
        "leaves.py",
        TRAIN
        + """
    import os, time
    from nntrace.recorder.rank_folder import RankFolder
    RankFolder.write = lambda *given: time.sleep(60)
    train(1)
    os._exit(0)
    """,
    )
    found = traced(folder, "leaves.py")
    assert found.returncode == 0


def test_a_forked_child_that_calls_os_exit_leaves_the_run_to_its_parent(folder):
    write(
        folder,
        "forks.py",
        TRAIN
        + """
    import os
    if os.fork() == 0:
        os._exit(5)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
    train(3)
    """,
    )
    found = traced(folder, "forks.py")
    assert found.stdout == "5\n"
    trace = only_run(folder)
    assert len(trace.steps) == 7
    assert trace.status is RunStatus.FINISHED
    assert len(told(found.stderr)) == 1


def test_a_forked_child_that_trains_by_itself_leaves_a_whole_run(folder):
    """`multiprocessing` ends it by `os._exit`."""
    write(
        folder,
        "child.py",
        """
        import multiprocessing

        def work():
            from train import train
            train(6)

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
            print(process.exitcode)
        """,
    )
    found = traced(folder, "child.py")
    assert found.stdout == "0\n", found.stderr
    trace = only_run(folder)
    assert len(trace.steps) == 6
    assert trace.status is RunStatus.FINISHED


def test_an_interrupted_run_ends_as_without_nntrace_and_is_complete(folder):
    code, begun, stderr = interrupted(folder, signal.SIGINT, after=5)
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    trace = only_run(folder)
    assert trace.status is RunStatus.FAILED
    assert trace.manifest.error == "KeyboardInterrupt"
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


def test_the_next_command_can_be_pasted_and_moves_no_cursor(folder):
    write(folder, "train.py", TRAIN)
    (line,) = traced(folder, "--out", "my\x1b[2J run", "train.py").stderr.splitlines()
    assert line.endswith("Next: nntrace diagnose 'my\\x1b[2J run'")


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


def test_a_disk_that_fills_up_is_in_the_last_line_so_that_no_one_takes_the_run_for_healthy(folder):
    fills = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
    write(folder, "fills.py", fills + TRAIN.replace("steps=4", "steps=2000"))
    found = traced(folder, "--out", "run", "--every", "1", "fills.py")
    assert found.returncode == 0
    stopped, last = found.stderr.splitlines()
    assert "tracing stopped in the writer: OSError: File too large" in stopped
    assert " before tracing stopped. Next: nntrace diagnose run" in last


def test_an_error_inside_nntrace_before_the_first_step_is_the_reason_given(folder):
    write(
        folder,
        "broken.py",
        "import torch\n"
        "import nntrace_torch.optimizer.clearing as c\n"
        "def broken(*args): raise RuntimeError('planted')\n"
        "c.GradientClearing.look = broken\n" + TRAIN,
    )
    found = traced(folder, "broken.py")
    assert found.returncode == 0
    assert found.stderr.count("tracing stopped") == 1
    assert "no optimizer step happened" not in found.stderr
    assert runs(folder) == []
