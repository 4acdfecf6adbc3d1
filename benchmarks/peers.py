"""What a sampled step costs, beside other tools at the same cadence: in one process, by blocks.

Blocks of bare and of traced steps follow each other (A B A B A). A traced block is compared with
the mean of the two bare ones around it, so that a drift of the machine cancels. It prints the
median ratio over the traced blocks, by the clock and by processor time, which other work on the
machine hardly changes. A traced block lasts until what it recorded is on disk. One of nntrace's
begins after the first sampled steps, once they are written; one of unsampled steps is long enough
to include the writer's rounds. `make bench-peers` installs Weights & Biases and TensorBoard beside
nntrace.
"""

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from blocks import Times, load, measured, ratios
from overhead import processor

SET_UP_STEPS = 33  # the first samples read the graph, and a loss that stays is asked about once
BLOCK_STEPS = {"gpt": 30, "resnet": 30, "mlp": 2000}
WRITTEN_SECONDS = 2.0  # more than two rounds of the writer


@contextlib.contextmanager
def nntrace(program: ModuleType, folder: Path, every: int) -> Iterator[Callable[[], None]]:
    """Trace every `every`-th step of a block, or none with 0.

    Samples are in their steady state by then, and those of the set-up on disk.
    """
    from nntrace_torch import TorchAdapter

    from nntrace.manifest import Manifest
    from nntrace.recorder import Cadence, Recorder
    from nntrace.schema import RunStatus

    run = Path(tempfile.mkdtemp(dir=folder)) / "run"
    recorder = Recorder(run, Manifest.begin("bench", (), {}), Cadence(every=1))
    recorder.on_failure(TorchAdapter().install(recorder))
    try:
        for _ in range(SET_UP_STEPS - 1):
            program.step()
        recorder.cadence.every = every or 10**9
        program.step()  # sampled, as was settled at the end of the one before
        time.sleep(WRITTEN_SECONDS)
        yield program.step
    finally:
        recorder.close(RunStatus.FINISHED)


@contextlib.contextmanager
def tensorboard(program: ModuleType, folder: Path, every: int) -> Iterator[Callable[[], None]]:
    """Record histograms of parameters, gradients and module outputs at every `every`-th step."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(tempfile.mkdtemp(dir=folder))
    number = 0

    def observe(module: torch.nn.Module, args: Any, output: Any) -> None:
        writer.add_histogram(f"activation/{names[module]}", output.detach(), number)

    names = {module: name for name, module in program.model.named_modules()}

    def step() -> None:
        nonlocal number
        handles = []
        if number % every == 0:
            handles = [module.register_forward_hook(observe) for module in names]
        program.step()
        for handle in handles:
            handle.remove()
        if number % every == 0:
            for name, parameter in program.model.named_parameters():
                writer.add_histogram(f"param/{name}", parameter.detach(), number)
                writer.add_histogram(f"grad/{name}", parameter.grad, number)
        number += 1

    try:
        yield step
    finally:
        writer.close()


@contextlib.contextmanager
def wandb(program: ModuleType, folder: Path, every: int) -> Iterator[Callable[[], None]]:
    """Use `watch(log="all")`: histograms of parameters and gradients at every `every`-th step."""
    import wandb as package

    place = tempfile.mkdtemp(dir=folder)
    settings = package.Settings(console="off", silent=True)
    run = package.init(mode="offline", dir=place, project="bench", settings=settings)
    run.watch(program.model, log="all", log_freq=every)
    number = 0

    def step() -> None:
        nonlocal number
        program.step()
        run.log({"step": number})
        number += 1

    try:
        yield step
    finally:
        run.unwatch(program.model)
        run.finish()


Tool = Callable[[ModuleType, Path, int], AbstractContextManager[Callable[[], None]]]
MODES: dict[str, tuple[Tool, int]] = {
    "nntrace, unsampled steps": (nntrace, 0),
    "nntrace, every 10": (nntrace, 10),
    "nntrace, every 1": (nntrace, 1),
    "TensorBoard histograms, every 10": (tensorboard, 10),
    "wandb.watch(log='all'), every 10": (wandb, 10),
}


def block(step: Callable[[], None], steps: int, end: Callable[[], object] = bool) -> Times:
    """Return the time of a block of steps, including the call that ends it."""

    def run() -> None:
        for _ in range(steps):
            step()
        end()

    return measured(run)


def traced(program: ModuleType, mode: str, steps: int, folder: Path) -> Times:
    """Return the time of a traced block, after a few steps in which the tool sets itself up."""
    tool, every = MODES[mode]
    with contextlib.ExitStack() as stack:
        step = stack.enter_context(tool(program, folder, every))
        if tool is not nntrace:
            step()
        if not every:
            return block(step, steps)
        return block(step, steps, stack.close if tool is not wandb else bool)


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Measure what was asked for and print each result once it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--only", default="gpt,resnet,mlp", help="programs, separated by commas")
    parser.add_argument("--modes", help="beginnings of modes, separated by semicolons")
    parser.add_argument("--threads", type=int, help="computing threads, if not PyTorch's choice")
    options = parser.parse_args()
    os.environ["WANDB_MODE"] = "offline"
    if options.threads:
        torch.set_num_threads(options.threads)
    wanted = tuple(options.modes.split(";")) if options.modes else ("",)
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{torch.get_num_threads()} computing threads\n")
    print("| program | tool | bare | ratio | middle half | of processor time | bytes a sample |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only.split(","):
        program, steps = load(name), BLOCK_STEPS[name]
        block(program.step, steps)
        for mode in (mode for mode in MODES if mode.startswith(wanted)):
            with tempfile.TemporaryDirectory() as folder:
                bare, blocks = [block(program.step, steps)], []
                for _ in range(options.pairs):
                    blocks.append(traced(program, mode, steps, Path(folder)))
                    bare.append(block(program.step, steps))
                tool, every = MODES[mode]
                samples = SET_UP_STEPS if tool is nntrace else 1
                samples += steps // every if every else 0
                stored = size(Path(folder)) / (options.pairs * samples)
            low, ratio, high = statistics.quantiles(ratios(bare, blocks, 0), n=4)
            of_processor = statistics.median(ratios(bare, blocks, 1))
            step_ms = 1000 * statistics.median(one.clock for one in bare) / steps
            print(
                f"| {name} | {mode} | {step_ms:.2f} ms/step | {ratio:.3f} "
                f"| {low:.3f} to {high:.3f} | {of_processor:.3f} | {stored:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
