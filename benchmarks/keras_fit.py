"""What tracing costs Keras under `fit`: bare runs and runs with nntrace or TensorBoard, in turns.

Prints a Markdown table: the time of a step in the second half of a run, which is the steady state,
as a ratio to the bare run beside it, that of the whole run without its first step, and that of the
first step, in which TensorFlow builds its graphs. Every run is its own process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from overhead import processor

PROGRAM = Path(__file__).parent / "programs" / "keras_fit.py"
# Of training: the second that tracing may take of any run is to be spent in its first half.
SECONDS = {"cnn": 16.0, "lstm": 16.0, "mlp": 16.0}
_FEWER = 4  # times, of steps whose cost does not change in the course of a run
RUN = [sys.executable, "-m", "nntrace", "run"]
WAYS: dict[str, tuple[list[str], list[str]]] = {
    "nntrace": (RUN, []),
    "nntrace --every 1": ([*RUN, "--every", "1"], []),
    "TensorBoard(histogram_freq=1)": ([], ["--tensorboard"]),
}


class Times(NamedTuple):
    """Seconds of a run: of a step in its second half, of one in all of it, of the first."""

    seconds_per_step: float
    seconds_per_step_of_all: float
    first_step_seconds: float


def measured(prefix: list[str], arguments: list[str]) -> Times:
    """Run the program once."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/run"] if prefix else []
        command = [*prefix, *out, sys.executable, str(PROGRAM), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Times(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure what was asked for and print it as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", help="models, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual length")
    parser.add_argument("--no-xla", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    print(f"{processor()}\n")
    print(
        "| model | with | step, bare | step | ratio | of the whole run | first step, bare | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for model in options.only.split(",") if options.only else SECONDS:
        settings = [model, *(["--no-xla"] if options.no_xla else [])]
        seconds = SECONDS[model] * options.scale
        steps = max(20, int(seconds / measured([], [*settings, "--steps", "200"]).seconds_per_step))
        rounds = []
        for _ in range(options.rounds):
            bare = measured([], [*settings, "--steps", str(steps)])
            traced = {}
            for way, (prefix, extra) in WAYS.items():
                enough = steps if way == "nntrace" else steps // _FEWER
                traced[way] = measured(prefix, [*settings, "--steps", str(enough), *extra])
            rounds.append((bare, traced))
        for way in WAYS:
            ratios = [
                statistics.median(other[way][field] / bare[field] for bare, other in rounds)
                for field in range(len(Times._fields))
            ]
            bare_step = 1000 * statistics.median(bare.seconds_per_step for bare, _ in rounds)
            step = 1000 * statistics.median(other[way].seconds_per_step for _, other in rounds)
            first = statistics.median(bare.first_step_seconds for bare, _ in rounds)
            print(
                f"| {model} | {way} | {bare_step:.2f} ms | {step:.2f} ms | {ratios[0]:.2f} "
                f"| {ratios[1]:.2f} | {first:.2f} s | {ratios[2]:.2f} |",
                flush=True,
            )
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
