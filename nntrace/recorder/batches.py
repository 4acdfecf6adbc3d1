"""Summarises a sampled batch as a row of `data`: fingerprint, duplicates, labels, moments."""

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import BatchSample, Float32Array
from nntrace.rows import Batch

_MAX_SEEN = 1 << 18  # examples of one epoch
_FEWEST_ROWS = 10  # deciles of fewer rows mean nothing
_ROUNDING = 8 * np.finfo(np.float32).eps
_MAX_LABELS = 4096  # distinct label values kept of one batch


class SeenExamples:
    """The examples of the current epoch that were in sampled batches; at most a quarter million."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._seen: set[int] = set()

    def copies(self, batch: BatchSample) -> dict[str, Any]:
        """How many of a batch's examples an earlier one of the same epoch held, and the labels of
        those and of the copies within the batch; empty if unknown.
        """
        if batch.epoch is None or batch.example_hashes is None:
            return {}
        if batch.epoch != self._epoch:
            self._epoch = batch.epoch
            self._seen = set()
        if len(self._seen) > _MAX_SEEN:
            return {}
        hashes, first = np.unique(batch.example_hashes, return_index=True)
        found = set(hashes.tolist())
        repeated = found & self._seen
        facts: dict[str, Any] = {"repeated_examples": len(repeated)}
        labels = _one_for_each(batch)
        if labels is not None:
            is_copy = np.ones(len(labels), bool)
            is_copy[first] = np.isin(hashes, np.fromiter(repeated, np.int64))
            facts["copied_labels"] = tuple(np.unique(labels[is_copy]).tolist())
        self._seen |= found
        return facts


def summarise(batch: BatchSample, seen: SeenExamples) -> Batch:
    """The `data` row of a sampled batch."""
    with np.errstate(all="ignore"):  # infinities become a finding, not a warning
        return _summarise(batch, seen)


def _summarise(batch: BatchSample, seen: SeenExamples) -> Batch:
    facts: dict[str, Any] = {"epoch": batch.epoch, **seen.copies(batch)}
    if batch.example_hashes is not None and len(batch.example_hashes):
        hashes = batch.example_hashes
        facts["fingerprint"] = zlib.crc32(np.ascontiguousarray(hashes).tobytes())
        facts["duplicate_examples"] = int(len(hashes) - len(np.unique(hashes)))
    if batch.inputs is not None:
        facts |= moments("input", batch.inputs)
        facts["input_integer_valued"] = bool(np.all(batch.inputs == np.floor(batch.inputs)))
        if batch.input_features and batch.inputs.size % batch.input_features == 0:
            facts |= _feature_spreads(batch.inputs.reshape(-1, batch.input_features))
    if batch.targets is not None:
        facts |= moments("target", batch.targets)
        facts["target_delivered"] = _is_delivered(batch.delivered, batch.targets)
        labels = batch.targets.astype(np.int64) if batch.labels else batch.class_labels
        if labels is not None:
            counted = labels if batch.ignored is None else labels[labels != batch.ignored]
            values, counts = np.unique(counted, return_counts=True)
            facts["label_values"] = tuple(values[:_MAX_LABELS].tolist())
            facts["label_counts"] = tuple(counts[:_MAX_LABELS].tolist())
    if batch.predictions is not None and batch.predictions.size:
        sums = batch.predictions.sum(axis=1, dtype=np.float64)
        facts |= {
            "row_sum_min": float(sums.min()),
            "row_sum_max": float(sums.max()),
            "output_min": float(batch.predictions.min()),
            "output_max": float(batch.predictions.max()),
            **_log_sums(batch.predictions),
        }
    if batch.term_names and batch.terms is not None:
        facts["term_names"] = batch.term_names
        facts["term_values"] = tuple(batch.terms.tolist())
    return Batch(
        step=batch.step,
        phase=batch.phase,
        batch_size=batch.batch_size,
        classes=batch.classes,
        loss_function=batch.loss_function,
        loss_path=batch.loss_path or batch.loss_function,
        loss_value=batch.loss_value,
        clamped_fraction=batch.clamped,
        **facts,
    )


def _one_for_each(batch: BatchSample) -> npt.NDArray[np.int64] | None:
    """The labels of the examples, if the targets are whole numbers, one for each; else None."""
    labels = batch.targets if batch.class_labels is None else batch.class_labels
    if labels is None or batch.example_hashes is None or len(labels) != len(batch.example_hashes):
        return None
    return labels.astype(np.int64) if bool(np.all(labels == np.floor(labels))) else None


def _log_sums(rows: Float32Array) -> dict[str, float]:
    """The range of the rows' log-sum-exp, which is 0 where the rows are log-probabilities."""
    if rows.shape[1] < 2:
        return {}
    highest = rows.max(axis=1, keepdims=True)
    sums = np.log(np.exp(rows - highest, dtype=np.float64).sum(axis=1)) + highest[:, 0]
    return {"row_lse_min": float(sums.min()), "row_lse_max": float(sums.max())}


def _feature_spreads(rows: Float32Array) -> dict[str, float | int]:
    """The narrowest and the widest feature, by the distance between first and last decile.

    Features that have one value in most rows (flags, borders of images), or would have it but for
    rounding (the sine of multiples of π), have no spread and are left out.
    """
    if len(rows) < _FEWEST_ROWS or rows.shape[1] < 2 or not np.isfinite(rows).all():
        return {}
    # No interpolation between two values: one held by a tenth of the rows would count in part.
    low = np.quantile(rows, 0.1, axis=0, method="higher")
    high = np.quantile(rows, 0.9, axis=0, method="lower")
    spread = high - low
    rounding = _ROUNDING * np.abs(rows).max()
    known = np.flatnonzero((spread > rounding) & ~np.all((rows == 0) | (rows == 1), axis=0))
    if len(known) < 2:
        return {}
    narrow, wide = known[spread[known].argmin()], known[spread[known].argmax()]
    return {
        "feature_spread_low": float(spread[narrow]),
        "feature_spread_high": float(spread[wide]),
        "feature_low": int(narrow),
        "feature_high": int(wide),
    }


def _is_delivered(
    delivered: tuple[tuple[float, float], ...] | None, targets: Float32Array
) -> bool | None:
    """Whether a tensor that the loader delivered has the targets' range; None if unknown."""
    finite = targets[np.isfinite(targets)]
    if delivered is None or not len(finite):
        return None
    span = (float(finite.min()), float(finite.max()))
    if span[0] == span[1] and any(low == high for low, high in delivered):
        return True  # a constant stays constant, however it was scaled on the way
    return any(np.allclose(span, one, rtol=1e-4, atol=1e-6) for one in delivered)


def moments(name: str, values: npt.NDArray[np.floating]) -> dict[str, float]:
    """Mean, std, minimum and maximum of the finite values, as `NAME_mean`, …; empty without any."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return {}
    return {
        f"{name}_mean": float(finite.mean()),
        f"{name}_std": float(finite.std()),
        f"{name}_min": float(finite.min()),
        f"{name}_max": float(finite.max()),
    }


def classes_of_rows(
    targets: npt.NDArray[np.floating] | None, classes: int | None
) -> npt.NDArray[np.int64] | None:
    """The classes of one-hot rows; None if any row is not one-hot."""
    if targets is None or not classes or classes < 2 or targets.size % classes:
        return None
    rows = targets.reshape(-1, classes)
    if not (np.isin(rows, (0.0, 1.0)).all() and (rows.sum(axis=1) == 1.0).all()):
        return None
    labels: npt.NDArray[np.int64] = rows.argmax(axis=1).astype(np.int64)
    return labels
