"""How a run ends that other processes recorded than the command itself."""

import os
import signal
import sys

import pytest
from processes import TRAIN, bare, traced, write

from nntrace.schema import RunStatus
from nntrace.trace import Trace

# As Ray does: workers train, and are ended by force when they are done.
STARTS_A_WORKER = """
import subprocess, sys, time
import torch

pipe = subprocess.PIPE
worker = subprocess.Popen([sys.executable, "worker.py"], stdout=pipe, stderr=pipe)
worker.stdout.readline()
worker.kill()
worker.wait()
"""
# `nntrace run --live` where there is no terminal.
LIVE = """
from nntrace.cli import main
from nntrace.watch import live

live.has_terminal = lambda: True
live.load_monitor = lambda: lambda watch: None
main(["run", "--live", "--out", "run", "main.py"])
"""
WAITS = TRAIN + "    time.sleep(1.5)\n    print('done', flush=True)\n    time.sleep(60)\n"


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        ("", RunStatus.FINISHED, None),
        ("sys.exit(3)", RunStatus.FAILED, "SystemExit: 3"),
        ("raise ValueError('lost it')", RunStatus.FAILED, "ValueError: lost it"),
    ],
)
def test_workers_that_are_ended_by_force_end_as_the_command_does(folder, end, status, error):
    write(folder, "worker.py", "import time\n" + WAITS)
    write(folder, "main.py", STARTS_A_WORKER + end)
    found = traced(folder, "--out", "run", "main.py")
    trace = Trace.open(folder / "run")
    assert (trace.status, trace.manifest.error) == (status, error)
    assert len(trace.steps) == 4
    is_told = "nntrace: run, no problems found. Next: nntrace diagnose run" in found.stderr
    assert is_told == (status is RunStatus.FINISHED)


def test_under_the_monitor_they_end_as_the_command_does_too(folder):
    write(folder, "worker.py", "import time\n" + WAITS)
    write(folder, "main.py", STARTS_A_WORKER)
    write(folder, "live.py", LIVE)
    bare(folder, sys.executable, "live.py")
    assert Trace.open(folder / "run").status is RunStatus.FINISHED


def test_a_later_process_of_a_shell_script_does_not_end_the_run_of_one_that_was_killed(folder):
    write(folder, "worker.py", "import os, signal\n" + TRAIN + "    os.kill(os.getpid(), 9)\n")
    write(folder, "all.sh", f"{sys.executable} worker.py\n{sys.executable} -c 'import torch'\n")
    assert traced(folder, "--out", "run", "sh", "all.sh").returncode == 0
    assert Trace.open(folder / "run").status is RunStatus.KILLED


def test_a_worker_that_trains_on_is_not_ended(folder):
    write(folder, "worker.py", "import time\n" + WAITS)
    write(folder, "main.py", STARTS_A_WORKER.partition("worker.kill")[0] + "print(worker.pid)")
    found = traced(folder, "--out", "run", "main.py")
    try:
        assert Trace.open(folder / "run").status is RunStatus.RUNNING
    finally:
        os.kill(int(found.stdout), signal.SIGKILL)
