"""What tracing costs Keras under `fit`: pairs of bare and traced runs, and of bare and TensorBoard.

Prints a Markdown table: medians of the later half of the steps, and how much longer the first step
takes, in which TensorFlow builds its graphs. Every run is its own process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from overhead import processor

PROGRAM = Path(__file__).parent / "programs" / "keras_fit.py"
STEPS = {"mlp": 4000, "cnn": 1000, "lstm": 1000}
RUN = [sys.executable, "-m", "nntrace", "run"]
WAYS = {
    "nntrace": (RUN, []),
    "nntrace --every 1": ([*RUN, "--every", "1"], []),
    "TensorBoard(histogram_freq=1)": ([], ["--tensorboard"]),
}


def measured(prefix: list[str], arguments: list[str]) -> tuple[float, float]:
    """Seconds of a later step and of the first one."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/run"] if prefix else []
        command = [*prefix, *out, sys.executable, str(PROGRAM), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["seconds_per_step"], answer["first_step_seconds"]


def main() -> None:
    """Measure what was asked for and print it as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", help="models, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual steps")
    parser.add_argument("--no-xla", action="store_true")
    options = parser.parse_args()
    print(f"{processor()}\n")
    print("| model | with | bare | step | ratio | first step, bare | first step |")
    print("|---|---|---|---|---|---|---|")
    for model in options.only.split(",") if options.only else STEPS:
        settings = [model, "--steps", str(int(STEPS[model] * options.scale))]
        settings += ["--no-xla"] if options.no_xla else []
        for way, (prefix, extra) in WAYS.items():
            pairs = [
                (measured([], settings), measured(prefix, [*settings, *extra]))
                for _ in range(options.pairs)
            ]
            bare, step = (1000 * statistics.median(p[i][0] for p in pairs) for i in (0, 1))
            ratio = statistics.median(other[0] / one[0] for one, other in pairs)
            first = [statistics.median(p[i][1] for p in pairs) for i in (0, 1)]
            print(
                f"| {model} | {way} | {bare:.2f} ms | {step:.2f} ms | {ratio:.2f} "
                f"| {first[0]:.2f} s | {first[1]:.2f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
