"""Gradients that a TensorFlow function computes for an optimizer outside of it.

After the function has run they are as those of an eager tape, as far as what its graph holds was
given to the function or returned by it: nothing else has a value there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from nntrace_keras.tape.gradients import gradients_in
from nntrace_keras.tape.under_tape import Calls, Gradient, RootCall


def handed_out(function: Any, inputs: Sequence[Any], result: Any) -> list[Gradient]:
    """The gradients by variables that a call of a function without a step has computed.

    A loss that the function does not return is left out. Gradients that it does not return, as
    those that it adds to variables, are None.
    """
    computed = [
        gradient
        for gradient in gradients_in(function.graph)
        if any(hasattr(source, "assign") for source in gradient.sources)
    ]
    if not computed:
        return []
    value_of = _values(function, inputs, result)
    return [_with_values(gradient, value_of) for gradient in computed]


def _with_values(gradient: Gradient, value_of: Callable[[Any], Any]) -> Gradient:
    losses = [value_of(target) for target in gradient.targets]
    roots = [_root(root, value_of) for root in gradient.calls.roots]
    return replace(
        gradient,
        targets=[] if any(loss is None for loss in losses) else losses,
        source_gradients=[value_of(one) for one in gradient.source_gradients],
        calls=Calls(roots=roots, modes=gradient.calls.modes, is_differentiated=True),
        activations=[],
    )


def _root(root: RootCall, value_of: Callable[[Any], Any]) -> RootCall:
    inputs = [(name, value_of(tensor)) for name, tensor in root.inputs]
    known = [(name, value) for name, value in inputs if value is not None]
    return replace(root, inputs=known, output=value_of(root.output))


def _values(function: Any, inputs: Sequence[Any], result: Any) -> Callable[[Any], Any]:
    """A function from a tensor of the graph to its value in this call; None if it has none."""
    graph = function.graph
    places = function.__dict__.get("_nntrace_places")
    if places is None:
        places = function.__dict__["_nntrace_places"] = _places(graph, len(inputs))
    results = [one for one in tf.nest.flatten(result, expand_composites=True) if one is not None]
    values = [*inputs, *(results if len(results) == len(graph.outputs) else ())]

    def value_of(tensor: Any) -> Any:
        place = places.get(tensor.name) if getattr(tensor, "graph", None) is graph else None
        return values[place] if place is not None and place < len(values) else None

    return value_of


def _places(graph: Any, arguments: int) -> dict[str, int]:
    """By their names, the places of the graph's tensors among arguments and results."""
    places = {tensor.name: place for place, tensor in enumerate(graph.inputs[:arguments])}
    for place, output in enumerate(graph.outputs, arguments):
        places.setdefault(output.name, place)
        if output.op.type == "Identity":  # each result is a copy of what is returned
            places.setdefault(output.op.inputs[0].name, place)
    return places
