"""Turns off dropout, weight decay and penalties on weights."""

from collections.abc import Callable
from typing import Any

import keras
from keras.src.layers.regularization.spatial_dropout import BaseSpatialDropout

from nntrace_keras.patching import Undo, wrap

_DROPOUTS = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    BaseSpatialDropout,
)


class Regularisation:
    """Attributes: `dropout`, `weight_decay` — whether the program has any to turn off."""

    def __init__(self) -> None:
        self.dropout = False
        self.weight_decay = False

    def install(self, *, off: bool) -> list[Undo]:
        """Watch layers and optimizers; with `off`, also skip dropout, decay and penalties."""

        def dropping(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(layer: Any, inputs: Any, training: bool = False) -> Any:
                self.dropout = self.dropout or layer.rate > 0
                return original(layer, inputs, training=training and not off)

            return call

        def decaying(original: Callable[..., Any]) -> Callable[..., Any]:
            def _apply_weight_decay(optimizer: Any, variables: Any) -> None:
                self.weight_decay = self.weight_decay or bool(optimizer.weight_decay)
                if not off:
                    original(optimizer, variables)

            return _apply_weight_decay

        def penalising(original: Callable[..., Any]) -> Callable[..., Any]:
            def _get_regularization_losses(layer: Any) -> Any:
                losses = original(layer)
                self.weight_decay = self.weight_decay or bool(losses)
                return [] if off else losses

            return _get_regularization_losses

        return [
            *(wrap(layer, "call", dropping) for layer in _DROPOUTS),
            wrap(keras.optimizers.Optimizer, "_apply_weight_decay", decaying),
            wrap(keras.layers.Layer, "_get_regularization_losses", penalising),
        ]
