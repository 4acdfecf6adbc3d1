"""Describes layers and parameters in the schema's terms: names, fans, ranges, unit axes."""

import math
from typing import Any

import keras
from keras import layers
from keras.src.backend.common import global_state

_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
# Layers whose `activation` is not the last function applied to their output.
_GATED = (layers.LSTM, layers.GRU, layers.LSTMCell, layers.GRUCell, layers.ConvLSTM2D)
_CELLS = (layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
DROPOUTS = (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.GaussianDropout,
    layers.AlphaDropout,
)


def activation_name(layer: Any) -> str:
    """The name of the activation function that a layer ends with; empty if it has none."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    function = getattr(layer, "activation", None)
    if function is None or isinstance(layer, _GATED):
        return ""
    return str(getattr(function, "__name__", type(function).__name__))


def value_range(layer: Any) -> dict[str, float]:
    """The site columns that bound a layer's output, if its activation function is bounded."""
    bounds = _RANGES.get(activation_name(layer))
    return {} if bounds is None else {"range_low": bounds[0], "range_high": bounds[1]}


def unit_axis(layer: Any) -> int:
    """The axis of channels or features in a layer's output."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def is_dropout(layer: Any) -> bool:
    """Whether a layer is a dropout layer with a rate above zero."""
    return isinstance(layer, DROPOUTS) and bool(getattr(layer, "rate", 0))


def dropout_rate(layer: Any) -> dict[str, float]:
    """The site column with a dropout layer's rate; empty for other layers."""
    return {"dropout_rate": float(layer.rate)} if isinstance(layer, DROPOUTS) else {}


def is_batch_norm(layer: Any) -> bool:
    """Whether a layer normalises by batch statistics in training."""
    return isinstance(layer, layers.BatchNormalization)


def is_training(layer: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a layer is called in training mode, and behaves differently there."""
    said = kwargs.get("training")
    training = is_training_around() if said is None else bool(said)
    return training and (layer.trainable or is_dropout(layer))


def is_training_around() -> bool:
    """Whether the innermost call of a layer that is running was made, or told, to train."""
    context = global_state.get_global_attribute("current_call_ctx")
    if hasattr(context, "get_value"):
        return bool(context.get_value("training"))
    return bool(getattr(context, "training", None))  # up to Keras 3.9, or no call is running


def fans(shape: tuple[int, ...], owner: Any) -> dict[str, int]:
    """`fan_in` and `fan_out` of a kernel, as the trace documentation counts them.

    Also `unit_axis`, if the kernel's filters lie along one axis. Empty if the orientation is
    unknown: for embeddings, transposed convolutions, and weights of layers that are not Keras' own.
    """
    if len(shape) < 2:
        return {}
    if isinstance(owner, layers.EinsumDense):
        return _einsum_fans(shape, owner.equation)
    if isinstance(owner, _DEPTHWISE):
        kernel = math.prod(shape[:-2])
        return {"fan_in": kernel, "fan_out": kernel * shape[-1]}
    known = isinstance(owner, (layers.Dense, *_CONVOLUTIONS, *_CELLS))
    if not known or isinstance(owner, _TRANSPOSED):
        return {}
    kernel = math.prod(shape[:-2])
    return {
        "fan_in": kernel * shape[-2],
        "fan_out": kernel * shape[-1],
        "unit_axis": len(shape) - 1,
    }


def _einsum_fans(shape: tuple[int, ...], equation: str) -> dict[str, int]:
    inputs, _, output = equation.replace(" ", "").replace("...", "").partition("->")
    letters = inputs.partition(",")[2]
    if len(letters) != len(shape):
        return {}
    sizes = dict(zip(letters, shape, strict=True))
    summed = math.prod(size for letter, size in sizes.items() if letter not in output)
    kept = [axis for axis, letter in enumerate(letters) if letter in output]
    axis = {"unit_axis": kept[0]} if len(kept) == 1 else {}
    return {"fan_in": summed, "fan_out": math.prod(shape) // max(1, summed), **axis}


def rank_of(tensor: Any) -> int:
    """The number of axes of a tensor of any backend; 0 if TensorFlow does not know it."""
    shape = tensor.shape
    return int(shape.rank or 0) if hasattr(shape, "rank") else len(shape)


def dtype_name(tensor: Any) -> str:
    """The dtype as `float32`, whichever way the backend writes it."""
    return str(keras.backend.standardize_dtype(tensor.dtype))
