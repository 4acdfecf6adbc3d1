"""The inputs of the last steps of a graph that draws them itself, as under `fit`.

Each operation costs a step some microseconds: this takes five, whatever the number of inputs.
The host decides afterwards whether one of the steps was of interest.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.gen_optional_ops import (
    optional_from_value,
    optional_get_value,
    optional_none,
)
from tensorflow.python.ops.gen_resource_variable_ops import resource_gather, resource_scatter_update
from tensorflow.python.ops.gen_state_ops import resource_count_up_to
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from nntrace_keras.graphs.unread import MOST_UNREAD

_MOST_STEPS = MOST_UNREAD + 1  # a step that breaks, and the one before it
_FEWEST_STEPS = 2
_MOST_BYTES = 1 << 24
_ENDLESS = 1 << 62


class Recent:
    """A ring of batches. Keeping a tensor in it copies nothing.

    Args:
        types: of the inputs, by their names.

    Attributes:
        steps: how many steps' inputs the ring holds; raised once their size is known.
    """

    def __init__(self, types: Mapping[str, Any]) -> None:
        self._types = dict(types)
        self.steps = _FEWEST_STEPS
        self._is_fitted = False
        with tf.init_scope():
            empty = tf.stack([optional_none()] * _MOST_STEPS)
            self._ring = ResourceVariable(empty, trainable=False, name="nntrace_recent")
            self._count = ResourceVariable(np.int64(0), trainable=False, name="nntrace_count")
            self._steps = ResourceVariable(
                np.int64(self.steps), trainable=False, name="nntrace_steps"
            )

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def keep(self, tensors: Mapping[str, Any]) -> bool:
        """Add operations to the graph being built that keep these tensors at every step.

        Returns False if they are not the inputs that the ring was made for.
        """
        if tensors.keys() != self._types.keys():
            return False
        count = resource_count_up_to(self._count.handle, limit=_ENDLESS, T=tf.int64)
        place = tf.math.floormod(count, self._steps.read_value())
        batch = optional_from_value([tensors[name] for name in self._types])
        resource_scatter_update(self._ring.handle, place, batch)
        return True

    def of(self, ago: int) -> dict[str, Any]:
        """The inputs kept `ago` steps before the last one; empty if they are no longer there."""
        count = int(self._count.numpy())
        if ago >= min(count, self.steps):
            return {}
        place = tf.constant((count - 1 - ago) % self.steps, tf.int64)
        batch = resource_gather(self._ring.handle, place, dtype=tf.variant)
        types = list(self._types.values())
        values = optional_get_value(batch, types, [tf.TensorShape(None)] * len(types))
        if not self._is_fitted:
            self._fit(sum(int(tf.size(value)) * value.dtype.size for value in values))
        return dict(zip(self._types, values, strict=True))

    def _fit(self, size: int) -> None:
        """Hold as many batches as fit into the ring's bytes; what was held so far is lost."""
        self._is_fitted = True
        self.steps = max(_FEWEST_STEPS, min(_MOST_STEPS, _MOST_BYTES // max(1, size)))
        self._steps.assign(self.steps)
        self._count.assign(0)


def can_be_kept() -> bool:
    """Whether the ring's operations run where the step does: only the CPU has all of them."""
    devices = tf.config.list_logical_devices()
    return [device.device_type for device in devices] == ["CPU"]
