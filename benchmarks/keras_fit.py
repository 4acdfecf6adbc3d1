"""What tracing costs Keras under `fit`: blocks in one process, first steps in one process each.

One model has two training functions, one of them built under nntrace. Blocks of bare and of traced
steps follow each other (A B A B A), each a call of `fit`. A traced block is compared with the mean
of the two bare ones around it, so that a drift of the machine cancels. It prints the median ratio,
by the clock and by processor time, which other work on the machine hardly changes. The first step,
in which TensorFlow builds its graphs, is measured in bare and traced runs by turns.
"""

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a checkout would be compiled by every process

import keras
from blocks import Times, load, measured, ratios
from nntrace_keras.adapter import KerasAdapter
from overhead import PROGRAMS, processor
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.schema import RunStatus

PROGRAM = PROGRAMS / "keras_fit.py"
BLOCK_SECONDS = 1.5
WRITTEN_SECONDS = 1.0  # more than a round of the writer
MODES: dict[str, Callable[[], Cadence]] = {
    "nntrace, unsampled steps": lambda: Cadence(every=1 << 40),
    # The budget counts the time of the bare blocks as elapsed, too: 1 % of the whole is 2 % of the
    # traced blocks. The grace of a run's first second is over by then.
    "nntrace": lambda: Cadence(budget=0.01, grace_ns=0, dense_steps=1),
    "nntrace --every 1": lambda: Cadence(every=1),
}
TENSORBOARD = "TensorBoard(histogram_freq=1)"
Fit = Callable[[int], None]


class Bare:
    """A model whose training function was built without nntrace, and its data."""

    def __init__(self, name: str, *, xla: bool, per_execution: int) -> None:
        self.program = load("keras_fit")
        self.name = name
        self.model = self.program.compiled(name, xla=xla)
        self.model.steps_per_execution = per_execution
        self.data = self.program.examples(name, 64)
        self.callbacks: list[Any] = []
        self.fit()
        self.function = self.model.train_function
        self._call = ConcreteFunction._call_flat
        self.steps = int(64 * BLOCK_SECONDS / measured(self.fit).clock)
        self.steps -= self.steps % per_execution
        self.data = self.program.examples(name, self.steps)

    def fit(self) -> None:
        """Run a block of steps."""
        batch = self.program.BATCH
        self.model.fit(*self.data, batch_size=batch, verbose=0, callbacks=self.callbacks)

    @contextlib.contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Remove, inside, what was built under nntrace and the hook that each step calls."""
        function, call = self.model.train_function, ConcreteFunction._call_flat
        self.model.train_function, ConcreteFunction._call_flat = self.function, self._call
        try:
            yield
        finally:
            self.model.train_function, ConcreteFunction._call_flat = function, call


@contextlib.contextmanager
def nntrace(bare: Bare, cadence: Cadence, folder: str) -> Iterator[None]:
    """Give the model, inside, a training function that nntrace follows."""
    recorder = Recorder(Path(folder) / "run", Manifest.begin("bench", (), {}), cadence)
    recorder.on_failure(KerasAdapter().install(recorder))
    try:
        bare.model.make_train_function(force=True)
        bare.fit()
        yield
    finally:
        recorder.close(RunStatus.FINISHED)
        bare.model.train_function = bare.function


@contextlib.contextmanager
def tensorboard(bare: Bare, folder: str) -> Iterator[None]:
    """Record histograms of the weights, inside, once per block, which is an epoch."""
    bare.callbacks = [keras.callbacks.TensorBoard(folder, histogram_freq=1)]
    try:
        bare.fit()
        yield
    finally:
        bare.callbacks = []


def steps(bare: Bare, tool: AbstractContextManager[None], pairs: int) -> tuple[list[Times], ...]:
    """Return blocks of bare steps, and the traced blocks between them."""
    blocks: list[Times] = []
    plain: list[Times] = []
    with tool:
        for number in range(2 * pairs + 1):
            time.sleep(WRITTEN_SECONDS)
            if number % 2:
                blocks.append(measured(bare.fit))
                continue
            callbacks, bare.callbacks = bare.callbacks, []
            with bare.as_it_was():
                plain.append(measured(bare.fit))
            bare.callbacks = callbacks
    return plain, blocks


def first_step(prefix: list[str], arguments: list[str]) -> float:
    """Return the seconds of the first step, in a process of its own."""
    command = [*prefix, sys.executable, str(PROGRAM), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def print_steps(bare: Bare, mode: str, pairs: int) -> None:
    """Measure one mode and print its row."""
    with tempfile.TemporaryDirectory() as folder:
        if mode == TENSORBOARD:
            tool = tensorboard(bare, folder)
        else:
            tool = nntrace(bare, MODES[mode](), folder)
        plain, blocks = steps(bare, tool, pairs)
    low, ratio, high = statistics.quantiles(ratios(plain, blocks, 0), n=4)
    of_processor = statistics.median(ratios(plain, blocks, 1))
    step_ms = 1000 * statistics.median(block.clock for block in plain) / bare.steps
    print(
        f"| {bare.name} | {mode} | {step_ms:.2f} ms | {ratio:.3f} | {low:.3f} to {high:.3f} "
        f"| {of_processor:.3f} |",
        flush=True,
    )


def print_first_step(settings: list[str], pairs: int) -> None:
    """Measure first steps and print their row."""
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "nntrace", "run", "--out"]
        times = [
            (first_step([], settings), first_step([*run, f"{folder}/{n}"], settings))
            for n in range(pairs)
        ]
    plain, traced = (statistics.median(one) for one in zip(*times, strict=True))
    found = sorted(other / one for one, other in times)
    print(
        f"| {settings[0]} | {plain:.2f} s | {traced:.2f} s | {statistics.median(found):.2f} "
        f"| {found[0]:.2f} to {found[-1]:.2f} |",
        flush=True,
    )


def main() -> None:
    """Measure what was asked for and print each result once it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--only", default="cnn,lstm,mlp", help="models, separated by commas")
    parser.add_argument("--modes", help="separated by semicolons; `first` is the first step")
    parser.add_argument("--no-xla", action="store_true")
    parser.add_argument("--steps-per-execution", type=int, default=1)
    options = parser.parse_args()
    modes = options.modes.split(";") if options.modes else [*MODES, TENSORBOARD, "first"]
    names = options.only.split(",")
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    blocks = [mode for mode in modes if mode != "first"]
    if blocks:
        print("| model | with | step, bare | ratio | middle half | of processor time |")
        print("|---|---|---|---|---|---|", flush=True)
    for name in names if blocks else []:
        bare = Bare(name, xla=not options.no_xla, per_execution=options.steps_per_execution)
        for mode in blocks:
            print_steps(bare, mode, options.pairs)
    if "first" in modes:
        print("\n| model | first step, bare | with nntrace | ratio | pairs from … to … |")
        print("|---|---|---|---|---|", flush=True)
        for name in names:
            print_first_step([name, *(["--no-xla"] if options.no_xla else [])], options.pairs)


if __name__ == "__main__":
    main()
