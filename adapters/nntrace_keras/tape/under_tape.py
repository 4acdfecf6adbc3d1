"""Data of the calls under a `GradientTape`: layers, losses, gradients; without behaviour."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nntrace_keras.program.sources import Source

if TYPE_CHECKING:  # these modules import TensorFlow
    from nntrace_keras.nonfinite.derivatives import Broken
    from nntrace_keras.program.objective import Shape


@dataclass(slots=True)
class LayerCall:
    """One layer's output in a forward pass under a tape."""

    layer: Any
    path: str
    parent: str
    output: Any


@dataclass(slots=True)
class RootCall:
    """A call of an outermost layer: the model, or a part of it.

    Inputs and output are left out if they belong to another graph than the tape's.
    """

    layer: Any
    inputs: list[tuple[str, Any]]
    output: Any
    training: bool | None
    source: Source


@dataclass(slots=True)
class LossCall:
    """A call of a Keras loss function.

    Attributes:
        output: the model's output that it is for; empty if there is only one.
        weight: the factor by which `compile` multiplies its value.
        head: the activation function of the layer that made the predictions; None if unknown.
        is_masked: whether some values may count less: by a mask, weights, an ignored class.
        is_weighted: whether the examples were given weights, as `fit` makes of `class_weight`.
    """

    function: Any
    target: Any
    prediction: Any
    value: Any
    source: Source
    output: str = ""
    weight: float = 1.0
    head: str | None = None
    is_masked: bool = False
    is_weighted: bool = False


@dataclass(slots=True)
class Mode:
    """How a layer that behaves differently in training was called."""

    is_dropout: bool
    active: bool


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a batch norm before a call.

    Attributes:
        values: moving mean and variance; None in a graph, where the variables can be read.
        are_trained: whether they came from earlier batches when the layer was first seen.
    """

    values: tuple[Any, Any] | None
    are_trained: bool


@dataclass(slots=True)
class NormCall:
    """A batch norm's call in training mode: what entered it, and its statistics before."""

    layer: Any
    path: str
    entered: Any
    statistics: Statistics


@dataclass(slots=True)
class AttentionCall:
    """A softmax over keys in a layer's call: [examples, heads, queries, keys] or without heads."""

    layer: Any
    path: str
    rows: Any
    is_named: bool


@dataclass(frozen=True, slots=True)
class Span:
    """The operations of a graph that a layer's call made: numbers `start` to `end`, excluded."""

    graph: Any
    layer: Any
    path: str
    start: int
    end: int


@dataclass(slots=True)
class Calls:
    """What happened under one tape, in order.

    What was called in another graph than the tape's, as in a function that is called under the
    tape, has tensors that cannot be read there: only its spans, modes and roots are noted.

    Attributes:
        graph: in which the tape records; None eagerly.
        spans: of layers that called no others, if a graph was built.
        reused: paths and classes of batch norms that were called twice within one forward.
        modes: of dropout and batch norm layers, by the ids of the layers.
        repeats: eagerly, functions that call a model ("forward") or a loss ("loss") once more.
        is_differentiated: whether gradients were computed.
        loss: eagerly, what the last loss function returned.
    """

    graph: Any = None
    layers: list[LayerCall] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    reused: dict[str, str] = field(default_factory=dict)
    roots: list[RootCall] = field(default_factory=list)
    losses: list[LossCall] = field(default_factory=list)
    modes: dict[int, Mode] = field(default_factory=dict)
    norms: list[NormCall] = field(default_factory=list)
    attention: list[AttentionCall] = field(default_factory=list)
    repeats: list[tuple[str, Callable[[], Any]]] = field(default_factory=list)
    is_differentiated: bool = False
    loss: Any = None


@dataclass(slots=True, eq=False)  # compared by identity: tensors have no plain equality
class Gradient:
    """One `tape.gradient` call: what was differentiated, and the gradients of the activations.

    Attributes:
        broken: the derivative that made the gradients non-finite; None if none was seen.
        broadcast: eagerly, shapes of predictions and of their differences from targets if each
            prediction is compared with all targets.
        source: the line that computed it; None eagerly.
    """

    targets: list[Any]
    sources: list[Any]
    source_gradients: list[Any]
    calls: Calls
    activations: list[tuple[LayerCall, Any]]
    broken: "Broken | None" = None
    broadcast: "tuple[Shape, Shape] | None" = None
    source: Source | None = None


def key(variable: Any) -> int:
    """Return a number that identifies a variable: the same for Keras' and TensorFlow's own."""
    return id(getattr(variable, "_value", variable))
