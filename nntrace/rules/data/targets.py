"""Rules on the targets: missing classes, constants, and scale."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated

import numpy as np

from nntrace.rules.common.calls import REGRESSION, loss_calls
from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    label_totals,
    labels_of,
    loss_location,
    loss_site,
    targets_run_away,
    training_batches,
)
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import number
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_FEW_OF_IDS = 0.1
_RARELY_UNSEEN = 0.01  # the chance that the next label is of a class not seen yet
_LABELLED = 10  # batches that show which two numbers labels are
_SAME_VARIANCE = 0.02  # relative difference
_DIFFERENT = 2  # numbers of classes below the most: two data sets that share a head have one
_BY_CHANCE = np.log(1e-6)
_SURELY_DRAWN = 500.0  # draws that are expected; their exponential is a number
_TOO_LARGE = re.compile(r"Target (-?\d+) is out of bounds")  # PyTorch's own words


@rule(
    "DAT11",
    "class-count-mismatch",
    Severity.WARNING,
    explains=("DAT10", "LOS01", "LOS07", "LOS11", "INI04", "PAR05"),
    advice="Give the head as many outputs as there are classes, numbered from 0; look at how the "
    "labels are mapped to numbers.",
)
def class_count_mismatch(
    trace: Trace,
    *,
    share: Annotated[float, "share of the outputs whose class must occur"] = 0.5,
    labels: Annotated[int, "labels that must be seen per class that occurs"] = 20,
) -> Iterator[Finding | Skipped]:
    """The width of the head and the labels disagree.

    Most outputs never occur as a label: the head was left over from another data set, or the labels
    were mapped to too few numbers. Judged only if each class that occurs was seen often enough that
    others would have come up. Not judged for next-token prediction, whose vocabulary is larger than
    any text, nor if the program itself puts the right answer in one place, as a contrastive loss
    does.

    An error if a label exceeds the head, which ends the run in PyTorch, and if labels are numbered
    anew in each batch: batches then have different numbers of classes and never a gap among their
    labels, which random draws of the same labels show but once in a million.

    Source: "37 reasons", 4 (make sure inputs and labels belong together), 9.
    """
    if (ended := _ended_at_a_label(trace)) is not None:
        yield ended
        return
    batches = [b for b in training_batches(trace) if b.loss_function in CROSS_ENTROPY and b.classes]
    totals = label_totals(batches)
    classes = max((batch.classes or 0 for batch in batches), default=0)
    if classes < 3 or totals.total() < max(100, labels * len(totals)) or not totals:
        yield too_few(f"needs {labels} labels of each class, has {totals.total()} in all")
        return
    if classes > 20 and _are_tokens(trace, max(totals)):
        yield Skipped("tokens are predicted, and no text uses a whole vocabulary")
        return
    if len(totals) == 1 and _made_by_program(batches, next(iter(totals))):
        yield Skipped(
            "the program itself always puts the right answer in one place, which may be intended"
        )
        return
    unseen_mass = sum(count == 1 for count in totals.values()) / totals.total()  # Good–Turing
    function, steps = batches[0].loss_function or "", span([batch.step for batch in batches])
    finding = partial(Finding, steps=steps, location=loss_location(trace, function))
    if max(totals) >= classes:
        yield finding(
            f"labels reach {max(totals)}, but the head has {classes} classes, 0 … {classes - 1}.",
            site=loss_site(trace, function, Role.TARGET),
            severity=Severity.ERROR,
            evidence={"largest_label": max(totals), "classes": classes},
        )
    elif numbers := _numbered_anew(batches, totals):
        yield finding(
            f"labels are numbered anew in each batch: {len(batches)} batches hold from "
            f"{min(numbers)} to {max(numbers)} classes, always 0, 1, 2, … without a gap, so that a "
            "number does not mean the same class twice.",
            site=loss_site(trace, function, Role.TARGET),
            severity=Severity.ERROR,
            evidence={"fewest_classes": min(numbers), "most_classes": max(numbers)},
            advice="Map classes to numbers once for all data, before batches are made "
            "(`LabelEncoder.fit`, `np.unique`), and only look the numbers up in each batch.",
        )
    elif len(totals) <= share * classes and unseen_mass < _RARELY_UNSEEN:
        yield finding(
            f"the head has {classes} outputs, but only {len(totals)} of them are ever a label "
            f"among {totals.total()}.",
            site=loss_site(trace, function, Role.OUTPUT),
            evidence={
                "classes": classes,
                "classes_seen": len(totals),
                "labels": [int(label) for label in sorted(totals)[:20]],
            },
        )


def _numbered_anew(batches: Iterable[Batch], totals: Counter[int]) -> set[int]:
    """The numbers of classes in batches that have each numbered their own; else empty.

    Of two classes that were there before, a random draw may lack either. Not meant are examples
    with several labels, the places in a batch (InfoNCE), and heads that are as wide as each batch
    has classes (episodes).
    """
    share = np.array([totals[label] for label in range(len(totals))]) / totals.total()
    numbers, known, likelihood = set[int](), 0, 0.0
    for batch in batches:
        labels = labels_of(batch)
        size, number = sum(labels.values()), len(labels)
        if size != batch.batch_size or number != max(labels, default=-1) + 1:
            return set()
        if number < min(known, size, batch.classes or 0):
            numbers.add(number)
            drawn = -size * np.log1p(-share[: number + 1])
            lacking = 1.0 / np.expm1(np.minimum(drawn, _SURELY_DRAWN))  # odds against each class
            likelihood += float(np.log(lacking[-1] / lacking.sum()))
        known = max(known, number)
    is_meant = len(numbers) >= _DIFFERENT and likelihood < _BY_CHANCE
    return numbers | {known} if is_meant else set()


def _ended_at_a_label(trace: Trace) -> Finding | None:
    """The finding on a run that PyTorch ended at a label beyond the head."""
    too_large = _TOO_LARGE.search(trace.manifest.error or "")
    if too_large is None:
        return None
    shapes = [call.shape or () for call in loss_calls(trace)]
    classes = max((shape[1] for shape in shapes if len(shape) > 1), default=0)
    last = int(trace.steps.step[-1])
    return Finding(
        f"the run ended at a label {too_large[1]}"
        + (f": the head has {classes} classes, 0 … {classes - 1}." if classes else "."),
        steps=(last, last),
        severity=Severity.ERROR,
        evidence={"label": int(too_large[1]), "classes": classes},
        location=loss_location(trace, "cross_entropy"),
    )


@rule(
    "DAT12",
    "constant-target",
    Severity.ERROR,
    needs=(Role.TARGET,),
    explains=("LOS12", "LOS20", "LOS01", "GRD04", "PAR01"),
    advice="Print the labels of a few batches: look at the column that is read, at the join, and "
    "at the cast (an integer division, a comparison that is never true).",
)
def constant_target(
    trace: Trace,
    *,
    batches: Annotated[int, "sampled batches whose targets must all have one value"] = 5,
    examples: Annotated[int, "targets that must have been seen"] = 50,
) -> Iterator[Finding | Skipped]:
    """All targets of all batches are one and the same number.

    There is nothing to learn but that number. Targets that the program makes itself are left out (a
    GAN's ones, the zeros of a residual that should vanish, the right answer always in first place):
    only those of a loader count or, if no loader is used, any that are not zero. Zeros are also
    left out if a regression compares them with what no layer puts out: what the program computes
    from a model, such as the residual of an equation or a distance, may have to vanish. So is the
    value that a loss function ignores while the loss is not zero: a loss in chunks begins with the
    prompts.
    Source: "37 reasons", 4 and 9.
    """
    known = [b for b in training_batches(trace) if b.target_min is not None and b.batch_size]
    if loss_series(trace).optimizers > 1:
        yield Skipped("several optimizers take turns: constant targets are intended, as in a GAN")
        return
    if len(known) < batches or sum(b.batch_size or 0 for b in known) < examples:
        yield too_few(f"needs the targets of {batches} batches, has {len(known)}")
        return
    values = {value for b in known for value in (b.target_min, b.target_max)}
    if len(values) != 1:
        return
    value = float(known[0].target_min or 0.0)
    if _made_by_program(known, value):
        yield Skipped("the program makes the constant targets itself, which may be intended")
        return
    function = known[0].loss_function or ""
    calls = [event.payload for event in trace.events_of(EventKind.LOSS_CALL)]
    ignored = {number(c, "ignore_index") for c in calls if c.get("function") == function}
    if value in ignored and median(trace.steps.loss) != 0.0:
        yield Skipped("the targets seen are those that the loss ignores, and it has others")
        return
    if value == 0.0 and _is_to_vanish(trace, function):
        yield Skipped("zeros are compared with what no layer puts out, which may have to vanish")
        return
    yield Finding(
        f"every target in {len(known)} sampled batches is {value:g}: there is nothing to learn.",
        site=loss_site(trace, function, Role.TARGET),
        steps=span([batch.step for batch in known]),
        severity=None if any(b.target_delivered for b in known) else Severity.WARNING,
        evidence={"value": value, "batches": len(known)},
        location=loss_location(trace, function),
    )


def _is_to_vanish(trace: Trace, function: str) -> bool:
    """Whether a regression is given something that the program computes from a layer's output."""
    calls = [call for call in loss_calls(trace) if call.function == function]
    return function in REGRESSION and bool(calls) and all(call.head is None for call in calls)


def _are_tokens(trace: Trace, largest: float) -> bool:
    """Whether labels reach about as far as the input ids, unlike those of a few kinds."""
    inputs = trace.sites_of(Role.INPUT)
    if not inputs or "int" not in inputs[0].dtype:
        return False
    return not largest < _FEW_OF_IDS * median(trace.series(Role.INPUT, "max", inputs[0]))


def _made_by_program(batches: Iterable[Batch], value: float) -> bool:
    """Whether constant targets come from no loader; if that is unknown, whether they are zeros."""
    delivered = [b.target_delivered for b in batches if b.target_delivered is not None]
    return not any(delivered) if delivered else value == 0.0


@rule(
    "DAT13",
    "target-scale",
    Severity.WARNING,
    explains=(
        *("LOS01", "LOS07", "LOS08", "LOS09", "LOS16", "INI04", "GRD02", "GRD05", "UPD01", "UPD02"),
        *("PAR01", "PAR02", "UPD07", "LOS10", "NUM01", "NUM02", "NUM05", "NUM09"),
        *("LOS11", "LOS12", "LOS20", "LOS22", "ACT01", "ACT03", "ACT04"),
    ),
    advice="Standardise the targets (subtract their mean, divide by their standard deviation) and "
    "undo it for predictions, or set the last bias to their mean.",
)
def target_scale(
    trace: Trace,
    *,
    std: Annotated[float, "largest standard deviation of the targets"] = 10.0,
    offset: Annotated[float, "largest |mean| in standard deviations"] = 10.0,
    reach: Annotated[float, "largest size of the first predictions relative to the targets"] = 0.1,
    label: Annotated[float, "number below which the larger of two labels is no label"] = 0.2,
) -> Iterator[Finding | Skipped]:
    """Targets of a regression are large, or far from zero, and the model starts nowhere near.

    Losses and gradients then grow with the square of that scale, and most of the training only
    moves the last bias. Not reported if the first predictions already have the size of the targets
    (a scaled output, a bias set to the mean), nor for targets that move while the model learns, as
    returns do in reinforcement learning.

    Also reported are labels of a binary cross-entropy that are zero and the same small number
    everywhere, as where a mask of zeros and ones was divided by 255 together with its image.

    Source: "37 reasons", 14 (normalise) and 27; Karpathy's Recipe, step 2 (init well).
    """
    if (scaled := _labels_scaled_down(trace, label)) is not None:
        yield scaled
        return
    known = [
        batch
        for batch in training_batches(trace)
        if batch.loss_function in REGRESSION
        and batch.target_mean is not None
        and batch.target_std is not None
    ]
    if len(known) < 3:
        yield too_few("needs the targets of a regression in three sampled batches")
        return
    means = np.array([b.target_mean for b in known], dtype=np.float64)
    stds = np.array([b.target_std for b in known], dtype=np.float64)
    mean, spread = median(means), float(np.sqrt(median(stds) ** 2 + means.var()))
    third = max(1, len(known) // 3)
    moved = abs(median(means[:third]) - median(means[-third:]))
    if moved > max(0.5 * spread, 0.5 * abs(mean)) or targets_run_away(trace):
        yield Skipped("the targets change while the model learns")
        return
    size = float(np.hypot(mean, spread))
    is_wide, is_far = spread > std, abs(mean) > offset * spread and abs(mean) > 1.0
    first = _size(known[0])
    if not (is_wide or is_far) or spread == 0.0 or first is None or first > reach * size:
        return
    if int(known[0].step) > int(trace.steps.step[0]):
        yield Skipped("the first step was not sampled")
        return
    function = known[0].loss_function or ""
    yield Finding(
        f"the targets of `{function}` have mean {mean:.3g} and standard deviation {spread:.3g}, "
        f"while the first predictions are no larger than {first:.2g}.",
        site=loss_site(trace, function, Role.TARGET),
        steps=span([batch.step for batch in known]),
        evidence={"mean": mean, "std": spread, "first_prediction": first},
        location=loss_location(trace, function),
    )


def _labels_scaled_down(trace: Trace, label: float) -> Finding | None:
    """The finding if the targets of a binary cross-entropy are 0 and one small number."""
    batches = [
        batch
        for batch in training_batches(trace)
        if batch.loss_function in BINARY and batch.target_max is not None
    ]
    highest = {float(f"{batch.target_max or 0.0:.5g}") for batch in batches} - {0.0}
    if len(batches) < _LABELLED or len(highest) != 1 or not all(map(_is_of_two, batches)):
        return None
    [one] = highest
    if not 0.0 < one < label:
        return None
    function = batches[0].loss_function or ""
    return Finding(
        f"the targets of `{function}` are 0 and {one:.3g}, not 0 and 1: the best predictions are "
        f"then {one:.3g} and less.",
        site=loss_site(trace, function, Role.TARGET),
        steps=span([batch.step for batch in batches]),
        evidence={"highest": one, "times": 1.0 / one},
        location=loss_location(trace, function),
        advice=f"Multiply the labels by {1.0 / one:.0f}, or do not divide them: masks and labels "
        "are not scaled with the images.",
    )


def _is_of_two(batch: Batch) -> bool:
    """Whether targets are zero and one other number: then their variance is known."""
    mean, std, high = batch.target_mean, batch.target_std, batch.target_max
    if mean is None or std is None or high is None or batch.target_min != 0.0:
        return False
    expected = mean * (high - mean)
    return abs(std * std - expected) <= _SAME_VARIANCE * expected


def _size(batch: Batch) -> float | None:
    """The largest absolute prediction of a batch; None if unknown."""
    low, high = batch.output_min, batch.output_max
    return None if low is None or high is None else max(abs(low), abs(high))
