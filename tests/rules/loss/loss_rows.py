"""Runs of a classifier with a loss, for the tests of rules on the loss."""

import math

import numpy as np
from rules.builders import batches, trace_of

LN10 = math.log(10)


def noisy(level, noise=0.05, seed=0):
    """A series around `level`, which is an array."""
    return np.asarray(level) + noise * np.random.default_rng(seed).standard_normal(len(level))


def classified(loss, function="cross_entropy", classes=10, **columns):
    """A trace of a classifier with one loss function, whose value is the step's loss."""
    loss = np.asarray(loss, dtype=float)
    rows = batches(
        len(loss), loss_function=function, loss_value=loss, classes=classes, batch_size=32
    )
    return trace_of(loss=loss, batches=rows, **columns)
