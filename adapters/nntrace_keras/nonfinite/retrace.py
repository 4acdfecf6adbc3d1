"""Computes a step of a graph once more for a search, with the range of every tensor in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from nntrace_keras.graphs.copies import Copies
from nntrace_keras.graphs.held import Held
from nntrace_keras.graphs.kept import Moment
from nntrace_keras.graphs.second import UNKNOWN_TO_US, CannotComputeError, Second
from nntrace_keras.nonfinite.facts import Range
from nntrace_keras.nonfinite.origins import as_ranges, ranges

_MOST_LOOKED_AT = 10_000

# From a step's arguments (None if the host does not know them), the moment whose batch is taken,
# the number of later steps, and values of the variables: the range of every tensor.
Look = Callable[[Sequence[Any] | None, Moment, int, Mapping[int, Any]], dict[str, Range]]


def look_back(second: Second, losses: Sequence[Any], *, is_called: bool) -> Look:
    """Return a function that computes the range of every tensor behind the losses and samples.

    Raises:
        CannotComputeError: inputs or variables are not available; the function raises it, too.
    """
    mine = [loss for loss in losses if getattr(loss, "graph", None) is second.graph]
    plan = second.plan(mine, second.begin)
    constants, given = second.given_to(plan, is_called=is_called)
    made = [tensor for operation in plan.operations for tensor in operation.outputs]
    known = [t for t in (*given, *made) if t.dtype.is_floating]
    if len(known) > _MOST_LOOKED_AT:
        raise CannotComputeError(f"its graph has {len(known)} tensors")

    def compute(*tensors: Any) -> Any:
        values = dict(zip((tensor.name for tensor in given), tensors, strict=True))
        copies = Copies({**constants, **values})
        copies.make(plan.operations)
        return ranges([copies.of(tensor) for tensor in known])

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in given]
    try:
        with tf.init_scope():
            function = tf.function(compute, input_signature=specs, autograph=False)
            again = Held(function.get_concrete_function())
    except UNKNOWN_TO_US as error:
        raise CannotComputeError(f"its graph cannot be copied: {error}") from error

    def look(
        arguments: Sequence[Any] | None, moment: Moment, followed: int, weights: Mapping[int, Any]
    ) -> dict[str, Range]:
        if not weights:
            raise CannotComputeError("no earlier values of the variables are held")
        again.values = dict(weights)
        try:
            numbers = again.call(second.inputs(given, arguments, moment, followed)).numpy()
        except UNKNOWN_TO_US as error:
            raise CannotComputeError(f"it cannot be computed again: {error}") from error
        return as_ranges(known, numbers)

    return look
