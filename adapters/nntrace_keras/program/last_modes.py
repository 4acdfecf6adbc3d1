"""The modes of layers of Keras on PyTorch, where no module's `training` tells them.

Keras gives the mode to each call of a layer. So the calls of dropouts and batch norms are watched,
at every step: an evaluation is known to be one only when it is over.
"""

import weakref
from typing import Any

import keras
import torch

from nntrace.adapter import Statistics
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, wrap
from nntrace_keras.program.describe import (
    DROPOUTS,
    is_batch_norm,
    is_dropout,
    is_training,
    is_training_around,
)
from nntrace_keras.program.modes import counts
from nntrace_keras.tape.under_tape import Mode


class LastModes:
    """The modes in the last call of each layer that behaves differently in training."""

    def __init__(self) -> None:
        # And whether the call that encloses it was one for training, whatever the layer made of it.
        self._known: weakref.WeakKeyDictionary[Any, tuple[Mode, bool]] = weakref.WeakKeyDictionary()
        # Whether a batch norm came with statistics of an earlier training.
        self._trained: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()

    def install(self, recorder: Recorder) -> list[Undo]:
        """Watch the calls."""
        note = recorder.guard(self._called)

        def watched(original: Any) -> Any:
            def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
                if not torch.compiler.is_compiling():
                    note(layer, kwargs)
                return original(layer, *args, **kwargs)

            return call

        kinds = (*DROPOUTS, keras.layers.BatchNormalization)
        owners = {next(k for k in kind.__mro__ if "call" in vars(k)) for kind in kinds}
        return [wrap(owner, "call", watched) for owner in owners]

    def _called(self, layer: Any, kwargs: dict[str, Any]) -> None:
        mode = Mode(is_dropout(layer), is_training(layer, kwargs))
        self._known[layer] = mode, is_training_around()
        if mode.active and not mode.is_dropout and layer not in self._trained:
            self._trained[layer] = _has_learnt(layer)

    def of(self, root: Any, *, training: bool) -> dict[str, int | bool]:
        """The modes of the layers in a model, as fields of a `mode` event."""
        layers = [
            layer for layer in root._flatten_layers() if is_dropout(layer) or is_batch_norm(layer)
        ]
        found = [self._known[layer] for layer in layers if layer in self._known]
        said = any(around or mode.active for mode, around in found) if found else training
        return {"training": said, **counts([mode for mode, _ in found])}

    def statistics(self, layer: Any) -> Statistics | None:
        """The running statistics of a batch norm after a call; None for any other layer."""
        if not is_batch_norm(layer) or layer not in self._known or not isinstance(layer.axis, int):
            return None
        return Statistics(
            layer.moving_mean.value,
            layer.moving_variance.value,
            layer.epsilon,
            1.0 - layer.momentum,
            axis=layer.axis,
            is_training=self._known[layer][0].active,
        )

    def trained_norms(self, root: Any) -> int:
        """The number of batch norms whose statistics, when first trained, were those of batches."""
        norms = [layer for layer in root._flatten_layers() if is_batch_norm(layer) and layer.built]
        return sum(
            self._trained[norm] if norm in self._trained else _has_learnt(norm) for norm in norms
        )


def _has_learnt(norm: Any) -> bool:
    """Whether a norm's statistics differ from those with which Keras builds it."""
    return bool(norm.moving_mean.value.any() or (norm.moving_variance.value != 1).any())
