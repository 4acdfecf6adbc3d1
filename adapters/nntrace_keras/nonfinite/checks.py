"""Losses that the program itself finds broken and skips, without a step.

Watched is where an eager number is read or tested for being finite. If one is not, while no
gradient of the last tape has been computed, the search starts at once: the weights are still
those of the forward.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace_keras.patching import Undo, after, wrap

_CHECKS = ("is_nan", "is_inf", "is_finite")


def watch_checks(found: Callable[[], object]) -> list[Undo]:
    """Call `found` when the program reads a non-finite number, or tests one for being finite."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def _numpy(tensor: Any) -> Any:
            value = original(tensor)
            if isinstance(value, np.floating) and not math.isfinite(value):
                found()
            return value

        return _numpy

    def check(_: Any, x: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(x, ops.EagerTensor) and x.shape.rank == 0 and x.dtype.is_floating:
            float(x)

    return [
        wrap(ops._EagerTensorBase, "_numpy", around),
        *(after(tf.math, name, check) for name in _CHECKS),
    ]
