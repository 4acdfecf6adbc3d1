"""LOS11, where the training loss falls and no evaluation is better than chance."""

import math

import numpy as np
import pytest
from rules.builders import batches, event, findings, trace_of

from nntrace.rules import Severity

LN10 = math.log(10)
LEARNT = np.linspace(LN10, 0.8 * LN10, 300)


def fitted(evaluations, loss=LEARNT, *, accuracies=(), training=None, norms=0, penalty=0.0):
    """A run of ten classes, with an epoch for each evaluation loss and, at will, accuracy."""
    rows = batches(
        len(loss),
        loss_function="cross_entropy",
        loss_value=loss,
        classes=10,
        batch_size=20,
        label_values=tuple(range(10)),
        label_counts=(2,) * 10,
    )
    epochs = []
    for number, value in enumerate(evaluations):
        metrics = {"val_loss": value}
        if accuracies:
            metrics["val_accuracy"] = accuracies[number]
        if training is not None:
            metrics["accuracy"] = training
        epochs.append(event("epoch", 50 * (number + 1), epoch=number, metrics=metrics))
    mode = event("mode", 0, model="", training=True, norm_active=norms)
    return trace_of(loss=loss + penalty, batches=rows, events=[mode, *epochs])


def test_evaluations_that_are_never_better_than_chance_are_a_warning():
    trace = fitted([LN10 + 0.02, 2.33, 2.35, 2.37])
    [finding] = findings("LOS11", trace)
    assert finding.level is Severity.WARNING
    assert finding.steps == (50, 200)
    assert "no evaluation was better" in finding.message


@pytest.mark.parametrize(
    "change",
    [
        {"norms": 2},
        {"penalty": 0.2},
        {"evaluations": [LN10 - 0.01, 2.33, 2.35, 2.37]},
        {"evaluations": [1.06 * LN10, 2.5, 2.6, 2.7]},
        {"evaluations": [2.33, 2.35, 2.37]},
    ],
)
def test_what_else_evaluations_may_be_high_for_is_left_alone(change):
    assert findings("LOS11", fitted(**({"evaluations": [2.33, 2.33, 2.35, 2.37]} | change))) == []


@pytest.mark.parametrize(("accuracy", "found"), [(0.11, 1), (0.13, 0)])
def test_an_accuracy_above_that_of_guessing_shows_that_something_holds(accuracy, found):
    trace = fitted([2.33, 2.35, 2.36, 2.37], accuracies=[accuracy] * 4)
    assert len(findings("LOS11", trace)) == found


@pytest.mark.parametrize(
    ("lowest", "training", "found"), [(1.21, 0.9, 1), (1.19, 0.9, 0), (1.21, 0.7, 0)]
)
def test_a_second_half_of_the_classes_that_was_never_trained_on_is_told(lowest, training, found):
    losses = [lowest * LN10, 3.2, 4.0, 5.0]
    trace = fitted(losses, accuracies=[0.4] * 4, training=training)
    assert len(findings("LOS11", trace)) == found
