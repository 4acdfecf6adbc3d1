"""Operations over another axis than is meant: of examples, of classes, of what attention weighs."""

from collections.abc import Callable, Iterator
from typing import Final

from nntrace.rules.common.chance import loss_location
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.optimizers import backward_line
from nntrace.rules.common.payloads import count, items, place, text
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace


@rule(
    "ACT14",
    "wrong-axis",
    Severity.ERROR,
    explains=("ACT07", "ACT09", "GRD08", "LOS01", "LOS07", "LOS11", "LOS12", "LOS14", "LOS20"),
    advice="Write down the shape after each operation, and name the axis that is meant.",
)
def wrong_axis(trace: Trace) -> Iterator[Finding | Skipped]:
    """An operation runs over another axis than its own result is used for.

    Read off the graph of a loss (TensorFlow has one in `fit` and in functions):

    - weights of attention that are summed over another axis than their softmax ran over (a warning;
      not if they are divided by their sum, as in slot attention)
    - any weights whose softmax ran over the examples of the batch, or over an axis of one value
    - with PyTorch, predictions [N, C, H, W] laid out as [N·H·W, C], or [N, T, C] as [N, C, T],
      without moving the classes first
    - with PyTorch, as warnings: a model's input [N, C, T] laid out as [N, T, C] for a layer;
      queries [N, T, heads·D] laid out as [N, heads, T, D], or what attention returns the other way
      round; cosines whose norms are over another axis than the products sum; a recurrent layer that
      begins each batch of a shuffling loader with the state of the one before

    Found by replaying a forward with other examples and in another order: examples of a batch that
    change each other's outputs, or with PyTorch whose outputs go by their place in the batch. It is
    replayed only where the loss has stayed where it began or, with PyTorch, where recurrent or
    attention layers take examples along the second axis though the batch has them along the first;
    not for GANs, for full batches, and for inputs whose first axis may be time or the nodes of a
    graph.

    Source: Karpathy's Recipe, step 2 ("use backprop to chart dependencies": `view` instead of
    `transpose`); Vaswani et al. 2017, Attention Is All You Need, 3.2.1.
    """
    if not trace.events_of(EventKind.OBJECTIVE):
        yield Skipped("the graph of a loss is needed, as PyTorch and TensorFlow build it")
        return
    for event in trace.events_of(EventKind.CARRIED):
        yield _carried(event)
    for event in trace.events_of(EventKind.AXES):
        kind = _KINDS.get(text(event.payload, "what"))
        if kind is not None:
            yield kind(trace, event)


def _carried(event: Event) -> Finding:
    layer = text(event.payload, "class") or "recurrent layer"
    return Finding(
        f"the {layer} begins each batch with the state that the batch before left, though the "
        "loader shuffles: an example's output depends on examples it has nothing to do with.",
        steps=(0, event.step),
        severity=Severity.WARNING,
        explains=("GRD08", "LOS10", "LOS13"),
        evidence={"layer": layer},
        advice="Begin each batch with a state of zeros (call the layer without one). To carry it "
        "on, let the loader deliver the parts of each sequence in their order, `shuffle=False`.",
        location=place(event.payload),
    )


def _classes(trace: Trace, event: Event) -> Finding:
    shape, result = _shape(event, "shape"), _shape(event, "result")
    if len(result) > 2:  # [N, T, C] as [N, C, T]
        classes, last = result[1], len(shape) - 1
        holds = "what is taken for the classes of one position is values of several"
        order = ", ".join(map(str, [0, last, *range(1, last)]))
        advice = f"Move the classes to axis 1: `out.permute({order})`."
    else:
        classes = result[-1] if result else 0
        holds = f"a row holds values of one class at {classes} neighbouring positions"
        order = ", ".join(map(str, [0, *range(2, len(shape)), 1]))
        advice = (
            f"Move the classes behind first, `out.permute({order}).reshape(-1, {classes})`, or "
            "give `cross_entropy` predictions [N, C, …] and targets [N, …] as they are."
        )
    return Finding(
        f"predictions of shape {shape} are laid out as {result}, which does not move "
        f"their {classes} classes: {holds}.",
        steps=(event.step, event.step),
        evidence={"shape": shape, "laid_out_as": result},
        advice=advice,
        location=loss_location(trace, "cross_entropy"),
    )


def _input(trace: Trace, event: Event) -> Finding:
    shape, result = _shape(event, "shape"), _shape(event, "result")
    return Finding(
        f"the {text(event.payload, 'layer')} is given the model's input of shape {shape} laid out "
        f"as {result}, which moves none of its numbers: the axes are mixed, not exchanged.",
        steps=(event.step, event.step),
        severity=Severity.WARNING,
        evidence={"shape": shape, "laid_out_as": result},
        advice="Exchange axes by `transpose` or `permute`; `view` and `reshape` only cut the same "
        "sequence of numbers into other rows.",
        location=place(event.payload),
    )


def _heads(trace: Trace, event: Event) -> Finding:
    shape, result = _shape(event, "shape"), _shape(event, "result")
    heads = result[1] if len(result) > 1 else 0
    if len(result) < len(shape):
        return Finding(
            f"what attention returns, of shape {shape}, is laid out as {result}, which moves none "
            "of its numbers: a position gets those of several positions of one head, and so those "
            "of later ones, not those of its own from all heads.",
            steps=(event.step, event.step),
            severity=Severity.WARNING,
            evidence={"shape": shape, "laid_out_as": result},
            advice="Exchange the axes first, then put the last two together: `out.transpose(1, 2)"
            ".reshape(batch, length, width)`.",
            location=place(event.payload) or backward_line(trace),
        )
    return Finding(
        f"queries, keys or values of shape {shape} are laid out as {result}, which moves none of "
        f"their numbers: each of the {heads} heads gets some of the positions, not its share of "
        "each.",
        steps=(event.step, event.step),
        severity=Severity.WARNING,
        evidence={"shape": shape, "laid_out_as": result},
        advice="Cut the last axis first, then exchange: `x.view(batch, length, heads, "
        "width).transpose(1, 2)`.",
        location=place(event.payload) or backward_line(trace),
    )


def _attention(trace: Trace, event: Event) -> Finding:
    shape = _shape(event, "shape")
    axis, right = count(event.payload, "axis"), count(event.payload, "right")
    return Finding(
        f"attention weights of shape {_named(shape)} come from a softmax over axis {axis}, and the "
        f"values are summed over axis {right}: the weights of one query do not add up to 1.",
        steps=(event.step, event.step),
        severity=Severity.WARNING,
        evidence={"shape": shape, "softmax_axis": axis, "summed_axis": right},
        advice=f"Take the softmax over the keys, `{_word(trace)}={right - len(shape)}`.",
        location=place(event.payload),
    )


def _norm(trace: Trace, event: Event) -> Finding:
    shape = _shape(event, "shape")
    axis, right = count(event.payload, "axis"), count(event.payload, "right")
    return Finding(
        f"vectors of shape {_named(shape)} are divided by norms over axis {axis}, and their "
        f"products are summed over axis {right}: these are no cosines"
        + (", and each example is scaled by the others of its batch." if axis == 0 else "."),
        steps=(event.step, event.step),
        severity=Severity.WARNING,
        evidence={"shape": shape, "norm_axis": axis, "summed_axis": right},
        advice=f"Take the norm over the axis that the product sums: `dim={right - len(shape)}`.",
        location=place(event.payload) or backward_line(trace),
    )


def _examples(trace: Trace, event: Event) -> Finding:
    if "op" in event.payload:
        return _operation(event)
    layer = text(event.payload, "layer")
    if event.payload.get("by_place"):
        return Finding(
            f"outputs depend on an example's place in the batch: {text(event.payload, 'text')}.",
            steps=(event.step, event.step),
            advice="Look for what is added or indexed along the first axis: positions of shape "
            "[length, 1, width] belong to a batch [length, N, width]; for [N, length, width] they "
            "are [1, length, width].",
            location=place(event.payload),
        )
    why, advice = "", _MOVED
    if layer:
        why = (
            f" `{layer}` takes them along the second axis, and the batch has them along the first."
        )
        advice = f"Build `{layer}` with `batch_first=True`, or give it [time, batch, …]."
    return Finding(
        f"the model mixes the examples of a batch: {text(event.payload, 'text')}.{why}",
        steps=(event.step, event.step),
        advice=advice,
        location=place(event.payload),
    )


def _operation(event: Event) -> Finding:
    """Examples that are mixed by a known operation of a graph, named as TensorFlow does."""
    operation, module = text(event.payload, "op"), text(event.payload, "module")
    shape, result = _shape(event, "shape"), _shape(event, "result")
    if operation == "Reshape":
        advice = (
            "A `reshape` cuts the same values anew and exchanges no axes: use `ops.transpose` (or "
            "`layers.Permute`) for that, and keep the examples as the first axis."
        )
    elif operation == "Softmax" or operation in _REDUCTIONS:
        advice = "Axis 0 is that of the examples: take another one, such as `axis=-1`."
    else:
        advice = "Keep the examples as the first axis: no operation may run along it."
    inside = f" in `{module}`" if module else ""
    made = f", which makes {result} of {shape}" if shape != result else ""
    return Finding(
        f"the model mixes the examples of a batch: {text(event.payload, 'text')}. It begins at "
        f"`{operation}`{inside}{made}.",
        steps=(event.step, event.step),
        evidence={"operation": operation, "shape": shape, "result": result},
        advice=advice,
        location=place(event.payload),
    )


def _weights(trace: Trace, event: Event) -> Finding:
    """Weights of which all are 1, or that compete across the batch."""
    shape = _shape(event, "shape")
    axis, right = count(event.payload, "axis"), count(event.payload, "right")
    summed = f"and what they weigh is summed over axis {right}"
    if axis < len(shape) and shape[axis] == 1:
        fault = f"which has a single value: each weight is 1, {summed}."
    else:
        fault = (
            f"the examples of the batch, {summed}: an example's weights do not add up to 1 and "
            "depend on the other examples."
        )
    return Finding(
        f"weights of shape {_named(shape)} come from a softmax over axis {axis}, {fault}",
        steps=(event.step, event.step),
        explains=("GRD04", "LOS21"),
        evidence={"shape": shape, "softmax_axis": axis, "summed_axis": right},
        advice="Take the softmax over the axis that is summed: "
        f"`{_word(trace)}={right - len(shape)}`.",
        location=place(event.payload) or backward_line(trace),
    )


_MOVED: Final = (
    "Look for a `view` or `reshape` where a `transpose` or `permute` was meant, and for a "
    "reduction or a softmax over axis 0."
)
_REDUCTIONS: Final = ("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm", "Cumsum", "ArgMax")
_KINDS: Final[dict[str, Callable[[Trace, Event], Finding]]] = {
    "classes": _classes,
    "input": _input,
    "heads": _heads,
    "attention": _attention,
    "weights": _weights,
    "norm": _norm,
    "examples": _examples,
}


def _shape(event: Event, key: str) -> list[int]:
    return [size for size in items(event.payload, key) if isinstance(size, int)]


def _named(shape: list[int]) -> str:
    """A shape as Keras shows it, with None for a size that varies, which is recorded as -1."""
    return f"[{', '.join('None' if size < 0 else str(size) for size in shape)}]"


def _word(trace: Trace) -> str:
    """What the framework calls the axis of a softmax."""
    return "axis" if speaks_keras(trace) else "dim"
