"""Pins, zeroes or shuffles the batches of the data set that feeds the training.

In `fit` that is the first data set whose iteration an epoch starts; in a program's own loop the
first that gives inputs with targets and is followed by a step. The arguments of `train_on_batch`
are a batch, too. Evaluations are left alone.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras.src.backend.tensorflow.trainer import TensorFlowTrainer, TFEpochIterator
from tensorflow.python.data.ops.dataset_ops import DatasetV2

from nntrace.experiment import Experiment
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, wrap

_NO_TARGETS = "the batches hold inputs alone, of which the model makes its own targets"


class Data:
    """Exchanges data sets where they are iterated over.

    Attributes:
        first: the first batch, as tensors; None until there is one.
        is_seen: whether a data set was exchanged.
        problem: why the exchange does not make a valid experiment; None if it does.
    """

    def __init__(self, recorder: Recorder, experiment: Experiment) -> None:
        self._recorder = recorder
        self._experiment = experiment
        self._in_fit = False
        self._in_evaluation = 0
        self._expects = False
        self._training: Any = None
        self._batches = 0
        self.first: Any = None
        self.is_seen = False
        self.problem: str | None = None

    def install(self) -> list[Undo]:
        """Watch `fit`, its epochs, and every data set."""
        return [
            wrap(TensorFlowTrainer, "fit", self._fitting),
            wrap(TensorFlowTrainer, "train_on_batch", self._on_batch),
            wrap(TensorFlowTrainer, "evaluate", self._evaluating),
            wrap(TensorFlowTrainer, "predict", self._evaluating),
            wrap(TFEpochIterator, "__init__", self._beginning),
            wrap(DatasetV2, "__iter__", self._iterating),
        ]

    def _fitting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def fit(*args: Any, **kwargs: Any) -> Any:
            self._in_fit = self._expects = True
            try:
                return original(*args, **kwargs)
            finally:
                self._in_fit = self._expects = False

        return fit

    def _on_batch(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def train_on_batch(model: Any, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
            if self._recorder.active and y is not None and not self._in_fit:
                if self.first is None:
                    self.first = tf.nest.map_structure(tf.convert_to_tensor, (x, y))
                self.is_seen = True
                x, y, *_ = self._changed((x, y), self._batches)
                self._batches += 1
            return original(model, x, y, *args, **kwargs)

        return train_on_batch

    def _evaluating(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def evaluate(*args: Any, **kwargs: Any) -> Any:
            self._in_evaluation += 1
            try:
                return original(*args, **kwargs)
            finally:
                self._in_evaluation -= 1

        return evaluate

    def _beginning(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __init__(iterator: Any, *args: Any, **kwargs: Any) -> None:
            original(iterator, *args, **kwargs)
            if self._expects:  # the second iterator of a `fit` is for its validation
                self._expects = False
                self._training = iterator._distributed_dataset

        return __init__

    def _iterating(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __iter__(dataset: Any) -> Any:
            if not self._is_training(dataset):
                return original(dataset)
            if self.first is None:
                self.first = next(original(dataset), None)
            self.is_seen = True
            return original(self._exchanged(dataset))

        return __iter__

    def _is_training(self, dataset: Any) -> bool:
        if not self._recorder.active or not tf.executing_eagerly() or self._in_evaluation:
            return False
        if dataset is self._training and self._in_fit:
            return True  # with or without targets: a model written by the user may need none
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) < 2:
            return False
        if not self._in_fit and self._recorder.steps == 0 and dataset is not self._training:
            self._training, self.first = dataset, None
        return dataset is self._training

    def _exchanged(self, dataset: Any) -> Any:
        """The data set's batches in their order, numbered and changed by `_changed`."""
        counted = dataset.enumerate()
        if isinstance(dataset.element_spec, tuple):
            return counted.map(lambda number, batch: self._changed(batch, number))
        return counted.map(lambda number, batch: self._changed((batch,), number)[0])

    def _changed(self, batch: Any, number: Any) -> Any:
        experiment = self._experiment
        if experiment.pinned and self.first is not None:
            first = self.first
            batch = first if isinstance(first, tuple) else (first,)
        x, *rest = batch
        if not rest and (experiment.inputs or experiment.targets):
            self.problem = _NO_TARGETS
        if experiment.inputs:
            x = tf.nest.map_structure(tf.zeros_like, x)
        if experiment.targets and rest:
            rest[0] = self._shuffled(number, rest[0])
        return (x, *rest)

    def _shuffled(self, number: Any, targets: Any) -> Any:
        rows = tf.range(tf.shape(tf.nest.flatten(targets)[0])[0])
        seed = tf.stack([tf.cast(number, tf.int32), self._experiment.seed + 1])
        order = tf.random.experimental.stateless_shuffle(rows, seed=seed)
        return tf.nest.map_structure(lambda target: tf.gather(target, order), targets)
