"""Measures `diagnose` with all rules on synthetic runs of three sizes: time, memory and growth.

Each size is diagnosed in a process of its own, so that its peak memory is its own. The run is a
network of blocks (linear layer, norm, ReLU) that trains well; every tenth step is sampled. With
`--live` the run is opened as the monitor opens it: with a limited number of rows, and with what is
needed to draw those that are left out.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from nntrace.diagnosis import diagnose
from nntrace.diagnosis.report import MOST_ROWS
from nntrace.manifest import Manifest
from nntrace.recorder.streams import StreamWriter
from nntrace.rules import select_rules
from nntrace.schema import RANK_FOLDER, STATISTICS, STREAMS, Role, RunStatus
from nntrace.trace import Trace

SIZES = (1_000_000, 3_000_000, 10_000_000)
LAYERS = 100
STEPS_PER_SAMPLE = 10
SAMPLES_AT_ONCE = 100
UNITS = 128
KINDS = ("Linear", "LayerNorm", "ReLU")
SLOWEST = 8
LIVE_ROWS = 500_000  # as many as the monitor holds of the rank that it shows


def sites(layers: int) -> list[dict[str, Any]]:
    """Return the sites of a network, in the order of a forward and a backward pass."""
    rows: list[dict[str, Any]] = []

    def add(path: str, role: Role, kind: str, **values: object) -> None:
        rows.append(
            {"id": len(rows), "path": path, "role": role, "module_type": kind, "dtype": "float32"}
            | values
        )

    for layer in range(layers):
        kind = KINDS[layer % len(KINDS)]
        path = f"blocks.{layer // len(KINDS)}.{kind.lower()}"
        output = {"shape": [32, UNITS], "numel": 32 * UNITS, "parent": path.rpartition(".")[0]}
        add(path, Role.ACTIVATION, kind, **output)
        add(path, Role.ACTIVATION_GRAD, kind, **output)
        if kind == "ReLU":
            continue
        shape = [UNITS, UNITS] if kind == "Linear" else [UNITS]
        fans = {"fan_in": UNITS, "fan_out": UNITS} if kind == "Linear" else {}
        for role in (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE):
            numel = int(np.prod(shape))
            add(f"{path}.weight", role, kind, shape=shape, numel=numel, parent=path, **fans)
    return rows


def write(run: Path, rows: int, layers: int) -> None:
    """Write a finished run with about that many rows of statistics."""
    folder = run / RANK_FOLDER.format(0)
    folder.mkdir(parents=True)
    Manifest(name=run.name, status=RunStatus.FINISHED, command=("train.py",)).write(run)
    random = np.random.default_rng(0)
    streams = {name: StreamWriter(folder, name) for name in STREAMS}
    for stream in streams.values():
        stream.open()
    declared = sites(layers)
    streams["sites"].append_rows(declared)
    samples = rows // len(declared)
    for first in range(0, samples, SAMPLES_AT_ONCE):
        at = np.arange(first, min(first + SAMPLES_AT_ONCE, samples)) * STEPS_PER_SAMPLE
        made = {
            "steps": steps(at, samples * STEPS_PER_SAMPLE, random),
            "stats": statistics(at, declared, random),
            "data": batches(at, random),
        }
        for name, columns in made.items():
            append(streams[name], columns, len(at))
    for stream in streams.values():
        stream.close()


def append(stream: StreamWriter, columns: dict[str, Any], batches: int) -> None:
    """Write columns in that many equal batches: a recorder flushes at each sampled step's end."""
    rows = len(columns["step"]) // batches
    for first in range(0, rows * batches, rows):
        stream.append_columns({name: c[first : first + rows] for name, c in columns.items()})


def steps(sampled: np.ndarray, whole: int, random: np.random.Generator) -> dict[str, Any]:
    """Return the steps from each sampled one to the next."""
    step = np.arange(sampled[0], sampled[-1] + STEPS_PER_SAMPLE)
    count = len(step)
    is_sampled = step % STEPS_PER_SAMPLE == 0
    return {
        "step": step,
        "time_ns": step * 10**7,
        "duration_ns": random.integers(9 * 10**6, 11 * 10**6, count),
        "data_wait_ns": np.full(count, 10**5),
        "loss": 0.5 + 2 * np.exp(-3 * step / whole) + random.normal(0, 0.05, count),
        "lr": np.full(count, 1e-3),
        "grad_norm": 1 + random.random(count),
        "batch_size": np.full(count, 32),
        "optimizer": ["AdamW"] * count,
        "phase": ["train"] * count,
        "sampled": is_sampled,
        "overhead_ns": np.where(is_sampled, 10**6, 10**4),
        "gradients_cleared": np.ones(count, dtype=bool),
        "memory_bytes": np.full(count, 10**9),
        "cpu_ns": np.full(count, 10**7),
    }


def statistics(
    sampled: np.ndarray, declared: list[dict[str, Any]], random: np.random.Generator
) -> dict[str, Any]:
    """Return a row for each sampled step and site."""
    typical = {Role.UPDATE: 1e-4, Role.PARAM_GRAD: 1e-3, Role.ACTIVATION_GRAD: 1e-3}
    scale = np.tile([typical.get(Role(str(s["role"])), 0.1) for s in declared], len(sampled))
    rectified = np.tile([s["module_type"] == "ReLU" for s in declared], len(sampled))
    spread = scale * (0.9 + 0.2 * random.random(len(scale)))
    noise = random.normal(0, 0.1, len(scale))
    columns: dict[str, Any] = {
        "step": np.repeat(sampled, len(declared)),
        "site": np.tile(np.arange(len(declared)), len(sampled)),
        "n": np.full(len(scale), 4096),
    }
    for name in STATISTICS:
        if name in ("std", "rms", "max", "q75", "q99", "example_std"):
            values = spread * (3.0 if name in ("max", "q99") else 1.0)
        elif name in ("min", "q01", "q25"):
            values = np.where(rectified, 0.0, -spread)
        elif name == "zero_fraction":
            values = np.where(rectified, 0.5, 0.0)
        elif name.endswith("fraction"):
            values = np.zeros(len(scale))
        elif name == "effective_rank":
            values = 30 + noise
        else:
            values = noise * spread
        columns[name] = values.astype(np.float32)
    return columns


def batches(sampled: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Return a batch for each sampled step."""
    count = len(sampled)
    counts = random.multinomial(32, [0.1] * 10, size=count)
    return {
        "step": sampled,
        "phase": ["train"] * count,
        "fingerprint": random.integers(0, 2**40, count),
        "batch_size": np.full(count, 32),
        "input_mean": random.normal(0, 0.05, count).astype(np.float32),
        "input_std": np.ones(count, dtype=np.float32),
        "label_values": [list(range(10))] * count,
        "label_counts": counts.tolist(),
        "classes": np.full(count, 10),
        "loss_function": ["cross_entropy"] * count,
    }


def measure(run: Path, live: bool) -> dict[str, Any]:
    """Diagnose the run in this process; return seconds and the process's peak memory in MiB."""
    before = _peak()
    began, cpu = time.perf_counter(), time.process_time()
    trace = Trace.open(run, most_rows=LIVE_ROWS if live else MOST_ROWS, drawn=live)
    opened = time.perf_counter() - began
    found = diagnose(trace)
    whole, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = _peak()
    each = {}
    for rule in select_rules():
        start = time.perf_counter()
        with np.errstate(all="ignore"):
            list(rule.run(trace))
        each[rule.code] = time.perf_counter() - start
    return {
        "rows": trace.table("stats").num_rows,
        "opened": opened,
        "seconds": whole,
        "cpu": cpu,
        "peak": peak,
        "before": before,
        "findings": sorted({finding.code for finding in found.findings}),
        "failed": [s.reason for s in found.skipped if "failed" in s.reason],
        "slowest": sorted(each.items(), key=lambda item: -item[1])[:SLOWEST],
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a line for each size, and the slowest rules of the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--layers", type=int, default=LAYERS, help="four sites each, on average")
    parser.add_argument("--live", action="store_true", help="within the monitor's bound")
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)  # a run: this is the child
    options = parser.parse_args()
    if options.of is not None:
        print(json.dumps(measure(options.of, options.live)))
        return
    print(f"{'rows':>12} {'held':>12} {'open s':>8} {'all s':>8} {'CPU s':>8} {'peak MiB':>9}")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            write(run, rows, options.layers)
            words = [sys.executable, __file__, "--of", str(run)]
            child = subprocess.run(
                words + (["--live"] if options.live else []), stdout=subprocess.PIPE, check=True
            )
        result = json.loads(child.stdout)
        print(
            f"{rows:12,} {result['rows']:12,} {result['opened']:8.2f} {result['seconds']:8.2f} "
            f"{result['cpu']:8.2f} {result['peak']:9.0f}",
            flush=True,
        )
    print("slowest rules:", ", ".join(f"{code} {s:.2f} s" for code, s in result["slowest"]))
    print("findings:", ", ".join(result["findings"]) or "none", *result["failed"])


if __name__ == "__main__":
    main()
