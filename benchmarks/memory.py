"""What tracing costs in memory: large models, bare and traced, each in a process of its own.

Prints a Markdown table with the peak of resident memory over the run, and the memory resident at
its end (the median of the last steps): for the bare process, and how much more the traced one has.
The models are large where a tracer might copy: one embedding, one dense layer.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs" / "large.py"
MODELS = {
    "embedding": "300 M parameters in bfloat16, 268 M of them one embedding",
    "dense": "one dense layer of 100 M parameters in float32 (400 MB)",
}
MODES = {"default": [], "every 1": ["--every", "1"]}
MEGABYTE = 1e6


@dataclass(frozen=True)
class Memory:
    """Resident bytes of a process: the peak, and at the end."""

    peak: float
    resident: float


def measured(command: list[str]) -> Memory:
    """Run `programs/large.py` and return what it reports."""
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    return Memory(found["peak"], found["resident"])


def middle(runs: list[Memory]) -> Memory:
    """Return the medians over the runs."""
    return Memory(
        statistics.median(run.peak for run in runs),
        statistics.median(run.resident for run in runs),
    )


def main() -> None:
    """Measure the chosen models and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, {options.runs} runs each\n")
    print("| model | tracing | peak bare | peak more | resident bare | resident more |")
    print("|---|---|---|---|---|---|")
    for model in options.models:
        script = [str(PROGRAM), model, "--steps", str(options.steps)]
        bare: list[Memory] = []
        traced: dict[str, list[Memory]] = {mode: [] for mode in MODES}
        for _ in range(options.runs):
            bare.append(measured([sys.executable, *script]))
            for mode, words in MODES.items():
                with tempfile.TemporaryDirectory() as folder:
                    run = ["-m", "nntrace", "run", "--out", f"{folder}/run", *words, sys.executable]
                    traced[mode].append(measured([sys.executable, *run, *script]))
        without = middle(bare)
        for mode, runs in traced.items():
            found = middle(runs)
            numbers = (
                without.peak,
                found.peak - without.peak,
                without.resident,
                found.resident - without.resident,
            )
            cells = " | ".join(f"{number / MEGABYTE:.0f} MB" for number in numbers)
            print(f"| {MODELS[model]} | {mode} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
