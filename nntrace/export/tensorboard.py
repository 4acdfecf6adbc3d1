"""TensorBoard event files with the run's scalars and histograms, one folder per rank.

Needs the package `tensorboard`, not TensorFlow.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nntrace.export.scalars import scalars, tag
from nntrace.extras import require
from nntrace.schema import RANK_FOLDER
from nntrace.trace import Trace


def export(trace: Trace, folder: Path) -> int:
    """Write `FOLDER/rank-00000/events.out.tfevents…`, which `tensorboard --logdir FOLDER` shows."""
    # Not its EventFileWriter, which imports all of TensorFlow where that is installed.
    records = require("tensorboard.summary.writer.record_writer", None, "this export")
    protos = require("tensorboard.compat.proto.summary_pb2", None, "this export")
    events = require("tensorboard.compat.proto.event_pb2", None, "this export")
    written = 0
    for rank in trace.ranks:
        of_rank = trace.of_rank(rank)
        seconds = _wall_times(of_rank)
        started = of_rank.manifest.started_ns / 1e9
        place = folder / RANK_FOLDER.format(rank)
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"events.out.tfevents.{started:010.0f}.nntrace").open("wb") as file:
            writer = records.RecordWriter(file)
            version = events.Event(wall_time=started, file_version="brain.Event:2")
            writer.write(version.SerializeToString())
            for step, value in _values(of_rank, protos):
                wall, summary = seconds.get(step, started), protos.Summary(value=[value])
                event = events.Event(wall_time=wall, step=step, summary=summary)
                writer.write(event.SerializeToString())
                written += 1
    return written


def _wall_times(trace: Trace) -> dict[int, float]:
    steps = trace.steps
    return dict(zip(steps.step.tolist(), (steps.time_ns / 1e9).tolist(), strict=True))


def _values(trace: Trace, protos: Any) -> Iterator[tuple[int, Any]]:
    for scalar in scalars(trace):
        for step, value in zip(scalar.step.tolist(), scalar.value.tolist(), strict=True):
            yield step, protos.Summary.Value(tag=scalar.name, simple_value=value)
    names = {site.id: f"{site.role.value}/{tag(site.path)}" for site in trace.sites}
    for batch in trace.table("histograms").to_batches():
        for row in batch.to_pylist():
            histogram = _histogram(row["edges"] or (), row["counts"] or (), protos)
            if row["site"] in names and histogram is not None:
                value = protos.Summary.Value(tag=names[row["site"]], histo=histogram)
                yield row["step"], value


def _histogram(edges: Any, counts: Any, protos: Any) -> Any:
    """The proto of a sparse histogram of powers of two.

    TensorBoard's buckets end at `bucket_limit` and begin where the one before ends: each of ours
    becomes its own end and, after a gap, an empty one before it.
    """
    finite = [
        (edge, count)
        for edge, count in zip(edges, counts, strict=False)
        if edge is not None and count and np.isfinite(edge)
    ]
    if not finite:
        return None
    limits: list[float] = []
    buckets: list[float] = []
    for edge, count in finite:
        low, high = (edge, 2 * edge) if edge > 0 else (2 * edge, edge)
        if edge == 0:
            low, high = -np.finfo(np.float32).tiny, np.finfo(np.float32).tiny
        if not limits or limits[-1] < low:
            limits.append(float(low))
            buckets.append(0.0)
        limits.append(float(high))
        buckets.append(float(count))
    middles = np.array([1.5 * edge for edge, _ in finite])
    weights = np.array([count for _, count in finite], dtype=float)
    return protos.HistogramProto(
        min=limits[0],
        max=limits[-1],
        num=float(weights.sum()),
        sum=float((middles * weights).sum()),
        sum_squares=float((middles**2 * weights).sum()),
        bucket_limit=limits,
        bucket=buckets,
    )
