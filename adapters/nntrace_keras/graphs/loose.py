"""Finds variables of TensorFlow that a layer keeps by itself, and gradients would reach in vain.

Keras tracks what `add_weight` made; `self.w = tf.Variable(…)`, as layers had it before Keras 3, is
no weight of the model, and no optimizer has it. What the graph assigns to has another master.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from nntrace_keras.graphs.dependence import Dependence
from nntrace_keras.tape.under_tape import Gradient, LayerCall, key

_ASSIGNS = ("Assign", "ResourceScatter", "ResourceApply")


def loose_variables(
    graph: Any, gradients: Sequence[Gradient], targets: Sequence[Any]
) -> Iterator[tuple[LayerCall, str]]:
    """Yield calls of layers that have such variables, with the variable's name in the layer.

    A model's own are left out: they may be multipliers that another tape and optimizer train.

    Args:
        graph: is being built.
        gradients: those that the optimizer takes.
        targets: what is differentiated in the graph.
    """
    held = {key(source) for gradient in gradients for source in gradient.sources}
    for call in (call for gradient in gradients for call in gradient.calls.layers):
        if isinstance(call.layer, keras.Model):
            continue
        for name, value in vars(call.layer).items():
            if not isinstance(value, tf.Variable) or not value.trainable or key(value) in held:
                continue
            depends = Dependence(graph, [value])
            if any(target in depends for target in targets) and not _is_assigned(graph, value):
                yield call, name


def _is_assigned(graph: Any, variable: tf.Variable) -> bool:
    inside = {id(inner) for outer, inner in graph.captures if outer is variable.handle}
    return any(
        operation.type.startswith(_ASSIGNS) and id(operation.inputs[0]) in inside
        for operation in graph.get_operations()
    )
