"""Carries out an experiment in a child of `nntrace check` on a Keras program."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
from keras.src.callbacks.callback_list import CallbackList
from tensorflow.python.data.ops.iterator_ops import OwnedIterator

from nntrace.experiment import Ending, Experiment
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.probes.data import Data
from nntrace_keras.probes.floors import floor_of
from nntrace_keras.probes.rates import Rates
from nntrace_keras.probes.regularisation import Regularisation
from nntrace_keras.probes.roots import Roots
from nntrace_keras.probes.structure import examine

_TELLING = 3  # steps after which the data set must have been exchanged
_WITHOUT_WEIGHTS = 2  # parts of a batch that has no sample weights
_UNSEEN = "no data set was seen to feed the training"


class Interposer:
    """Carries out one experiment in this process.

    Args:
        unobserved: a context in which gradients and assignments do not count as the program's.
    """

    def __init__(
        self,
        recorder: Recorder,
        experiment: Experiment,
        unobserved: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._recorder = recorder
        self._unobserved = unobserved
        self._experiment = experiment
        self._rates = Rates(experiment, recorder.ending or Ending(experiment))
        self._data = Data(recorder, experiment)
        self._regularisation = Regularisation()
        self._told: dict[str, object] = {}
        self._roots = Roots()
        self._losses: dict[int, Any] = {}
        self._in_fit = False
        self._is_examined = False

    def install(self) -> list[Undo]:
        """Set the seeds, and install what the experiment needs."""
        tf.random.set_seed(self._experiment.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(self._experiment.seed)
        guard = self._recorder.guard
        undos = [
            *self._rates.install(),
            *self._regularisation.install(off=not self._experiment.regularised),
            *self._data.install(),
            before(CallbackList, "on_train_batch_end", guard(self._batch_ends)),
            before(OwnedIterator, "__next__", guard(self._batch_begins)),
            after(TensorFlowTrainer, "train_on_batch", guard(self._batch_given)),
        ]
        if self._experiment.pinned:
            undos.append(before(keras.losses.Loss, "__call__", guard(self._loss_called)))
        if self._experiment.dependencies:
            undos += self._roots.install()
        return undos

    def step_ended(self) -> None:
        """Record, after an optimizer step, the facts that are new or have changed."""
        self._rates.step_ended()
        facts: dict[str, object] = {
            "rate": self._rates.base,
            "dropout": self._regularisation.dropout,
            "weight_decay": self._regularisation.weight_decay,
        }
        experiment = self._experiment
        exchanges = experiment.pinned or experiment.inputs or experiment.targets
        if exchanges and self._recorder.steps >= _TELLING and not self._data.is_seen:
            facts["problem"] = _UNSEEN
        if self._data.problem is not None:
            facts["problem"] = self._data.problem
        new = {name: value for name, value in facts.items() if self._told.get(name) != value}
        if new:
            self._told |= new
            self._recorder.add_event(EventKind.EXPERIMENT, new)

    def _batch_begins(self, iterator: Any) -> None:
        """A loop of the program's own asks for a batch: the step before has ended."""
        self.step_ended()
        if self._recorder.steps and not self._in_fit:
            loss = next(iter(self._losses.values())) if len(self._losses) == 1 else None
            self._look(self._roots.only, loss)

    def _batch_given(self, result: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        self.step_ended()
        self._look(model, getattr(model, "loss", None))

    def _batch_ends(self, callbacks: Any, *args: Any, **kwargs: Any) -> None:
        self.step_ended()
        self._in_fit = True
        model = getattr(callbacks, "_model", None)
        if model is not None:
            self._look(model, getattr(model, "loss", None))

    def _look(self, model: Any, loss: Any) -> None:
        """Find the floor of the first batch's loss; near the run's end, dependencies in it."""
        first = self._data.first
        if first is None:
            return
        if self._experiment.pinned and "floor" not in self._told:
            self._tell_floor(loss, first)
        ending = self._recorder.ending
        due = ending is not None and ending.is_near
        if self._experiment.dependencies and due and not self._is_examined:
            self._is_examined = True
            original = self._experiment.original
            with self._unobserved():
                found = examine(model, first, loss, original)
            self._recorder.add_event(EventKind.EXPERIMENT, found)

    def _loss_called(self, loss: Any, *args: Any, **kwargs: Any) -> None:
        self._losses[id(loss)] = loss

    def _tell_floor(self, loss: Any, batch: Any) -> None:
        """Record the floor of the loss; unknown with several targets or with sample weights."""
        targets = tf.nest.flatten(batch[1]) if isinstance(batch, tuple) and len(batch) > 1 else []
        floor = floor_of(loss, targets[0]) if len(targets) == 1 else None
        if floor and len(batch) > _WITHOUT_WEIGHTS:
            floor = None
        self._told["floor"] = floor
        if self._recorder.ending is not None:
            self._recorder.ending.floor = floor
        self._recorder.add_event(EventKind.EXPERIMENT, {"floor": floor})
