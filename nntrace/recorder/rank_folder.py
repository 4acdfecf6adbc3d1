"""The rank folder on disk: claims it for this process, turns records into rows of its streams.

Used by the writer thread alone. Nothing here knows a framework.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nntrace.recorder.batches import summarise
from nntrace.recorder.liveness import Liveness
from nntrace.recorder.records import EventRecord, SiteRecord, StepRecord
from nntrace.recorder.sample import Float32Array, Sample
from nntrace.recorder.statistics import (
    batched_statistics,
    rows_by_layout,
    saturated_fraction,
    signed_log2_histograms,
)
from nntrace.recorder.streams import StreamWriter
from nntrace.schema import RANK_FOLDER, STATISTICS, STREAMS, EventKind, Role

_HISTOGRAM_EVERY = 10  # samples: histograms are the largest rows and change the slowest


def claim(run: Path, rank: int) -> Path:
    """Create the rank's folder and return its run.

    A second process of the same rank (a script that trains twice in two processes) gets a run
    folder of its own beside the first: `NAME-2`, `NAME-3`, …

    Raises:
        OSError: the folder cannot be created.
    """
    candidate = run
    for number in range(2, 10_000):
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            (candidate / RANK_FOLDER.format(rank)).mkdir()
        except FileExistsError:
            candidate = run.with_name(f"{run.name}-{number}")
        else:
            return candidate
    raise FileExistsError(f"{run} and its 10 000 siblings all hold rank {rank}")


class RankFolder:
    """The streams of one rank, open for appending."""

    def __init__(self, run: Path, rank: int) -> None:
        self.path = run / RANK_FOLDER.format(rank)
        self._streams = {name: StreamWriter(self.path, name) for name in STREAMS}
        for stream in self._streams.values():
            stream.open()
        self._sites: dict[int, SiteRecord] = {}
        self._liveness = Liveness()
        self._nonfinite_sites: set[int] = set()
        self._samples = 0

    def write(
        self,
        sites: Sequence[SiteRecord],
        steps: Sequence[StepRecord],
        samples: Sequence[Sample],
        events: Sequence[EventRecord],
    ) -> None:
        """Append everything, sites first, so that no row refers to a site not yet on disk."""
        self._sites.update({site.id: site for site in sites})
        self._streams["sites"].append_rows([site.row() for site in sites])
        found: list[EventRecord] = []
        norms: dict[int, float] = {}
        for sample in samples:
            norm = self._write_sample(sample, found)
            if norm is not None:
                norms[sample.step] = norm
        self._streams["steps"].append_rows(
            [
                step.row() if step.grad_norm is not None else step.row(norms.get(step.step))
                for step in steps
            ]
        )
        self._streams["data"].append_rows(
            [summarise(sample.batch).row() for sample in samples if sample.batch is not None]
        )
        self._streams["events"].append_rows([event.row() for event in (*events, *found)])

    def close(self) -> None:
        """End every stream."""
        for stream in self._streams.values():
            stream.close()

    def _write_sample(self, sample: Sample, events: list[EventRecord]) -> float | None:
        """Write one sample's rows; the total gradient norm, when it holds gradients."""
        count = len(sample.sites)
        columns = {name: np.full(count, np.nan) for name in STATISTICS}
        n = np.array([part.layout.size for part in sample.sites], dtype=np.int32)
        with np.errstate(all="ignore"):
            for layout, rows in rows_by_layout(sample).items():
                if layout.size == 0:
                    continue
                values = np.stack([_values(sample, row) for row in rows])
                for name, column in batched_statistics(values, layout).items():
                    columns[name][rows] = column
                if layout.per_unit:
                    self._per_unit(sample, rows, columns)
                if self._samples % _HISTOGRAM_EVERY == 0:
                    self._write_histograms(sample, rows, values)
        self._samples += 1
        # A value beyond float32 is written as the infinity it is in float32.
        with np.errstate(over="ignore"):
            narrow = {name: column.astype(np.float32) for name, column in columns.items()}
        self._streams["stats"].append_columns(
            {
                "step": np.full(count, sample.step, dtype=np.int64),
                "site": np.array([part.site for part in sample.sites], dtype=np.int32),
                "n": n,
                **narrow,
            }
        )
        self._note_nonfinite(sample, columns["nonfinite_fraction"], events)
        return self._total_gradient_norm(sample, columns["rms"], n)

    def _per_unit(self, sample: Sample, rows: Any, columns: dict[str, Any]) -> None:
        for row in rows:
            part = sample.sites[row]
            site, layout = self._sites[part.site], part.layout
            if site.role is not Role.ACTIVATION:
                continue
            values = _values(sample, row)
            dead = self._liveness.update(site.id, values, layout)
            if dead is not None:
                columns["dead_fraction"][row] = dead
            if site.range_low is not None and site.range_high is not None:
                columns["saturated_fraction"][row] = saturated_fraction(
                    values, site.range_low, site.range_high
                )

    def _write_histograms(self, sample: Sample, rows: Any, values: Any) -> None:
        histograms = signed_log2_histograms(values)
        self._streams["histograms"].append_rows(
            [
                {
                    "step": sample.step,
                    "site": sample.sites[row].site,
                    "edges": edges.tolist(),
                    "counts": counts.tolist(),
                }
                for row, (edges, counts) in zip(rows, histograms, strict=True)
            ]
        )

    def _note_nonfinite(self, sample: Sample, fractions: Any, events: list[EventRecord]) -> None:
        for row in np.flatnonzero(fractions > 0):
            site = self._sites[sample.sites[row].site]
            if site.id not in self._nonfinite_sites:
                self._nonfinite_sites.add(site.id)
                payload = {"role": site.role.value, "site": site.path}
                events.append(
                    EventRecord(
                        sample.step,
                        time.time_ns(),
                        EventKind.NONFINITE,
                        "error",
                        site.id,
                        json.dumps(payload),
                    )
                )

    def _total_gradient_norm(self, sample: Sample, rms: Any, n: Any) -> float | None:
        squares = [
            float(rms[row]) ** 2 * self._sites[part.site].numel
            for row, part in enumerate(sample.sites)
            if n[row] and self._sites[part.site].role is Role.PARAM_GRAD
        ]
        return float(np.sqrt(np.sum(squares))) if squares else None


def _values(sample: Sample, row: int) -> Float32Array:
    part = sample.sites[row]
    return sample.values[part.offset : part.offset + part.layout.size]
