"""Measures the monitor on synthetic traces: first paint, delays of the UI thread, idle CPU, bytes.

`--rows` is how many rows of statistics the trace has; `--layers` and `--ranks` set how wide it is.
First paint and idle cost are those of `nntrace monitor` in a terminal of its own (a
pseudo-terminal). Delays are how late a clock on the UI thread ticks while the pages change and the
run grows.
"""

import argparse
import asyncio
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from nntrace_tui.app import MonitorApp
from nntrace_tui.startup import spare_what_stands, without_collection
from nntrace_tui.view import Page

from nntrace.arrow import arrow_schema
from nntrace.diagnosis import diagnose
from nntrace.manifest import Manifest
from nntrace.schema import RANK_FOLDER, SEGMENT, STATISTICS
from nntrace.watch import Watch

ROLES = ("activation", "activation_grad", "param", "param_grad", "update")
BATCH_ROWS = 5000
TICK_SECONDS = 0.005


class Run:
    """A run folder that can grow."""

    def __init__(self, folder: Path, layers: int, ranks: int) -> None:
        self.folder = folder
        self.layers = layers
        self.step = 0
        self.random = np.random.default_rng(0)
        folder.mkdir()
        Manifest.begin(folder.name, ("python", "train.py"), {}).write(folder)
        self.writers: dict[str, pa.ipc.RecordBatchStreamWriter] = {}
        self.ranks = ranks
        self.sites = [(layer, role) for layer in range(layers) for role in ROLES]
        self.write("sites", 0, [self.site(*numbered) for numbered in enumerate(self.sites)])

    def site(self, number: int, site: tuple[int, str]) -> dict[str, object]:
        """Return a row of `sites`."""
        layer, role = site
        module = f"blocks.{layer // 8}.layer{layer % 8}"
        own = role.startswith("activation")
        return {
            "id": number,
            "path": module if own else f"{module}.weight",
            "role": role,
            "module_type": "Linear",
            "parent": f"blocks.{layer // 8}" if own else module,
            "numel": 10_000,
            "dtype": "float32",
        }

    def write(self, stream: str, rank: int, rows: list[dict[str, object]] | pa.RecordBatch) -> None:
        """Append a batch of rows to a stream."""
        schema = arrow_schema(stream)
        name = f"{RANK_FOLDER.format(rank)}/{SEGMENT.format(stream, 0)}"
        if name not in self.writers:
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            file = path.open("wb", buffering=0)
            self.writers[name] = pa.ipc.new_stream(file, schema, options=options)
        if isinstance(rows, list):
            rows = pa.RecordBatch.from_pylist(rows, schema=schema)
        self.writers[name].write_batch(rows)

    def grow(self, samples: int) -> None:
        """Add that many steps, each of them sampled."""
        per_batch = max(1, BATCH_ROWS // len(self.sites))
        while samples > 0:
            count = min(per_batch, samples)
            steps = np.arange(self.step, self.step + count)
            for rank in range(self.ranks):
                self.write("steps", rank, [self.step_row(int(step)) for step in steps])
            rows = count * len(self.sites)
            columns = {"step": np.repeat(steps, len(self.sites))}
            columns["site"] = np.tile(np.arange(len(self.sites)), count)
            values = np.exp(self.random.normal(size=rows)).astype(np.float32)
            for name in STATISTICS:
                columns[name] = np.zeros_like(values) if name.endswith("fraction") else values
            columns["n"] = np.full(rows, 4096)
            schema = arrow_schema("stats")
            arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
            self.write("stats", 0, pa.RecordBatch.from_arrays(arrays, schema=schema))
            self.step += count
            samples -= count

    def step_row(self, step: int) -> dict[str, object]:
        """Return a row of `steps`."""
        return {
            "step": step,
            "time_ns": time.time_ns(),
            "duration_ns": 10_000_000,
            "data_wait_ns": 1_000_000,
            "loss": float(2 / (1 + step / 100) + self.random.normal() / 20),
            "lr": 1e-3,
            "grad_norm": 1.0,
            "batch_size": 32,
            "phase": "train",
            "sampled": True,
            "overhead_ns": 100_000,
        }


def watch_terminal(run: Path, seconds: float) -> tuple[float, float, float, float, float]:
    """Measure the monitor in a terminal.

    Returns:
        Seconds to the first painted curve, by the clock and of processor time; then, while idle,
        the share of a core, bytes per second and MiB.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has bytecode
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "nntrace", "monitor", str(run)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
        start_new_session=True,
    )
    shown = ""
    while "grad norm" not in shown or max(shown) < "⠁":  # braille: the loss is drawn
        shown += os.read(leader, 1 << 16).decode("utf-8", "ignore")
    painted = time.perf_counter() - began
    watched = psutil.Process(process.pid)
    before = watched.cpu_times()
    cpu_painted = before.user + before.system
    _drain(leader, 25.0)  # the first diagnosis, and what follows from it
    before = watched.cpu_times()
    sent = _drain(leader, seconds)
    after = watched.cpu_times()
    busy = after.user + after.system - before.user - before.system
    memory = watched.memory_info().rss / 2**20
    os.write(leader, b"q")
    _drain(leader, 2.0)
    process.kill()
    process.wait()
    return painted, cpu_painted, busy / seconds, sent / seconds, memory


def _drain(leader: int, seconds: float) -> int:
    """Read for that long; return the number of bytes."""
    ends = time.monotonic() + seconds
    total = 0
    while (left := ends - time.monotonic()) > 0:
        if select.select([leader], [], [], left)[0]:
            try:
                total += len(os.read(leader, 1 << 16))
            except OSError:
                break
    return total


async def delays(run: Run, seconds: float) -> tuple[list[float], list[float]]:
    """Measure the UI thread while pages change and the run grows.

    Returns:
        How late each tick of a clock on it was, and how long it worked between two ticks; sorted.
    """
    late: list[float] = []
    busy: list[float] = []

    async def tick() -> None:
        while True:
            began, spent = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - began - TICK_SECONDS)
            busy.append(time.thread_time() - spent)

    app = MonitorApp(Watch(run.folder, diagnose), settled=spare_what_stands)
    async with app.run_test(size=(160, 48)) as pilot:
        await asyncio.sleep(5)
        clock = asyncio.ensure_future(tick())
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for page in Page:
                run.grow(1)
                await pilot.press(page.key)
                await asyncio.sleep(1.5)
        clock.cancel()
    return sorted(late), sorted(busy)


def main() -> None:
    """Measure, and print a line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of statistics")
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run", options.layers, options.ranks)
        run.grow(options.rows // len(run.sites))
        print(f"{options.rows:,} rows, {options.layers:,} layers, {options.ranks} ranks")
        painted, cpu, busy, sent, memory = watch_terminal(run.folder, options.seconds)
        print(f"first paint          {painted:.2f} s, {cpu:.2f} s of them processor time")
        print(
            f"idle                 {busy:.1%} of a core, {sent / 1000:.2f} kB/s, {memory:.0f} MiB"
        )
        with without_collection():
            late, working = asyncio.run(delays(run, options.seconds))
        for name, sorted_seconds in (("late by", late), ("busy for", working)):
            rare, worst = (1e3 * sorted_seconds[n] for n in (len(late) * 99 // 100, -1))
            print(f"UI thread {name:<10} 99 %: {rare:.0f} ms, worst: {worst:.0f} ms")


if __name__ == "__main__":
    main()
