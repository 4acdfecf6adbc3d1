"""Watches `fit`: epochs and the metrics Keras computes, the data set it was given, and seeds."""

from typing import Any

import numpy as np
from keras.src.callbacks.callback_list import CallbackList
from keras.src.trainers.epoch_iterator import EpochIterator
from tensorflow.python.eager import context

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, after, before

_MANY_SEEDS = 64


class TrainerObserver:
    """Records what `fit`, `evaluate` and the seed functions say."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seeds = 0

    def install(self) -> list[Undo]:
        """Watch the callbacks, the data adapters and the seed."""
        guard = self._recorder.guard
        seed = context.global_seed()
        if seed is not None:  # set before Keras was imported
            guard(self._seeded)(seed)
        return [
            before(CallbackList, "on_epoch_end", guard(self._epoch_ends)),
            after(EpochIterator, "__init__", guard(self._loads)),
            before(context, "set_global_seed", guard(self._seeded)),
        ]

    def take_wait_ns(self) -> int:
        """Nanoseconds waited for data since the last call."""
        return 0

    def _epoch_ends(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        metrics = {
            str(name): float(value) for name, value in (logs or {}).items() if _is_number(value)
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

    def _seeded(self, seed: Any = None) -> None:
        self._seeds += 1
        if self._seeds <= _MANY_SEEDS:
            self._recorder.add_event(
                EventKind.SEED, {"function": "tf.random.set_seed", "seed": str(seed)}
            )


def _is_number(value: Any) -> bool:
    return not isinstance(value, str | dict | list | tuple) and np.size(value) == 1
