"""What a sampled batch says about the data: fingerprint, duplicates, label counts, moments."""

import zlib
from typing import Any

import numpy as np

from nntrace.recorder.records import BatchRecord
from nntrace.recorder.sample import BatchSample, Float32Array

_MAX_LABELS = 4096  # distinct label values kept of one batch


def summarise(batch: BatchSample) -> BatchRecord:
    """The `data` row of a sampled batch."""
    with np.errstate(all="ignore"):  # infinities are a finding, no reason for a warning
        return _summarise(batch)


def _summarise(batch: BatchSample) -> BatchRecord:
    facts: dict[str, Any] = {}
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
