"""What a sampled batch says about the data: fingerprint, duplicates, label counts, moments."""

import zlib
from typing import Any

import numpy as np

from nntrace.recorder.records import BatchRecord
from nntrace.recorder.sample import BatchSample, Float32Array

_MAX_SEEN = 1 << 18
_MAX_LABELS = 4096  # distinct label values kept of one batch


class SeenExamples:
    """The examples of the current epoch that were in sampled batches; at most a quarter million."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._seen: set[int] = set()

    def repeated(self, batch: BatchSample) -> int | None:
        """How many of its examples were in an earlier batch of the same epoch; None if unknown."""
        if batch.epoch is None or batch.example_hashes is None:
            return None
        if batch.epoch != self._epoch:
            self._epoch = batch.epoch
            self._seen = set()
        if len(self._seen) > _MAX_SEEN:
            return None
        hashes = set(batch.example_hashes.tolist())
        repeated = len(hashes & self._seen)
        self._seen |= hashes
        return repeated


def summarise(batch: BatchSample, seen: SeenExamples) -> BatchRecord:
    """The `data` row of a sampled batch."""
    with np.errstate(all="ignore"):  # infinities are a finding, no reason for a warning
        return _summarise(batch, seen)


def _summarise(batch: BatchSample, seen: SeenExamples) -> BatchRecord:
    facts: dict[str, Any] = {"epoch": batch.epoch, "repeated_examples": seen.repeated(batch)}
    if batch.example_hashes is not None and len(batch.example_hashes):
        hashes = batch.example_hashes
        facts["fingerprint"] = zlib.crc32(np.ascontiguousarray(hashes).tobytes())
        facts["duplicate_examples"] = int(len(hashes) - len(np.unique(hashes)))
    if batch.inputs is not None:
        facts |= _moments("input", batch.inputs)
        facts["input_integer_valued"] = bool(np.all(batch.inputs == np.floor(batch.inputs)))
    if batch.targets is not None:
        facts |= _moments("target", batch.targets)
        if batch.labels:
            values, counts = np.unique(batch.targets.astype(np.int64), return_counts=True)
            facts["label_values"] = tuple(values[:_MAX_LABELS].tolist())
            facts["label_counts"] = tuple(counts[:_MAX_LABELS].tolist())
    if batch.predictions is not None and batch.predictions.size:
        sums = batch.predictions.sum(axis=1, dtype=np.float64)
        facts |= {
            "row_sum_min": float(sums.min()),
            "row_sum_max": float(sums.max()),
            "output_min": float(batch.predictions.min()),
            "output_max": float(batch.predictions.max()),
        }
    return BatchRecord(
        step=batch.step,
        phase=batch.phase,
        batch_size=batch.batch_size,
        classes=batch.classes,
        loss_function=batch.loss_function,
        loss_value=batch.loss_value,
        **facts,
    )


def _moments(name: str, values: Float32Array) -> dict[str, float]:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return {}
    return {
        f"{name}_mean": float(finite.mean()),
        f"{name}_std": float(finite.std()),
        f"{name}_min": float(finite.min()),
        f"{name}_max": float(finite.max()),
    }
