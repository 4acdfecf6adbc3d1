"""Watches `fit`: its epochs, the metrics Keras computes, and the data sets it draws from."""

import weakref
from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np
from keras.src.callbacks.callback_list import CallbackList
from keras.src.trainers.epoch_iterator import EpochIterator

from nntrace.recorder import Recorder, is_recorded
from nntrace.schema import EventKind
from nntrace_keras.data.evaluations import Entered, EvaluationObserver, first_array
from nntrace_keras.data.passes import Passes
from nntrace_keras.data.pipelines import taken
from nntrace_keras.data.weights import weights_of_classes
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.program.monitors import thresholds
from nntrace_keras.program.sources import caller


class TrainerObserver:
    """Records the epochs and metrics of `fit`, and the data that it and `evaluate` draw from.

    Args:
        path_of: gives the name of a model in the trace; empty for the first one.
        passes: numbers evaluations.
        entered: sees what enters a model in graphs that evaluate.

    Attributes:
        epoch: the number of the current pass over training data, counted over the whole run; None
            outside of one.
    """

    def __init__(
        self,
        recorder: Recorder,
        path_of: Callable[[Any], str] = lambda _: "",
        passes: Passes | None = None,
        entered: Entered | None = None,
    ) -> None:
        self._recorder = recorder
        self._evaluations = EvaluationObserver(recorder, path_of, passes or Passes(), entered)
        self._loaders: dict[Hashable, int] = {}  # numbers by the identity of the data set
        self._count = 0
        self._loader: int | None = None
        self._evaluations.trained_loader = lambda: self._loader
        self._steps = 0
        self._iterator: Any = None
        self._passes = 0
        self.epoch: int | None = None

    def install(self, *, loaders: bool = True) -> list[Undo]:
        """Watch the callbacks and, if `loaders`, the data sets and the evaluations."""
        guard = self._recorder.guard
        undos = [before(CallbackList, "on_epoch_end", guard(self._epoch_ends))]
        if loaders:
            undos += [
                after(EpochIterator, "__init__", guard(self._loads)),
                before(EpochIterator, "__iter__", guard(self._draws)),
                *self._evaluations.install(),
            ]
        return undos

    @property
    def is_evaluating(self) -> bool:
        """Whether `evaluate`, `predict` or a validation in `fit` is running."""
        return self._evaluations.is_open

    def _epoch_ends(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        metrics = {
            str(name): float(number)
            for name, value in (logs or {}).items()
            if (number := _number(value)) is not None
        }
        payload: dict[str, Any] = {"epoch": int(epoch), "metrics": metrics}
        if not _has_own_step(callbacks.model):
            payload["thresholds"] = thresholds(callbacks.model)
        if self._loader is not None:
            steps = self._recorder.steps - self._steps
            payload |= {"loader": self._loader, "steps": steps, **_delivered(self._iterator)}
        payload["trainable"] = is_trainable = _can_train(callbacks.model)
        if not is_trainable:
            self._recorder.open()  # no step will
        self._iterator = self.epoch = None
        self._recorder.add_event(EventKind.EPOCH, payload)

    def _loads(self, _: None, iterator: Any, *args: Any, **kwargs: Any) -> None:
        data = iterator.data_adapter
        number, is_new = self._number_of(data)
        if not is_new or not is_recorded(number):
            return
        payload = {
            "loader": number,
            "dataset_size": _size(data),
            "batch_size": data.batch_size,
            "batches": data.num_batches,
            "shuffle": bool(getattr(data, "_shuffle", False)),
            "sampler": type(data).__name__,
            "workers": getattr(data, "workers", 0),
            "class_weights": weights_of_classes(kwargs),
            **caller().place,
        }
        self._recorder.add_event(EventKind.LOADER, payload)

    def _draws(self, iterator: Any) -> None:
        """Note that an epoch of training or an evaluation begins."""
        self._recorder.hooks.catch_up()
        data = iterator.data_adapter
        number, _ = self._number_of(data)
        if not self._evaluations.draws_from(number, data):
            self._loader, self._steps = number, self._recorder.steps
            self._iterator, self.epoch = iterator, self._passes
            self._passes += 1

    def _number_of(self, data: Any) -> tuple[int, bool]:
        """The number of a data set, the same for the same arrays, and whether it is new."""
        source, key = identity_of(data)
        if key in self._loaders:
            return self._loaders[key], False
        number = self._loaders[key] = self._count
        self._count += 1
        weakref.finalize(source, self._loaders.pop, key, None).atexit = False
        return number, True


def identity_of(data: Any) -> tuple[Any, Hashable]:
    """The object that keeps a data adapter's data alive, and a key valid while it lives.

    A slice that is taken anew before each call is a new array over the same memory, so an array's
    key is its place in memory and the object is the array that owns it.
    """
    array = first_array(data)
    if array is None:
        source = getattr(data, "_dataset", data)
        return source, id(source)
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner, (array.__array_interface__["data"][0], array.shape, array.strides)


def _size(data: Any) -> int | None:
    """How many examples there are to draw from; None if unknown."""
    cut = taken(getattr(data, "_dataset", None))
    size: int | None = getattr(data, "_num_samples", None) if cut is None else cut[1]
    return size


def _can_train(model: Any) -> bool:
    """Whether a model has trainable weights, or a training step of its own, which needs none."""
    return _has_own_step(model) or bool(model.trainable_weights)


def _has_own_step(model: Any) -> bool:
    return not type(model).train_step.__module__.startswith("keras.")


def _delivered(iterator: Any) -> dict[str, int]:
    """How many batches and examples the current pass has delivered; empty for data of unknown size.

    With `steps_per_epoch` the next epoch goes on where this one ended, so batches are counted over
    the pass, not over the epoch.
    """
    batches, data = getattr(iterator, "_num_batches", None), getattr(iterator, "data_adapter", None)
    if batches and (cut := taken(getattr(data, "_dataset", None))) is not None:
        return {"batches": batches, "examples": cut[0]}
    size = getattr(data, "_num_samples", None)
    if not batches or not size:
        return {}
    # Keras counts from 0 again when the pass has ended.
    drawn = min(batches, iterator._steps_seen or batches)
    return {"batches": drawn, "examples": min(size, drawn * iterator.data_adapter.batch_size)}


def _number(value: Any) -> Any:
    """The value as a scalar array, if it is one number of any backend; else None."""
    if isinstance(value, str | dict | list | tuple):
        return None
    values = np.asarray(keras.ops.convert_to_numpy(value))
    return values.reshape(()) if values.size == 1 else None
