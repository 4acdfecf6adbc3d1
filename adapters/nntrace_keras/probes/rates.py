"""The learning rate under an experiment: a function of the optimizer's own iteration count.

It holds in graphs as well as eagerly; what a callback or a schedule assigns meanwhile is ignored.
"""

import weakref
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from nntrace.experiment import Ending, Experiment, swept_rates
from nntrace_keras.graphs.board import variable
from nntrace_keras.patching import Undo, wrap

_SCHEDULE_STEPS = (0, 1, 10, 100, 1000, 10_000)  # where a schedule's highest is looked for


class Rates:
    """Replaces the learning rate that an optimizer gets for its step.

    Args:
        experiment: says what the rates become.
        ending: knows how much of a sweep is over.

    Attributes:
        base: the program's rate before any warm-up or decay; None until an optimizer has asked.
    """

    def __init__(self, experiment: Experiment, ending: Ending) -> None:
        self._experiment = experiment
        self._ending = ending
        self._over: Any = None  # the share of a sweep that time or other optimizers have used up
        self._bases: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self.base: float | None = None

    def install(self) -> list[Undo]:
        """Replace the rate that every optimizer reads."""
        optimizer = keras.optimizers.Optimizer
        return [wrap(optimizer, "_get_current_learning_rate", self._asked)]

    def step_ended(self) -> None:
        """Write how much of the sweep is over, as graphs only know their own iterations."""
        if self._over is not None:
            self._over.assign(self._ending.share)

    def _asked(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _get_current_learning_rate(optimizer: Any) -> Any:
            base = self._base_of(optimizer)
            experiment = self._experiment
            if base is None:
                return original(optimizer)
            if experiment.sweep:
                low, high = swept_rates(base)
                done = tf.cast(tf.convert_to_tensor(optimizer.iterations), tf.float32)
                share = tf.minimum(done / max(experiment.steps - 1, 1), 1.0)
                if self._over is None:
                    self._over = variable(0.0, "share")
                share = tf.maximum(share, self._over.read_value())
                return low * tf.pow(high / low, share)
            if experiment.steady:
                return tf.constant(base * experiment.rate, tf.float32)
            if experiment.rate != 1.0:
                return tf.convert_to_tensor(original(optimizer)) * experiment.rate
            return original(optimizer)

        return _get_current_learning_rate

    def _base_of(self, optimizer: Any) -> float | None:
        if optimizer not in self._bases:
            rate = getattr(optimizer, "_learning_rate", None)
            found = None
            with tf.init_scope():
                if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
                    found = max(float(rate(step)) for step in _SCHEDULE_STEPS)
                elif isinstance(rate, keras.Variable):
                    found = float(rate.numpy())
            if found is None:
                return None
            self._bases[optimizer] = found
            self.base = max(self.base or 0.0, found)
        return self._bases[optimizer]
