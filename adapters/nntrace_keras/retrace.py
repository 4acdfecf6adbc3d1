"""A step of a graph computed once more for a search: the range of every tensor it is made of."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from nntrace_keras.copies import Copies
from nntrace_keras.held import Held
from nntrace_keras.origins import Range, as_ranges, ranges
from nntrace_keras.second import UNKNOWN_TO_US, CannotComputeError, Second

_MOST_LOOKED_AT = 10_000


def trace_back(
    second: Second, losses: Sequence[Any], arguments: Sequence[Any] | None, *, last: bool
) -> dict[str, Range]:
    """Of every tensor that the losses and the samples are made of, its range.

    Computed from the inputs of the sampled step, or of the `last` one, and from the variables as
    they were when last held.

    Raises:
        CannotComputeError: neither is to be had, or not all of them.
    """
    if second.held is None or not second.held.values:
        raise CannotComputeError("no earlier values of the variables are held")
    mine = [loss for loss in losses if getattr(loss, "graph", None) is second.graph]
    plan = second.plan(mine, second.begin)
    constants, given = second.given_to(plan, is_called=arguments is not None)
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
        again.values = second.held.values
        numbers = again.call(second.inputs(given, arguments, last=last)).numpy()
    except UNKNOWN_TO_US as error:
        raise CannotComputeError(f"its graph cannot be copied: {error}") from error
    return as_ranges(known, numbers)
