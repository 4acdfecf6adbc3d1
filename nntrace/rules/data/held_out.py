"""Whether the examples of a validation are held out: none may be trained on meanwhile or before."""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from nntrace.rules.common.payloads import count, place
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_LEAST: Final = 8  # examples: fewer may be copies in the data
_SHARE: Final = 0.2  # of those looked at; training is sampled, so that most may have been missed
_ADVICE: Final = (
    "Split before anything is shuffled, and let each part keep what it got: `take` and `skip` of a "
    "`shuffle` that draws anew in each epoch (`reshuffle_each_iteration=True`, its default) "
    "exchange examples; train on `skip(n)` where the validation is `take(n)`, and on `x[n:]` where "
    "it is `x[:n]`."
)


_OF_A_PART: Final = (
    "Look for slices or indices that overlap, and for parts of two different random splits. Split "
    "before anything is copied, oversampled or cut into windows."
)
_DEVIATIONS: Final = 3.0  # of the number of examples that chance would have left out
_OF_FOLDS: Final = (
    "Build and compile a new model for each fold, or put the weights back that it had at first."
)
_OF_PARTS: Final = (
    "Build a new model and optimizer for each fold, or load the weights that it had at first; "
    "split once, before the first epoch, where there are no folds."
)
_AROUND: Final = 10  # steps before and after the beginning of a `fit`, or of a fold
_FORGOTTEN: Final = 0.5  # of what was learned: above it, the weights were put back


def trained_on(trace: Trace, size: int | None) -> Iterator[Finding]:
    """Yield a finding for validation data that is trained on in the same training, or was before.

    Args:
        trace: the run.
        size: of the data set that is trained on; None where it is not known, and 0 where some
            examples are drawn far more often than others.
    """
    last: dict[int, Event] = {}
    for event in trace.events_of(EventKind.TRAINED_ON):
        last[count(event.payload, "group")] = event
    for event in last.values():
        examples, seen = count(event.payload, "examples"), count(event.payload, "seen")
        is_part = "of" in event.payload
        if not _is_much(seen, examples) or (is_part and not _is_a_part(event.payload, size)):
            continue
        yield Finding(
            f"the validation data is trained on: of {examples} of its examples, {seen} were in "
            "sampled training batches, too. What it measures is not what other data will show.",
            steps=(0, event.step),
            evidence={"validation_examples": examples, "trained_on": seen},
            advice=_OF_A_PART if is_part else _ADVICE,
            location=place(event.payload),
        )
        return
    yield from _learned_before(trace)


def _learned_before(trace: Trace) -> Iterator[Finding]:
    """Yield a finding for a `fit` that goes on with a model which was trained on its validation."""
    for event in trace.events_of(EventKind.TRAINED_ON):
        examples, before = count(event.payload, "examples"), count(event.payload, "before")
        of_parts = "since" in event.payload
        if not _is_much(before, examples) or not _goes_on(trace, event):
            continue
        yield Finding(
            f"the model learned its validation data before: of {examples} of these examples, "
            f"{before} were in {'what it was' if of_parts else 'sampled batches that it was'} "
            "trained on earlier, and the loss goes on from where it was. What is measured on this "
            "data is not what other data will show.",
            steps=(0, event.step),
            evidence={"validation_examples": examples, "trained_on": before},
            advice=_OF_PARTS if of_parts else _OF_FOLDS,
            location=place(event.payload),
        )
        return


def _goes_on(trace: Trace, event: Event) -> bool:
    """Whether the training before this validation began with what was learned earlier."""
    steps, loss = trace.steps.step, trace.steps.loss
    if "since" in event.payload:
        at = int(np.searchsorted(steps, count(event.payload, "since")))
        # A model of its own has an optimizer of its own.
        if len(set(trace.steps.optimizer[max(0, at - _AROUND) : at + _AROUND])) > 1:
            return False
    else:  # at the end of the first epoch of a `fit`
        ended = next((e for e in trace.events_of(EventKind.EPOCH) if e.step >= event.step), None)
        start = event.step - count(ended.payload, "steps") if ended is not None else 0
        at = int(np.searchsorted(steps, start))
    first, last, again = (
        median(part)
        for part in (loss[:_AROUND], loss[max(0, at - _AROUND) : at], loss[at:][:_AROUND])
    )
    return last < first and again - last < _FORGOTTEN * (first - last)


def _is_much(examples: int, of: int) -> bool:
    return examples >= _LEAST and examples > _SHARE * of


def _is_a_part(payload: dict[str, Any], size: int | None) -> bool:
    """Whether surely a part of what is evaluated is trained on, and surely another is not.

    All of it would be a measure of the training itself, and more than is trained on a look at the
    whole data: both are meant.
    """
    examples, met, trained = (count(payload, key) for key in ("examples", "met", "trained"))
    if size == 0 or count(payload, "of") > trained:
        return False
    times = _times_met(trained / met) if met else 0.0
    # Batches drawn without replacement leave out fewer still.
    chance = math.exp(-(times if size is None else min(times, met / size)))
    expected = examples * chance
    never = examples - count(payload, "seen")
    by_chance = expected + _DEVIATIONS * math.sqrt(expected * (1.0 - chance))
    return never > by_chance and _is_much(never, examples)


def _times_met(new: float) -> float:
    """How often each example was drawn on average, if a share `new` of all draws were first ones.

    Of n draws from N examples, N (1 - e^(-n/N)) are expected to be: solved for n/N.
    """
    least, most = 0.0, 1.0 / max(new, 1e-3)
    for _ in range(50):
        times = 0.5 * (least + most)
        least, most = (times, most) if -math.expm1(-times) > new * times else (least, times)
    return least
