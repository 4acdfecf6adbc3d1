"""The settings of a Keras optimizer, on any backend."""

from typing import Any

import keras

_SETTINGS = ("weight_decay", "momentum", "epsilon", "clipnorm", "global_clipnorm", "clipvalue")


def settings(optimizer: Any) -> dict[str, Any]:
    """The settings for an `optimizer` event, of the optimizer alone and not of one it wraps."""
    # On PyTorch Keras makes it of a class of the same name.
    is_sgd = isinstance(optimizer, keras.optimizers.SGD) and type(optimizer).__name__ == "SGD"
    return {
        **{
            name: value
            for name in _SETTINGS
            if isinstance(value := getattr(optimizer, name, None), int | float)
        },
        "decoupled": True,  # Keras always subtracts the decay from the weights themselves
        "stateful": not is_sgd or bool(optimizer.momentum),
    }


def accumulation_steps(optimizer: Any) -> int:
    """How many calls make one step."""
    # Not by `inner_optimizer`: every function costs at each eager step.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return int(inner.gradient_accumulation_steps or 1)


def inner_optimizer(optimizer: Any) -> Any:
    """The one whose steps a `LossScaleOptimizer` scales; of any other, itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def weight_decay(optimizer: Any, variable: Any) -> float:
    """The weight decay that acts on a variable.

    Keras remembers its first answer for a variable. On TensorFlow it asks with the backend's, whose
    name holds those of layers: asked with its own variable here, it would train otherwise.
    """
    inner = inner_optimizer(optimizer)
    if keras.backend.backend() == "tensorflow":
        variable = getattr(variable, "_value", variable)
    decays = bool(inner.weight_decay) and inner._use_weight_decay(variable)
    return float(inner.weight_decay) if decays else 0.0
