"""Watches `fit`: epochs and the metrics Keras computes, and the data set it was given."""

from typing import Any

import keras
import numpy as np
from keras.src.callbacks.callback_list import CallbackList
from keras.src.trainers.epoch_iterator import EpochIterator

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, after, before


class TrainerObserver:
    """Records what `fit` and `evaluate` say."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def install(self, *, loaders: bool = True) -> list[Undo]:
        """Watch the callbacks and, unless another adapter does, the data adapters."""
        guard = self._recorder.guard
        undos = [before(CallbackList, "on_epoch_end", guard(self._epoch_ends))]
        if loaders:
            undos.append(after(EpochIterator, "__init__", guard(self._loads)))
        return undos

    def _epoch_ends(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        metrics = {
            str(name): float(number)
            for name, value in (logs or {}).items()
            if (number := _number(value)) is not None
        }
        self._recorder.add_event(EventKind.EPOCH, {"epoch": int(epoch), "metrics": metrics})

    def _loads(self, _: None, iterator: Any, *args: Any, **kwargs: Any) -> None:
        data = iterator.data_adapter
        payload = {
            "dataset_size": getattr(data, "_num_samples", None),
            "batch_size": data.batch_size,
            "batches": data.num_batches,
            "shuffle": bool(getattr(data, "_shuffle", False)),
            "sampler": type(data).__name__,
            "workers": getattr(data, "workers", 0),
        }
        self._recorder.add_event(EventKind.LOADER, payload)


def _number(value: Any) -> Any:
    """The one number that a value of any backend is, or None."""
    if isinstance(value, str | dict | list | tuple):
        return None
    values = np.asarray(keras.ops.convert_to_numpy(value))
    return values.reshape(()) if values.size == 1 else None
