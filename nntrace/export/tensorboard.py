"""Exports TensorBoard event files with the run's scalars and histograms, one folder per rank.

This needs the package `tensorboard`, but not TensorFlow.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nntrace.export.histograms import Bins, histograms
from nntrace.export.scalars import scalars
from nntrace.extras import require
from nntrace.schema import RANK_FOLDER
from nntrace.trace import Trace


def export(trace: Trace, folder: Path) -> int:
    """Write `FOLDER/rank-00000/events.out.tfevents…`, which `tensorboard --logdir FOLDER` shows.

    Returns the number of values written.
    """
    # Without its EventFileWriter, which imports all of TensorFlow where that is installed.
    records = require("tensorboard.summary.writer.record_writer", "this export")
    protos = require("tensorboard.compat.proto.summary_pb2", "this export")
    events = require("tensorboard.compat.proto.event_pb2", "this export")
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
    for step, name, bins in histograms(trace):
        yield step, protos.Summary.Value(tag=name, histo=_histogram(bins, protos))


def _histogram(bins: Bins, protos: Any) -> Any:
    """The bins as TensorBoard's histogram.

    Its buckets end at `bucket_limit` and begin where the one before ends, so an empty first bucket
    ends where the bins begin.
    """
    return protos.HistogramProto(
        min=bins.bounds[0],
        max=bins.bounds[-1],
        num=float(bins.weights.sum()),
        sum=float((bins.middles * bins.weights).sum()),
        sum_squares=float((bins.middles**2 * bins.weights).sum()),
        bucket_limit=bins.bounds,
        bucket=[0.0, *bins.counts],
    )
