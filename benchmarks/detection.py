"""What a healthy run pays for the watch over non-finite values, as a share of a step.

For each block, it divides the processor time that the training thread spends in the watch by that
of the whole block. Other processes on the machine disturb such a share of one run less than a
difference of two runs. Every other step calls an empty function in place of the watch: what reading
the clock takes there, with caches that the step has filled, is subtracted. Not included: keeping
references to the calls of a step, which replays of other kinds need, too. It prints the median over
the blocks, and how long the answer takes when a value breaks. The target is 0.3 %.
"""

import argparse
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from nntrace_torch.tracer import Tracer
from torch import nn
from torch.nn import functional as F

from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.schema import RunStatus
from nntrace.trace import Trace

WARM_UP = 110  # the first hundred steps are checked more closely


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """Return a model and its inputs: steps of about a millisecond."""
    return nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    ), torch.randn(64, 64)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """Return a model and its inputs: steps of some ten milliseconds."""
    layers: list[nn.Module] = []
    for wide, narrow in ((3, 32), (32, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(wide, narrow, 3, padding=1), nn.BatchNorm2d(narrow), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers), torch.randn(32, 3, 16, 16)


PROGRAMS = {"MLP": (mlp, 75), "CNN": (cnn, 6)}


class Timed:
    """A function, and this thread's processor time spent in it and in reading the clock."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self.spent_ns = 0

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the function and add the time."""
        started = time.thread_time_ns()
        result = self._function(*args, **kwargs)
        self.spent_ns += time.thread_time_ns() - started
        return result


def nothing(*args: object, **kwargs: object) -> float:
    """Stand in for the watch."""
    return 0.0


def put(parts: list[tuple[object, str]], functions: list[Timed]) -> None:
    """Make the program call these functions."""
    for (owner, method), function in zip(parts, functions, strict=True):
        setattr(owner, method, function)


def spent(functions: list[Timed]) -> int:
    """Return the time spent in all of them."""
    return sum(function.spent_ns for function in functions)


def measure(name: str, blocks: int) -> tuple[list[float], float]:
    """Return the watch's share of each block of steps, and the milliseconds of the final answer."""
    make, block = PROGRAMS[name]
    torch.manual_seed(0)
    model, inputs = make()
    target = torch.arange(len(inputs)) % 10
    optimizer = torch.optim.AdamW(model.parameters())

    def train(steps: int) -> int:
        started = time.thread_time_ns()
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), target).backward()
            optimizer.step()
        return time.thread_time_ns() - started

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        recorder = Recorder(run, Manifest.begin("run", (), {}), Cadence(every=1 << 30))
        tracer = Tracer(recorder)
        recorder.on_failure(tracer.install())
        train(WARM_UP)
        watch = tracer.parts.watch
        parts = [(watch, "loss"), (watch, "before_step"), (tracer.parts.losses, "read")]
        watching = [Timed(getattr(owner, method)) for owner, method in parts]
        clock = [Timed(nothing) for _ in parts]
        shares = []
        for _ in range(blocks):
            before = spent(watching), spent(clock)
            total = 0
            for _ in range(block):
                put(parts, clock)
                total += train(1)
                put(parts, watching)
                total += train(1)
            cost = spent(watching) - before[0] - (spent(clock) - before[1])
            shares.append(2 * cost / total)
        inputs[0] = math.nan
        train(1)
        recorder.close(RunStatus.FINISHED)
        (origin, *_) = Trace.open(run).events_of("origin")
        return shares, float(origin.payload["replay_ms"])


def main() -> None:
    """Measure the chosen programs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=list(PROGRAMS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.machine()}, PyTorch {torch.__version__}, {options.blocks} blocks\n")
    print("| program | cost of detection | middle half of the blocks | an answer takes |")
    print("|---|---|---|---|")
    for name in options.programs:
        costs, answer = measure(name, options.blocks)
        low, middle, high = (100 * q for q in statistics.quantiles(costs, n=4))
        print(f"| {name} | {middle:.2f} % | {low:.2f} to {high:.2f} % | {answer:.0f} ms |")


if __name__ == "__main__":
    main()
