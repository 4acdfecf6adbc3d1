"""What a graph keeps of its steps: inputs and random numbers that could not be had again.

They are kept in variables of nntrace, which copies nothing: a variable holds on to the tensor.
"""

from enum import Enum
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.gen_resource_variable_ops import read_variable_op

from nntrace_keras.graphs.held import empty
from nntrace_keras.graphs.recent import Recent, can_be_kept
from nntrace_keras.samples.capture import when


class Moment(Enum):
    """A step whose inputs are kept."""

    SAMPLED = "sampled"
    LAST = "last"
    PREVIOUS = "previous"  # the one before the last


class Kept:
    """The variables in which one graph keeps tensors, by the names of those tensors.

    Attributes:
        every: whether inputs are kept at every step, so that those of the last two are there.
        recent: the ring of the last steps' inputs, broken steps or not; None if there is none.
    """

    def __init__(self) -> None:
        self.every = False
        self.recent: Recent | None = None
        self._at: dict[Moment, dict[str, Any]] = {moment: {} for moment in Moment}

    def __contains__(self, name: str) -> bool:
        if self.recent is not None:
            return name in self.recent
        return name in self._at[Moment.SAMPLED]

    def keep_recent(self, tensors: dict[str, Any]) -> bool:
        """In the graph being built: keep these in a ring at every step, if possible.

        Returns whether it is. Several graphs may call one function: all use the same ring.
        """
        kept = _of_values(tensors)
        if not kept or not can_be_kept() or any(self._at.values()):
            return False
        if self.recent is None:
            self.recent = Recent({name: tensor.dtype for name, tensor in kept.items()})
        return self.recent.keep(kept)

    def keep(
        self, tensors: dict[str, Any], wanted: Any | None, is_whole: Any, *, last: bool = False
    ) -> None:
        """In the graph being built: keep tensors, always or only in steps that are `wanted`.

        With `last` they are kept at every step, too. After a step that breaks, until the host has
        seen it, `is_whole` is False and later steps are not kept.
        """
        kept = _of_values(tensors)
        sampled = self._variables(Moment.SAMPLED, kept)
        if not kept:
            return
        if wanted is not None:
            when(wanted, lambda: _assign(sampled, kept))
        if wanted is None or last:
            self._keep_each(Moment.SAMPLED if wanted is None else Moment.LAST, kept, is_whole)

    @property
    def stops_at_a_break(self) -> bool:
        """Whether anything is kept in variables: only up to a broken loss that the graph knows."""
        return any(self._at.values())

    def at(self, moment: Moment, followed: int = 0) -> dict[str, Any]:
        """The tensors kept of a step; `followed` later steps of the graph have run since."""
        if self.recent is not None:
            return self.recent.of(followed + (moment is Moment.PREVIOUS))
        kept = self._at[moment]
        if moment is Moment.LAST:
            kept = {**self._at[Moment.SAMPLED], **kept}
        return {name: read_variable_op(one.handle, one.dtype) for name, one in kept.items()}

    def _keep_each(self, moment: Moment, tensors: dict[str, Any], is_whole: Any) -> None:
        """Keep the tensors, and move those of the last step to the previous one."""
        now = self._variables(moment, tensors)
        previous = self._variables(Moment.PREVIOUS, tensors)

        def keep() -> Any:
            for name in tensors:
                previous[name].assign(now[name].read_value())
            return _assign(now, tensors)

        tf.cond(is_whole, keep, lambda: tf.constant(0))  # inlined: it nearly always runs

    def _variables(self, moment: Moment, tensors: dict[str, Any]) -> dict[str, Any]:
        found = self._at[moment]
        for name, tensor in tensors.items():
            if name not in found:
                found[name] = empty(tensor.dtype)
        return found


def _of_values(tensors: dict[str, Any]) -> dict[str, Any]:
    return {n: t for n, t in tensors.items() if t.dtype not in (tf.resource, tf.variant)}


def _assign(variables: dict[str, Any], tensors: dict[str, Any]) -> Any:
    for name, tensor in tensors.items():
        variables[name].assign(tensor)
    return tf.constant(0)
