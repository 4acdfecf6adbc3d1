"""Starts programs in processes, untraced or under `nntrace run`, for the launcher's tests."""

import subprocess
import sys
import textwrap

from nntrace.trace import Trace

# The program that most launcher tests run: four steps of a linear model.
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
    """Split stderr into the program's own lines and those of nntrace."""
    lines = stderr.splitlines()
    ours = [line for line in lines if line.startswith("nntrace: ")]
    return [line for line in lines if line not in ours], ours


def runs(folder):
    home = folder / "nntrace-runs"
    return sorted(home.iterdir()) if home.exists() else []


def only_run(folder):
    (run,) = runs(folder)
    return Trace.open(run)
