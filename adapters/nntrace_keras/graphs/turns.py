"""Which call of a model stands for its step if the step makes many calls of one example each.

The calls take turns: the first call of an episode, say, always sees the same state.
"""

from collections.abc import Sequence

import tensorflow as tf

from nntrace_keras.tape.under_tape import RootCall


class Turns:
    """Counts the steps for which it was asked. A graph keeps the call chosen when it was built."""

    def __init__(self) -> None:
        self._taken = 0

    def choose(self, roots: Sequence[RootCall]) -> RootCall:
        """The call whose inputs are recorded, chosen from the step's calls of outermost layers."""
        first = roots[0]
        shapes = [tf.TensorShape(value.shape) for _, value in first.inputs]
        if not shapes or not all(shape.rank and shape[0] == 1 for shape in shapes):
            return first
        calls = [root for root in roots if root.layer is first.layer]
        self._taken += 1
        return calls[(self._taken - 1) % len(calls)]
