"""Optimizers that divide gradients by a loss scale by which no loss was multiplied."""

from collections.abc import Sequence
from typing import Any

import keras

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.program.sources import caller


class LossScales:
    """Looks at calls of optimizers until one of them, or a scaled loss, has told.

    `fit` scales its loss; a `train_step` or a loop of the program's own has to call `scale_loss`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_known = False

    def scaled(self) -> None:
        """Note that some loss was scaled."""
        self._is_known = True

    def look(self, optimizer: Any, gradients: Sequence[Any]) -> None:
        """Record a call that is given gradients of a tape before any loss was scaled."""
        if self._is_known or not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return
        if not gradients:
            return
        self._is_known = True
        payload = {"scale": float(optimizer.initial_scale), **caller().place}
        self._recorder.add_event(EventKind.UNSCALED, payload, severity="warning")
