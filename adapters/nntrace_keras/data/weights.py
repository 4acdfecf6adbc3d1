"""What examples of a class weigh in the loss, as `fit` is told by `class_weight` or by example."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_MANY = 1000  # classes


def weights_of_classes(settings: Mapping[str, Any]) -> dict[str, float]:
    """The mean weight of each class, by its number; empty if none is given, or unknown.

    Args:
        settings: the arguments by which Keras builds its iterator over epochs.
    """
    if isinstance(given := settings.get("class_weight"), Mapping):
        return {str(label): float(weight) for label, weight in list(given.items())[:_MANY]}
    weights, labels = settings.get("sample_weight"), settings.get("y")
    if not isinstance(weights, np.ndarray) or not isinstance(labels, np.ndarray):
        return {}
    numbers = _numbers(labels)
    if numbers is None or weights.size != numbers.size or not numbers.size:
        return {}
    counts = np.bincount(numbers)
    sums = np.bincount(numbers, weights.reshape(-1).astype(np.float64))
    return {str(label): float(sums[label] / counts[label]) for label in np.flatnonzero(counts)}


def _numbers(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The class number of each example, from numbers or one-hot rows; None if there are none."""
    if labels.dtype.kind not in "biuf" or labels.ndim > 2:
        return None
    if labels.ndim == 2 and labels.shape[1] > 1:
        is_one_hot = bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())
        return labels.argmax(axis=1) if is_one_hot else None
    flat = labels.reshape(-1)
    if not flat.size or not bool((flat == np.floor(flat)).all()):
        return None
    return flat.astype(np.int64) if flat.min() >= 0 and flat.max() < _MANY else None
