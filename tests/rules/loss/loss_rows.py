"""Runs of a classifier with a loss, for the tests of rules on the loss."""

import math

import numpy as np
from rules.builders import batches, event, trace_of

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


def stuck(targets, *, classes=100, rare=1, **columns):
    """A loss at the chance of classes, of which the second half is `rare` times as rare."""
    counts = np.repeat([rare, 1], classes // 2)
    shares = counts / counts.sum()
    entropy = -float((shares * np.log(shares)).sum())
    rows = batches(
        200,
        loss_function="cross_entropy",
        classes=classes,
        batch_size=targets,
        label_values=tuple(range(classes)),
        label_counts=tuple(int(count) for count in counts),
    )
    call = event(
        "loss_call",
        function="cross_entropy",
        reduction="mean",
        classes=classes,
        shape=[targets, classes],
        target_shape=[targets],
    )
    return trace_of(loss=noisy(np.full(200, entropy), 0.01), batches=rows, events=[call], **columns)


def called(function, count=12, head=None, width=None, call=None, sites=(), **values):
    """A trace with one place that calls a loss function."""
    payload = {"function": function, "reduction": "mean", "head": head, "head_width": width}
    payload |= {"shape": [32, width or 1], "file": "train.py", "line": 7, **(call or {})}
    rows = batches(count, loss_function=function, batch_size=32, **values)
    return trace_of(steps=count, batches=rows, events=[event("loss_call", **payload)], sites=sites)
