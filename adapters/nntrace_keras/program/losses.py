"""What a Keras loss function computes, in the rules' terms, and how it was called.

On the TensorFlow backend a softmax or sigmoid attaches its logits to its output as a hidden
attribute, and every cross-entropy uses them: what is computed is then not what is written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from nntrace_keras.graphs.cosines import are_cosines
from nntrace_keras.program.describe import activation_name, rank_of
from nntrace_keras.program.sources import Source

# From Keras' name to PyTorch's, where both compute the same.
_SAME = {
    "mean_squared_error": "mse_loss",
    "mean_absolute_error": "l1_loss",
    "huber": "huber_loss",
    "kl_divergence": "kl_div",
    "poisson": "poisson_nll_loss",
}
_CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")
# A program's own function of such a name need not compute what the rules know of it.
_KNOWN = frozenset(
    {
        *_SAME,
        *_SAME.values(),
        *_CATEGORICAL,
        *("binary_crossentropy", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
        *("cross_entropy", "nll_loss", "smooth_l1_loss"),
    }
)
# Names of operations as the head of a model; those in `_MOVES` are skipped.
_HEADS = {
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Tanh": "tanh",
    "Relu": "relu",
    "Softplus": "softplus",
    "Exp": "exp",
    "BiasAdd": "affine",
    "MatMul": "affine",
}
# The same, by Keras' name of a layer's activation function.
_ACTIVATIONS = {
    **{name: name for name in ("sigmoid", "softmax", "log_softmax", "tanh", "relu", "softplus")},
    "exponential": "exp",
    "linear": "affine",
}
_MOVES = ("Identity", "Reshape", "Squeeze", "ExpandDims", "StridedSlice", "Cast", "Transpose")
_FROM_OUTSIDE = ("Placeholder", "IteratorGetNext")
_DEEP = 8  # operations to look behind
# TensorFlow's own losses on logits, and Keras' names for them.
ON_LOGITS = {
    "softmax_cross_entropy_with_logits": "categorical_crossentropy",
    "sparse_softmax_cross_entropy_with_logits": "sparse_categorical_crossentropy",
    "sigmoid_cross_entropy_with_logits": "binary_crossentropy",
}
_REDUCTIONS = {"sum_over_batch_size": "mean", "mean_with_sample_weight": "mean", None: "none"}


@dataclass(frozen=True, slots=True)
class OnLogits:
    """One of `ON_LOGITS`, by Keras' name; it reduces nothing."""

    name: str
    reduction: None = None


# Keras' loss functions that programs call themselves.
FUNCTIONS = (
    *("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "poisson"),
    *("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"),
    *("kl_divergence", "mean_squared_logarithmic_error", "mean_absolute_percentage_error"),
)


@dataclass(frozen=True, slots=True)
class CalledFunction:
    """A call of one of `FUNCTIONS` by the program; it returns one value per example."""

    fn: Callable[..., Any]
    from_logits: bool = False
    label_smoothing: float = 0.0
    reduction: None = None

    @property
    def _fn_kwargs(self) -> dict[str, Any]:
        """The settings under the names that a `keras.losses.Loss` uses."""
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


@dataclass(frozen=True, slots=True)
class LossFacts:
    """A loss function and how it uses its arguments.

    Attributes:
        function: the name under which it is recorded.
        keras_name: Keras' name for it.
        is_keras: whether it is one of Keras' or TensorFlow's, which compare with their targets.
        by_class: whether the last axis of the predictions is classes.
        labels: whether targets are class numbers.
        reduction: `mean`, `sum` or `none`.
        from_logits: what the program declares; None if it makes no difference.
        hidden_logits: whether the predictions carry logits that are used instead of them.
        is_doubled: whether these logits are the output of a softmax or sigmoid themselves.
        label_smoothing: as set in the loss function.
        ignored: the class number that it leaves out, or None.
        head: the operation that made the predictions; None if it is unusual, or outside a graph.
        head_width: the size of the predictions' last axis; None if there is none or it is unknown.
    """

    function: str
    keras_name: str
    is_keras: bool
    by_class: bool
    labels: bool
    reduction: str
    from_logits: bool | None
    hidden_logits: bool
    is_doubled: bool
    label_smoothing: float
    ignored: int | None
    head: str | None
    head_width: int | None


def loss_facts(loss: Any, prediction: Any) -> LossFacts:
    """The facts of a `keras.losses.Loss`, `OnLogits` or `CalledFunction` on these predictions."""
    is_tensorflows = isinstance(loss, OnLogits)
    settings = getattr(loss, "_fn_kwargs", {})
    name = name_of(loss)
    says_logits = is_tensorflows or settings.get("from_logits")
    entropy = name in _CATEGORICAL or name == "binary_crossentropy"
    # Keras attaches logits to tensors of any backend, and uses them only on TensorFlow.
    uses = entropy and not is_tensorflows and keras.backend.backend() == "tensorflow"
    logits = _hidden_logits(prediction, name) if uses else None
    hidden = logits is not None
    return LossFacts(
        function=recorded_name(name, bool(says_logits) and not hidden),
        keras_name=name,
        is_keras=_is_keras(loss),
        by_class=name in _CATEGORICAL and rank_of(prediction) > 1,
        labels=name == "sparse_categorical_crossentropy",
        reduction=_REDUCTIONS.get(loss.reduction, str(loss.reduction)),
        from_logits=bool(says_logits) if entropy else None,
        hidden_logits=hidden,
        is_doubled=hidden and _hidden_logits(logits, "") is not None,
        label_smoothing=float(settings.get("label_smoothing", 0.0) or 0.0),
        ignored=settings.get("ignore_class"),
        head=_head(prediction),
        head_width=prediction.shape[-1] if rank_of(prediction) > 1 else None,
    )


def name_of(loss: Any) -> str:
    """Keras' name for a loss function; a program's own of such a name is told apart from it."""
    name = str(getattr(getattr(loss, "fn", loss), "__name__", None) or loss.name)
    return f"own_{name}" if name in _KNOWN and not _is_keras(loss) else name


def _is_keras(loss: Any) -> bool:
    """Whether a loss function is one of Keras' or TensorFlow's."""
    module = getattr(getattr(loss, "fn", None) or loss, "__module__", None) or ""
    return isinstance(loss, OnLogits) or module.startswith("keras.")


def announcement(
    facts: LossFacts, path: str, classes: int, source: Source, *, is_weighted: bool
) -> dict[str, Any]:
    """The payload of the `loss_call` event of a loss function called at `source`."""
    return {
        "function": facts.function,
        "path": path,
        "keras_function": facts.keras_name,
        "reduction": facts.reduction,
        "classes": classes,
        "weighted": is_weighted,
        "label_smoothing": facts.label_smoothing,
        "from_logits": facts.from_logits,
        "hidden_logits": facts.hidden_logits,
        "doubled": facts.is_doubled,
        "head": facts.head,
        "head_width": facts.head_width,
        **source.place,
    }


def positions_of_one_target(facts: LossFacts, target: Any, prediction: Any) -> int:
    """How many positions of an example are all compared with its one target; 0 for one of each.

    Keras gives a target [examples, 1] another axis for predictions [examples, positions, 1].
    """
    if not facts.is_keras or facts.labels or (rank_of(prediction), rank_of(target)) != (3, 2):
        return 0
    _, positions, width = prediction.shape
    return int(positions or 0) if width == target.shape[-1] == 1 != positions else 0


def recorded_name(name: str, takes_logits: bool) -> str:
    """The name of a Keras loss function in the trace."""
    if name in _CATEGORICAL and takes_logits:
        return "cross_entropy"
    if name == "binary_crossentropy":
        return "binary_cross_entropy" + ("_with_logits" if takes_logits else "")
    return _SAME.get(name, name)


def head_of_layer(made: Iterable[tuple[Any, Any]], prediction: Any) -> str | None:
    """The function that ends the layer whose output the predictions are; None if unknown.

    Args:
        made: layers and their outputs, the last ones first.
        prediction: the predictions passed to a loss function.
    """
    layer = next((layer for layer, output in made if output is prediction), None)
    return None if layer is None else _ACTIVATIONS.get(activation_name(layer))


def is_symbolic(tensor: Any) -> bool:
    """Whether a tensor belongs to a graph rather than being eager."""
    return not hasattr(tensor, "numpy")


def is_handed_in(tensor: Any) -> bool:
    """Whether a tensor of a graph entered it from outside, and was at most moved or cast."""
    return _made_by(tensor) in _FROM_OUTSIDE


def is_exchanged(facts: LossFacts, target: Any, prediction: Any) -> bool:
    """Whether predictions and targets are swapped, in a graph, in a loss where that matters.

    That is so if the targets were made by a model's head and the predictions came with the data.
    """
    is_one_way = facts.keras_name in (*_CATEGORICAL, "binary_crossentropy", "kl_divergence")
    if not (is_one_way and facts.is_keras and is_symbolic(target) and is_symbolic(prediction)):
        return False
    return is_handed_in(prediction) and _made_by(target) in _HEADS


def _head(prediction: Any) -> str | None:
    """The head that made the predictions in a graph; None for an eager tensor."""
    if not is_symbolic(prediction) or not hasattr(prediction, "op"):
        return None
    return _HEADS.get(_made_by(prediction)) or ("cosine" if are_cosines(prediction) else None)


def _made_by(tensor: Any) -> str:
    """The type of the operation that computed a tensor of a graph, moves skipped."""
    made_by = getattr(tensor, "op", None)
    for _ in range(_DEEP):
        kind = getattr(made_by, "type", "")
        if made_by is None or kind not in _MOVES or not made_by.inputs:
            return str(kind)
        made_by = made_by.inputs[0].op
    return ""


def _hidden_logits(prediction: Any, name: str) -> Any:
    """The logits that Keras will use instead (see `keras.src.backend.tensorflow.nn`), or None.

    With an empty name, the logits from which a softmax or sigmoid computed the tensor.
    """
    hidden = getattr(prediction, "_keras_logits", None)
    made_by = None if hasattr(prediction, "numpy") else getattr(prediction, "op", None)
    if hidden is not None or made_by is None:  # no operation is known behind an eager tensor
        return hidden
    taken = {"binary_crossentropy": ("Sigmoid",), "": ("Sigmoid", "Softmax")}
    return made_by.inputs[0] if made_by.type in taken.get(name, ("Softmax",)) else None
