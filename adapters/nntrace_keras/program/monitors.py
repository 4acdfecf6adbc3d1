"""Reads which values of a metric the callbacks of `fit` take for better, and which ones are."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.callbacks.callback_list import CallbackList

from nntrace.adapter.sources import BuiltAt
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.program.sources import CODE

_ACTING = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")
_FAR = 1e9  # beyond any `min_delta`
_BETTER = {"up": "higher", "down": "lower"}  # by Keras' name of a metric's direction


class MonitorWatch:
    """Records each callback that acts on a metric, once it has seen an epoch."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._built = BuiltAt(CODE)
        self._told: set[tuple[Any, ...]] = set()

    def install(self) -> list[Undo]:
        """Watch where callbacks are built, and the end of each `fit`'s epochs."""
        guard = self._recorder.guard
        return [
            before(keras.callbacks.Callback, "__init__", guard(self._built.note)),
            after(CallbackList, "on_epoch_end", guard(self._epoch_ended)),
        ]

    def _epoch_ended(self, _: Any, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        for callback in callbacks.callbacks:
            kind = _kind(callback)
            better = kind and _taken_for_better(callback)
            if not better:
                continue
            source = self._built.of(callback)
            payload = {
                "class": kind,
                "metric": callback.monitor,
                "better": better,
                "meant": meant(callbacks.model, callback.monitor),
                "epochs": (callbacks.params or {}).get("epochs"),
                "restores": bool(getattr(callback, "restore_best_weights", False)),
                "patience": getattr(callback, "patience", None),
                "min_delta": getattr(callback, "min_delta", None),
                **source.place,
            }
            key = tuple(payload.values())
            if key not in self._told:
                self._told.add(key)
                self._recorder.add_event(EventKind.MONITOR, payload)


def meant(model: Any, name: str) -> str | None:
    """Whether `lower` or `higher` values of a metric are better; None where Keras does not say.

    Args:
        model: the model that is trained.
        name: as in the logs of an epoch, with `val_` and the name of an output before it.
    """
    bare = name.removeprefix("val_")
    if bare == "loss":
        return "lower"
    directions = {
        getattr(metric, "_direction", None)
        for metric in _metrics(getattr(model, "metrics", None) or ())
        if bare == metric.name or bare.endswith(f"_{metric.name}")
    }
    return _BETTER.get(directions.pop() or "") if len(directions) == 1 else None


def thresholds(model: Any) -> dict[str, float]:
    """By the names of a model's binary accuracies, the output above which they count a one."""
    if type(model).compute_metrics is not keras.Model.compute_metrics:
        return {}  # they may be given something else than the outputs
    kind = keras.metrics.BinaryAccuracy
    found = (metric for metric in _metrics(model.metrics) if isinstance(metric, kind))
    return {metric.name: float(metric.threshold) for metric in found}


def _metrics(metrics: Any) -> Iterator[Any]:
    """Single metrics, those that `compile` was given among them."""
    for metric in metrics:
        if parts := getattr(metric, "metrics", None):
            yield from _metrics(parts)
        else:
            yield metric


def _kind(callback: Any) -> str:
    """Which of Keras' callbacks that act on a metric it is; empty for others."""
    kinds = (kind for kind in _ACTING if isinstance(callback, getattr(keras.callbacks, kind)))
    kind = next(kinds, "")
    is_idle = kind == "ModelCheckpoint" and not callback.save_best_only
    return "" if is_idle else kind


def _taken_for_better(callback: Any) -> str:
    """Whether a callback takes `lower` or `higher` values for better; empty if it is not known."""
    is_better: Callable[[float, float], Any] | None = getattr(callback, "monitor_op", None)
    if is_better is None:
        return ""
    lower, higher = bool(is_better(-_FAR, _FAR)), bool(is_better(_FAR, -_FAR))
    return "" if lower == higher else "lower" if lower else "higher"
