"""Whether anything that was learned holds for examples that are not trained on."""

from collections.abc import Iterator

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import batches_of_last_phase, label_totals
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.passes import accuracy_of, logged, unseen_data
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import EventKind
from nntrace.trace import Trace

_EVALUATIONS = 4
_STEPS = 200
_LEARNED = 0.97  # of chance: the training loss must have fallen below it
_NEAR = 1.05  # times chance: without a known accuracy, the best evaluation must be within it
_GUESSING = 1.2  # times the share of the most frequent class
_FAR = 1.2  # times chance: no evaluation was better, and half of what training gets right is wrong
_OF_EVALUATIONS = ("val_", "eval_", "test_", "val/", "eval/", "test/")


def at_chance_on_unseen_data(trace: Trace, loss: BesideChance) -> Iterator[Finding]:
    """Yield a finding if no evaluation was better than chance while the training loss fell.

    Not if batch norms are active in training, which have to settle, nor if the loss holds more than
    its function, such as a penalty.
    """
    series, own = loss_series(trace), loss.series
    norms = [event.payload.get("norm_active") for event in trace.events_of(EventKind.MODE)]
    if any(norms) or len(own) != len(series) or len(series) < _STEPS:
        return
    if not np.allclose(own.value, series.value, rtol=0.01):
        return
    chance = max(loss.chances, key=lambda c: c.value)
    if median(own.value[-max(10, len(own) // 10) :]) > _LEARNED * chance.value:
        return
    for group in unseen_data(trace).values():
        passes = [one for one in group if one.step >= series.span[0]]
        losses = [
            o.loss for o in passes if o.loss is not None and o.function in (None, loss.function)
        ]
        if len(losses) < _EVALUATIONS or min(losses) < chance.value:
            continue
        accuracy, training = _accuracies(trace, passes[0].step)
        if not _holds_nothing(trace, accuracy, training, min(losses) / chance.value):
            continue
        also = "" if accuracy is None else f", their accuracy is {accuracy:.0%}"
        yield Finding(
            f"no evaluation was better than a model that ignores its input ({chance.name} = "
            f"{chance.value:.4g}): their losses are {min(losses):.4g} to {max(losses):.4g}{also}, "
            f"while the training loss has come down to {median(own.value[-10:]):.3g}.",
            steps=(passes[0].step, passes[-1].step),
            severity=Severity.WARNING,
            evidence={
                "lowest_evaluation_loss": min(losses),
                "chance": chance.value,
                "evaluations": len(losses),
            },
            advice="Check that inputs and labels still belong together and were not shuffled "
            "separately, and that the evaluation set holds the same classes: the last part "
            "of sorted data does not (`validation_split`).",
            explains=("LOS13",),
        )
        return


def _accuracies(trace: Trace, since: int) -> tuple[float | None, float | None]:
    """The typical accuracies of evaluations from a step on, and of training, as shares.

    None for one that was not logged.
    """
    series = {
        name.lower(): [value for step, value in zip(*pairs, strict=True) if step >= since]
        for name, pairs in sorted(logged(trace, "acc").items())
    }
    for name, values in series.items():
        prefix = next((p for p in _OF_EVALUATIONS if name.startswith(p)), None)
        if prefix is None or len(values) < _EVALUATIONS:
            continue
        training = series.get(name.removeprefix(prefix), [])
        late = accuracy_of(training, len(training) // 2) if training else None
        return accuracy_of(values), late
    return None, None


def _holds_nothing(
    trace: Trace, accuracy: float | None, training: float | None, excess: float
) -> bool:
    """Whether what was learned does not hold at all for other examples.

    Args:
        accuracy: of the evaluations.
        training: of the training examples.
        excess: the lowest loss of the evaluations relative to chance.
    """
    if accuracy is None:
        return excess <= _NEAR
    totals = label_totals(batches_of_last_phase(trace))
    if len(totals) > 1 and accuracy <= _GUESSING * max(totals.values()) / totals.total():
        return True
    return training is not None and accuracy < training / 2.0 and excess >= _FAR
