"""The rank folder on disk: claims it for this process and turns records into rows of its streams.

Only the writer thread uses it. Nothing here knows a framework.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.recorder.batches import SeenExamples, summarise
from nntrace.recorder.blocks import Workspace
from nntrace.recorder.capsules import CapsuleRecord, write_capsule
from nntrace.recorder.columns import lists
from nntrace.recorder.digits import shorten
from nntrace.recorder.histograms import BinCounts
from nntrace.recorder.layers import LayerFacts
from nntrace.recorder.records import EventRecord, ScalarRecord, StepRecord, step_columns
from nntrace.recorder.rows import Rows
from nntrace.recorder.sample import KeptTensor, Sample
from nntrace.recorder.statistics import batched_statistics
from nntrace.recorder.streams import StreamWriter
from nntrace.recorder.successive import SuccessiveSteps
from nntrace.recorder.trained_on import TrainedOn
from nntrace.recorder.unrest import SiteLevels
from nntrace.rows import Site
from nntrace.schema import RANK_FOLDER, STATISTICS, STREAMS, EventKind, Role

_HISTOGRAM_EVERY = 10  # samples: histograms take the most space and change the slowest


def claim(run: Path, rank: int) -> Path:
    """Create the rank's folder and return the run folder that holds it.

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
    """The streams of one rank, open for appending.

    Args:
        run: the run folder; it and the rank's folder in it exist.
        rank: the rank that is recorded.
        all_gradients: whether every parameter's gradient is sampled, so that a total norm exists.
        on_unrest: called when a site's values leave their usual scale.
    """

    def __init__(
        self,
        run: Path,
        rank: int,
        *,
        all_gradients: bool = True,
        on_unrest: Callable[[], None] = lambda: None,
    ) -> None:
        self._all_gradients = all_gradients
        self._on_unrest = on_unrest
        self._levels = SiteLevels()
        self.path = run / RANK_FOLDER.format(rank)
        self._streams = {name: StreamWriter(self.path, name) for name in STREAMS}
        for stream in self._streams.values():
            stream.open()
        self._sites: dict[int, Site] = {}
        self._gradient_elements = np.zeros(0)  # by site
        self._layers = LayerFacts()
        self._seen = SeenExamples()
        self._trained_on = TrainedOn()
        self._workspace = Workspace()
        self._nonfinite_sites: set[int] = set()
        self._successive = SuccessiveSteps()
        self._sample_columns: dict[int, dict[str, float]] = {}  # by step, until it is written
        self._samples = 0
        self._capsules = 0

    def write(
        self,
        sites: Sequence[Site],
        steps: Sequence[StepRecord],
        samples: Sequence[Sample],
        events: Sequence[EventRecord],
        scalars: Sequence[ScalarRecord] = (),
        capsules: Sequence[CapsuleRecord] = (),
    ) -> None:
        """Append everything, sites first, so that no row refers to a site not yet on disk."""
        self._sites.update({site.id: site for site in sites})
        if sites:
            self._layers.learn_sites(sites)
            self._gradient_elements = _gradient_elements(self._sites)
        self._streams["sites"].append_rows([site.row() for site in sites])
        for event in events:
            if event.kind is EventKind.GRAPH:
                self._layers.learn_graph(json.loads(event.payload))
        batches = [sample.batch for sample in samples if sample.batch is not None]
        found = self._trained_on.look(batches, events)
        if samples:
            norms = self._write_samples(samples, found)
            for sample in samples:
                values = self._successive.compare(sample, self._sites)
                if sample.step in norms:
                    values["grad_norm"] = norms[sample.step]
                self._sample_columns[sample.step] = values
        if steps:  # a sample may have been written before its step was queued
            facts = [self._sample_columns.pop(step.step, {}) for step in steps]
            self._streams["steps"].append_columns(step_columns(steps, facts), nan_is_null=False)
        self._streams["data"].append_rows([summarise(batch, self._seen).row() for batch in batches])
        self._streams["losses"].append_rows(
            [
                summarise(loss, self._seen).row()
                for sample in samples
                for loss in sample.further_losses
            ]
        )
        self._streams["tensors"].append_rows(
            [_tensor_row(sample.step, kept) for sample in samples for kept in sample.tensors]
        )
        self._streams["scalars"].append_rows([scalar.row() for scalar in scalars])
        found += [self._write_capsule(capsule) for capsule in capsules]
        self._streams["events"].append_rows([event.row() for event in (*events, *found)])

    def close(self) -> None:
        """End every stream."""
        for stream in self._streams.values():
            stream.close()

    def _write_capsule(self, capsule: CapsuleRecord) -> EventRecord:
        """Write one capsule and return its event, or one that says why there is no capsule."""
        kind = EventKind.CAPSULE
        try:
            payload = write_capsule(self.path, self._capsules, capsule)
            self._capsules += 1
        except Exception as error:  # a capsule that cannot be written must not end the trace
            reason = f"could not be written: {type(error).__name__}: {error}"
            kind, payload = EventKind.UNSEEN, {"what": "capsule", "reason": reason}
        return EventRecord(capsule.step, capsule.time_ns, kind, "info", None, json.dumps(payload))

    def _write_samples(
        self, samples: Sequence[Sample], events: list[EventRecord]
    ) -> dict[int, float]:
        """Write the samples' statistics and return the total gradient norms by step.

        All waiting samples are one batch: rows of equal layout are reduced together.
        """
        rows = Rows(samples)
        with_histograms = samples[-self._samples % _HISTOGRAM_EVERY :: _HISTOGRAM_EVERY]
        bins = BinCounts(
            np.isin(rows.step, [sample.step for sample in with_histograms]) & (rows.size > 0)
        )
        with np.errstate(all="ignore"):
            columns = batched_statistics(
                rows.by_layout, len(rows.site), self._workspace, bins if with_histograms else None
            )
            self._layers.add(rows, columns)
            # A value beyond the range of float32 becomes infinity.
            narrow = {name: columns[name].astype(np.float32) for name in STATISTICS}
            shorten(narrow)
        self._streams["stats"].append_columns(
            {"step": rows.step, "site": rows.site, "n": rows.size, **narrow}
        )
        self._write_histograms(rows, bins)
        self._samples += len(samples)
        for step in dict.fromkeys(rows.step.tolist()):
            of_step = rows.step == step
            if len(self._levels.leave(rows.site[of_step], columns["std"][of_step])):
                self._on_unrest()
        self._note_nonfinite(rows, columns["nonfinite_fraction"], events)
        known = {(s.step, site): total for s in samples for site, total in s.squares.items()}
        return self._total_gradient_norms(rows, columns["rms"], known)

    def _write_histograms(self, rows: Rows, bins: BinCounts) -> None:
        found = bins.histograms()
        self._streams["histograms"].append_columns(
            {
                "step": rows.step[bins.is_wanted],
                "site": rows.site[bins.is_wanted],
                "edges": lists(found.lengths, found.edges),
                "counts": lists(found.lengths, found.counts),
            }
        )

    def _note_nonfinite(self, rows: Rows, fractions: Any, events: list[EventRecord]) -> None:
        for number in np.flatnonzero(fractions > 0).tolist():
            site = self._sites[int(rows.site[number])]
            if site.id not in self._nonfinite_sites:
                self._nonfinite_sites.add(site.id)
                facts = {"role": site.role.value, "site": site.path, "nan": rows.holds_nan(number)}
                payload = json.dumps(facts)
                kind = EventKind.NONFINITE
                step = int(rows.step[number])
                events.append(EventRecord(step, time.time_ns(), kind, "error", site.id, payload))

    def _total_gradient_norms(
        self, rows: Rows, rms: Any, known: Mapping[tuple[int, int], float]
    ) -> dict[int, float]:
        """The total gradient norm by step: √Σ numel · rms² over the sampled parameter gradients.

        `known` holds sums of squares by step and site, used instead where there are any.
        """
        if not self._all_gradients:
            return {}
        weight = self._gradient_elements[rows.site]
        gradients = np.flatnonzero((weight > 0) & (rows.size > 0))
        steps, which = np.unique(rows.step[gradients], return_inverse=True)
        squares = weight[gradients] * rms[gradients] ** 2
        if known:
            places = zip(rows.step[gradients].tolist(), rows.site[gradients].tolist(), strict=True)
            squares = [known.get(at, one) for at, one in zip(places, squares, strict=True)]
        totals = np.bincount(which, weights=squares)
        return dict(zip(steps.tolist(), np.sqrt(totals).tolist(), strict=True))


def _gradient_elements(sites: Mapping[int, Site]) -> npt.NDArray[np.float64]:
    """The number of real numbers in each site's gradient, by site id; 0 for other sites."""
    elements = np.zeros(max(sites, default=-1) + 1)
    for site in sites.values():
        if site.role is Role.PARAM_GRAD:
            # A complex number counts as two: both of its parts are sampled.
            elements[site.id] = site.numel * (2 if site.dtype.startswith("complex") else 1)
    return elements


def _tensor_row(step: int, kept: KeptTensor) -> dict[str, Any]:
    return {
        "step": step,
        "role": kept.role,
        "path": kept.path,
        "shape": kept.shape,
        "dtype": kept.dtype,
        "kept_shape": kept.values.shape,
        "stride": kept.stride,
        "values": kept.values.astype(np.float64).reshape(-1),
    }
