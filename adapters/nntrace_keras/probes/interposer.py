"""Carries out an experiment in a child of `nntrace check` on a Keras program."""

import sys
from typing import Any

import tensorflow as tf
from keras.src.callbacks.callback_list import CallbackList
from tensorflow.python.data.ops.iterator_ops import OwnedIterator

from nntrace.experiment import Experiment
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, before
from nntrace_keras.probes.data import Data, floor_of
from nntrace_keras.probes.rates import Rates
from nntrace_keras.probes.regularisation import Regularisation
from nntrace_keras.probes.structure import examine

_TELLING = 3  # steps after which the data must have been exchanged
_UNSEEN = "no data set was seen to feed the training"


class Interposer:
    """One experiment in this process."""

    def __init__(self, recorder: Recorder, experiment: Experiment) -> None:
        self._recorder = recorder
        self._experiment = experiment
        self._rates = Rates(experiment)
        self._data = Data(recorder, experiment)
        self._regularisation = Regularisation()
        self._told: dict[str, object] = {}
        self._is_examined = False

    def install(self) -> list[Undo]:
        """Set the seed, and put on what the experiment needs."""
        tf.random.set_seed(self._experiment.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(self._experiment.seed)
        return [
            *self._rates.install(),
            *self._regularisation.install(off=not self._experiment.regularised),
            *self._data.install(),
            before(CallbackList, "on_train_batch_end", self._recorder.guard(self._batch_ends)),
            before(OwnedIterator, "__next__", self._recorder.guard(self._batch_begins)),
        ]

    def step_ended(self) -> None:
        """An optimizer has stepped: tell what is known by now."""
        facts: dict[str, object] = {
            "rate": self._rates.base,
            "dropout": self._regularisation.dropout,
            "weight_decay": self._regularisation.weight_decay,
        }
        experiment = self._experiment
        exchanges = experiment.pinned or experiment.inputs or experiment.targets
        if exchanges and self._recorder.steps >= _TELLING and not self._data.is_seen:
            facts["problem"] = _UNSEEN
        new = {name: value for name, value in facts.items() if self._told.get(name) != value}
        if new:
            self._told |= new
            self._recorder.add_event(EventKind.EXPERIMENT, new)

    def _batch_begins(self, iterator: Any) -> None:
        self.step_ended()

    def _batch_ends(self, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        self.step_ended()
        model, first = getattr(callbacks, "_model", None), self._data.first
        if first is None or model is None:
            return
        if self._experiment.pinned and "floor" not in self._told:
            self._tell_floor(model, first)
        due = self._recorder.steps >= self._experiment.steps - 1
        if self._experiment.dependencies and due and not self._is_examined:
            self._is_examined = True
            self._recorder.add_event(EventKind.EXPERIMENT, examine(model, first))

    def _tell_floor(self, model: Any, batch: Any) -> None:
        loss = getattr(model, "loss", None)
        plain = isinstance(loss, str) or not getattr(loss, "_fn_kwargs", {}).get("label_smoothing")
        targets = tf.nest.flatten(batch[1])
        floor = floor_of(targets[0]) if plain and len(targets) == 1 else None
        self._told["floor"] = floor
        if self._recorder.ending is not None:
            self._recorder.ending.floor = floor
        self._recorder.add_event(EventKind.EXPERIMENT, {"floor": floor})
