"""The lowest value a loss of Keras can take on given targets."""

from typing import Any

import keras
import numpy as np

from nntrace_keras.probes.answers import Array

_LEAST = 1e-12
_ENTROPIES = ("categorical_crossentropy", "binary_crossentropy")
_ZERO = frozenset(
    (
        "sparse_categorical_crossentropy",
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "huber",
        "log_cosh",
        "hinge",
        "squared_hinge",
        "categorical_hinge",
        "kl_divergence",
    )
)
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def floor_of(loss: Any, targets: Any) -> float | None:
    """The least mean loss over all predictions; None if it is unknown.

    For a cross-entropy it is the entropy of the targets, 0 for hard ones; for a distance it is 0.

    Args:
        loss: the argument of `compile`, or a Keras loss: its name, function or object.
        targets: of one batch.
    """
    name, settings = _told(loss)
    if name in _ZERO:
        return 0.0
    values = np.asarray(targets)
    if name not in _ENTROPIES or settings.get("label_smoothing") or not values.size:
        return None
    values = values.astype(float)
    if values.min() < 0 or values.max() > 1:
        return None
    floor = _binary(values) if name.startswith("binary") else _categorical(values)
    return floor if not floor or getattr(loss, "reduction", _MEANS[0]) in _MEANS else None


def _told(loss: Any) -> tuple[str, dict[str, Any]]:
    """The name of a Keras loss function and its settings; ("", {}) for any other function."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    function = getattr(loss, "fn", loss)
    if not getattr(function, "__module__", "").startswith("keras."):
        return "", {}
    return getattr(function, "__name__", ""), getattr(loss, "_fn_kwargs", {})


def _categorical(values: Array) -> float:
    return float(-(values * np.log(np.maximum(values, _LEAST))).sum(-1).mean()) + 0.0


def _binary(values: Array) -> float:
    rest = 1 - values
    logs = values * np.log(np.maximum(values, _LEAST)) + rest * np.log(np.maximum(rest, _LEAST))
    return float(-logs.mean()) + 0.0
