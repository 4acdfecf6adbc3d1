"""What reading a finished run costs: `nntrace diagnose` and `nntrace report` on synthetic runs.

`--rows` is how many rows of statistics the run has; every twentieth sample has histograms. Each
command is a process of its own. Printed are the wall-clock time, and the processor time of the
process and its children: the medians of several runs. The first report on a machine also bundles
the script of its page. nntrace's bytecode is on disk, as after an installation.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from monitor import Run

COMMANDS = {
    "diagnose": ["diagnose", "--fail-on", "never"],
    "report": ["report", "-o", "report.html"],
    "report, the first": ["report", "-o", "report.html"],
}
EDGES = [float(sign * 2.0**power) for sign in (-1, 1) for power in range(-12, 4)]


def make(folder: Path, rows: int, layers: int) -> Path:
    """Write a run with about that many rows of statistics; return its folder."""
    run = Run(folder / "run", layers, 1)
    run.grow(rows // len(run.sites))
    counts = np.random.default_rng(0).integers(0, 500, (run.step // 20 + 1, len(EDGES)))
    for sample, step in enumerate(range(0, run.step, 20)):
        histograms = [
            {"step": step, "site": site, "edges": EDGES, "counts": counts[sample].tolist()}
            for site in range(0, len(run.sites), 5)
        ]
        run.write("histograms", 0, histograms)
    for writer in run.writers.values():
        writer.close()
    return run.folder


def measure(words: list[str], folder: Path, cache: Path) -> tuple[float, float]:
    """Return the seconds of wall-clock time and of processor time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "nntrace", *words, "run"],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        capture_output=True,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure the commands and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of statistics")
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.rows, options.layers)
        print(f"{platform.machine()}, {os.cpu_count()} cores, {options.rows:,} rows\n")
        print("| command | wall clock | processor time |\n|---|---|---|")
        measure(COMMANDS["report"], folder, folder / "compiling")
        for command, words in COMMANDS.items():
            times = []
            for number in range(options.repeats):
                fresh = command.endswith("first")
                times.append(measure(words, folder, folder / (f"cache{number}" if fresh else "c")))
            wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"| {command} | {wall:.1f} s | {cpu:.1f} s |")
        page = (folder / "report.html").stat().st_size
        print(f"\nThe page has {page / 1e6:.1f} MB.")


if __name__ == "__main__":
    main()
