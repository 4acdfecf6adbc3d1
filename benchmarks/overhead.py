"""What tracing costs: paired runs of real training programs, bare and traced, A B A B.

Prints a Markdown table of medians and of the median ratio over pairs: in steady state (the second
half of a run) and over the whole run with its first samples. The runs of a pair follow each other
directly, so that a slow drift of the machine cancels. Every run is a process of its own.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
MODES = {"default": [], "every 10": ["--every", "10"], "every 1": ["--every", "1"]}
# All of it takes less than 20 minutes if a step of the ResNet takes 0.2 s.
STEPS = {"mlp": 6000, "resnet": 100, "gpt": 140}
PINNED = 0.4  # of the steps, with a pinned interval: it is in steady state from the start
STARTUPS = {"python -c pass": ["-c", "pass"], "python -c 'import torch'": ["-c", "import torch"]}


@dataclass(frozen=True)
class Pairs:
    """Seconds of bare and traced runs, pair by pair."""

    bare: list[float]
    traced: list[float]

    @property
    def ratio(self) -> float:
        """The median over all pairs of traced / bare."""
        return statistics.median(t / b for b, t in zip(self.bare, self.traced, strict=True))

    @property
    def spread(self) -> str:
        """The smallest and the largest ratio of a pair."""
        ratios = [t / b for b, t in zip(self.bare, self.traced, strict=True)]
        return f"{min(ratios):.3f} to {max(ratios):.3f}"


def step_seconds(command: list[str]) -> tuple[float, float]:
    """Run a program of `programs/`; return its seconds per step: steady state, whole run."""
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    return float(found["seconds_per_step"]), float(found["of_the_run"])


def steps(program: str, options: list[str], pairs: int, scale: float) -> tuple[Pairs, Pairs]:
    """Return paired step times of a program: in steady state, and over the whole run."""
    script = [str(PROGRAMS / f"{program}.py"), "--steps", str(int(STEPS[program] * scale))]
    bare, traced = [], []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(pairs):
            bare.append(step_seconds([sys.executable, *script]))
            out = ["--out", f"{folder}/{pair}"]
            run = [sys.executable, "-m", "nntrace", "run", *out, *options]
            traced.append(step_seconds([*run, sys.executable, *script]))
    steady, whole = (
        Pairs([times[part] for times in bare], [times[part] for times in traced]) for part in (0, 1)
    )
    return steady, whole


def startup(arguments: list[str], pairs: int) -> Pairs:
    """Return paired wall times of a short process as a whole."""
    nntrace = str(Path(sys.executable).with_name("nntrace"))
    bare, traced = [], []
    for _ in range(pairs):
        for times, prefix in ((bare, []), (traced, [nntrace, "run"])):
            started = time.perf_counter()
            subprocess.run([*prefix, sys.executable, *arguments], check=True, capture_output=True)
            times.append(time.perf_counter() - started)
    return Pairs(bare, traced)


def processor() -> str:
    """Return the processor's name, or its architecture if the system does not give the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Measure what was asked for and print each result once it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", help="programs or `startup`, separated by commas")
    parser.add_argument("--modes", help="modes, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual steps")
    options = parser.parse_args()
    # With it nntrace, installed as a checkout, would be compiled anew by every process.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    programs = options.only.split(",") if options.only else [*STEPS, "startup"]
    modes = options.modes.split(",") if options.modes else list(MODES)

    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| program | mode | bare | traced | ratio | pairs from … to … | of the whole run |")
    print("|---|---|---|---|---|---|---|")
    for program in (p for p in programs if p in STEPS):
        for mode in modes:
            scale = options.scale * (PINNED if MODES[mode] else 1.0)
            found, whole = steps(program, MODES[mode], options.pairs, scale)
            bare, traced = (1000 * statistics.median(times) for times in (found.bare, found.traced))
            print(
                f"| {program} | {mode} | {bare:.2f} ms/step | {traced:.2f} ms/step "
                f"| {found.ratio:.3f} | {found.spread} | {whole.ratio:.3f} |",
                flush=True,
            )
    if "startup" in programs:
        for name, arguments in STARTUPS.items():
            found = startup(arguments, 4 * options.pairs)
            bare, traced = (1000 * statistics.median(times) for times in (found.bare, found.traced))
            extra = 1000 * statistics.median(
                t - b for b, t in zip(found.bare, found.traced, strict=True)
            )
            print(
                f"| start-up of `{name}` | | {bare:.0f} ms | {traced:.0f} ms "
                f"| +{extra:.0f} ms | | |"
            )


if __name__ == "__main__":
    main()
