"""Watches `fit`: epochs and the metrics Keras computes, and the data sets it draws from."""

import weakref
from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np
from keras.src.callbacks.callback_list import CallbackList
from keras.src.trainers.epoch_iterator import EpochIterator

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_keras.data.evaluations import Entered, EvaluationObserver, first_array
from nntrace_keras.data.passes import Passes
from nntrace_keras.data.pipelines import taken
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.program.sources import caller

_MANY = 64  # data sets; beyond them only some are recorded


class TrainerObserver:
    """Records what `fit` says, and what it and `evaluate` draw from.

    Args:
        path_of: what a model is called in the trace; empty for the first one.
        passes: numbers evaluations.
        entered: sees what enters a model in graphs that evaluate.

    Attributes:
        epoch: the number of the pass over training data that goes on, of all; None outside.
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
        self._loaders: dict[Hashable, int] = {}  # numbers by the identity of what is drawn from
        self._count = 0
        self._loader: int | None = None
        self._steps = 0
        self._iterator: Any = None
        self._passes = 0
        self.epoch: int | None = None

    def install(self, *, loaders: bool = True) -> list[Undo]:
        """Watch the callbacks and, unless another adapter does, the data and the evaluations."""
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
        """Whether `evaluate` or `predict` goes on, or a validation in `fit`."""
        return self._evaluations.is_open

    def _epoch_ends(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        metrics = {
            str(name): float(number)
            for name, value in (logs or {}).items()
            if (number := _number(value)) is not None
        }
        payload: dict[str, Any] = {"epoch": int(epoch), "metrics": metrics}
        if self._loader is not None:
            steps = self._recorder.steps - self._steps
            payload |= {"loader": self._loader, "steps": steps, **_delivered(self._iterator)}
        self._iterator = self.epoch = None
        self._recorder.add_event(EventKind.EPOCH, payload)

    def _loads(self, _: None, iterator: Any, *args: Any, **kwargs: Any) -> None:
        data = iterator.data_adapter
        number, is_new = self._number_of(data)
        if not is_new or (number >= _MANY and not is_landmark(number)):
            return
        source = caller()
        payload = {
            "loader": number,
            "dataset_size": _size(data),
            "batch_size": data.batch_size,
            "batches": data.num_batches,
            "shuffle": bool(getattr(data, "_shuffle", False)),
            "sampler": type(data).__name__,
            "workers": getattr(data, "workers", 0),
            "file": source.file,
            "line": source.line,
        }
        self._recorder.add_event(EventKind.LOADER, payload)

    def _draws(self, iterator: Any) -> None:
        """An epoch of training begins, or an evaluation."""
        self._recorder.hooks.catch_up()
        data = iterator.data_adapter
        number, _ = self._number_of(data)
        if not self._evaluations.draws_from(number, data):
            self._loader, self._steps = number, self._recorder.steps
            self._iterator, self.epoch = iterator, self._passes
            self._passes += 1

    def _number_of(self, data: Any) -> tuple[int, bool]:
        """The number of a data set, the same for the same arrays, and whether it is a new one."""
        source, key = _identity(data)
        if key in self._loaders:
            return self._loaders[key], False
        number = self._loaders[key] = self._count
        self._count += 1
        weakref.finalize(source, self._loaders.pop, key, None).atexit = False
        return number, True


def _identity(data: Any) -> tuple[Any, Hashable]:
    """What keeps the data of an adapter alive, and its key meanwhile.

    A slice that is taken anew before each call is a new array over the same memory.
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
    """How many examples there are to draw from, where that is known."""
    cut = taken(getattr(data, "_dataset", None))
    size: int | None = getattr(data, "_num_samples", None) if cut is None else cut[1]
    return size


def _delivered(iterator: Any) -> dict[str, int]:
    """What the pass has come to, over data of known size.

    With `steps_per_epoch` the next epoch goes on where this one ended: the pass is what counts.
    """
    batches, data = getattr(iterator, "_num_batches", None), getattr(iterator, "data_adapter", None)
    if batches and (cut := taken(getattr(data, "_dataset", None))) is not None:
        return {"batches": batches, "examples": cut[0]}
    size = getattr(data, "_num_samples", None)
    if not batches or not size:
        return {}
    # Keras counts from 0 again when the pass has come to its end.
    drawn = min(batches, iterator._steps_seen or batches)
    return {"batches": drawn, "examples": min(size, drawn * iterator.data_adapter.batch_size)}


def _number(value: Any) -> Any:
    """The one number that a value of any backend is, or None."""
    if isinstance(value, str | dict | list | tuple):
        return None
    values = np.asarray(keras.ops.convert_to_numpy(value))
    return values.reshape(()) if values.size == 1 else None
