"""Hashes of the examples that `fit` is to validate with, as sampled batches have them."""

from typing import Any

import keras

from nntrace_keras.jax.reads import example_hashes

_HASHED = 64  # examples


class HeldOutArrays:
    """Knows what enters a model that is evaluated if it is the program's array (`Entered`)."""

    def begins(self, model: Any) -> None:
        """A pass begins."""

    def moments(self, model: Any) -> dict[str, Any]:
        """None: those of arrays are known."""
        return {}

    def hashes(self, model: Any, values: Any = None) -> list[int]:
        """Hashes of examples spread over an array, if that is the model's only input."""
        if values is None or len(getattr(model, "inputs", None) or ()) > 1:
            return []
        rows = values[:: -(-len(values) // _HASHED)]
        if rows.dtype.kind == "f":
            rows = rows.astype(keras.config.floatx())  # as Keras hands them to the model
        return example_hashes(rows)
