"""Rules that compare evaluations with training: overfitting, underfitting, metrics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.calls import REGRESSION, loss_calls
from nntrace.rules.common.chance import (
    has_zeros_and_ones,
    label_totals,
    loss_inputs,
    loss_location,
    training_batches,
)
from nntrace.rules.common.loss_course import loss_series, unjudgeable
from nntrace.rules.common.passes import accuracy_of, logged, unseen_data
from nntrace.rules.common.signals import median, median_error, noise_scale, span, trend_z
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.loss.belied import Belied, belied_accuracy
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace

_LEAST_LABELS = 50
_FAR_WORSE = 0.5  # of the accuracy of guessing
_ON_LOGITS = "binary_cross_entropy_with_logits"
_HALF = 0.5  # a probability; as a logit it is one of 62 %


@rule(
    "LOS13",
    "overfitting",
    Severity.WARNING,
    advice="Keep the weights of the best evaluation (early stopping); then more data or "
    "augmentation, dropout or weight decay, a smaller model.",
)
def overfitting(
    trace: Trace,
    *,
    rise: Annotated[float, "rise of the evaluation loss above its best"] = 0.2,
    fall: Annotated[float, "fall of the training loss over the same steps"] = 0.2,
    evaluations_after: Annotated[int, "evaluations after the best one that must be worse"] = 2,
    matters: Annotated[float, "least rise, relative to the first training loss"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """The evaluation loss rises for several evaluations while the training loss falls on.

    The model learns its examples by heart. All evaluations after the best ones must lie above them,
    and the last ones by a fifth, which the noise of a fixed evaluation set does not reach, and by a
    twentieth of the first training loss: when a loss is next to nothing, a fifth of it is only a
    few examples.
    Source: Karpathy's Recipe, step 4 (early stopping); "37 reasons", 29; Prechelt 1998.
    """
    groups = {
        group: [one for one in passes if one.loss is not None]
        for group, passes in unseen_data(trace).items()
    }
    judged = {g: p for g, p in groups.items() if len(p) > evaluations_after}
    if not judged:
        yield Skipped(
            f"needs {evaluations_after + 1} evaluations with a loss on data that is not trained on"
        )
        return
    series = loss_series(trace)
    if skipped := unjudgeable(series, 10):
        yield skipped
        return
    for passes in judged.values():
        values = np.array([one.loss for one in passes], dtype=np.float64)
        # The last of those evaluations that are about as good as the best: only noise ranks them.
        as_good = np.flatnonzero(values <= values.min() * (1.0 + 0.1 * rise))
        best = int(as_good[-1]) if len(as_good) else int(values.argmin())
        if values[: best + 1][values.argmin() :].max() > (1.0 + rise) * values.min() > 0.0:
            continue  # a rise that did not last
        after = values[best + 1 :]
        if len(after) < evaluations_after or values[best] <= 0.0:
            continue
        last = median(after[-evaluations_after:])
        if last - values[best] <= matters * abs(median(series.value[:5])):
            continue
        if last / values[best] - 1.0 <= rise:
            continue
        at_best = _training_loss(series.step, series.value, passes[best].step)
        at_end = _training_loss(series.step, series.value, int(series.step[-1]) + 1)
        if not at_end < (1.0 - fall) * at_best:
            continue
        yield Finding(
            f"the evaluation loss rose from {values[best]:.3g} at step {passes[best].step} to "
            f"{values[-1]:.3g}, while the training loss fell from {at_best:.3g} to {at_end:.3g}.",
            steps=(passes[best].step, passes[-1].step),
            evidence={
                "best_evaluation_loss": float(values[best]),
                "last_evaluation_loss": float(values[-1]),
                "best_step": passes[best].step,
                "training_loss": at_end,
                "evaluations_since": len(after),
            },
        )
        return


@rule(
    "LOS14",
    "underfitting",
    Severity.INFO,
    advice="Give the model more capacity, regularise less, or train with a larger learning rate; "
    "check whether the inputs hold enough signal at all.",
)
def underfitting(
    trace: Trace,
    *,
    level: Annotated[float, "training loss relative to its chance value"] = 0.3,
    gap: Annotated[float, "excess of the evaluation loss relative to the training loss"] = 0.1,
    steps: Annotated[int, "optimizer steps that are needed"] = 200,
) -> Iterator[Finding | Skipped]:
    """The training loss is flat, well above zero, and the evaluation loss is no higher.

    There is no overfitting to fight: the model does not fit its training data. It may also be as
    good as the noise in the labels allows, so this is information, never a warning.
    Source: Karpathy's Recipe, step 3 (overfit first); "37 reasons", 23 and 26.
    """
    loss = BesideChance(trace, training_batches(trace))
    if skipped := Skipped(loss.unknown) if loss.unknown else unjudgeable(loss.series, 20):
        yield skipped
        return
    chance = loss.lowest
    unseen = [
        one.loss
        for passes in unseen_data(trace).values()
        for one in passes
        if one.loss is not None and one.function in (None, loss.function)
    ]
    if chance is None or not unseen or len(trace.steps) < steps:
        yield Skipped(
            f"needs {steps} steps, an evaluation loss, and a loss function whose "
            "chance value is known"
        )
        return
    half = loss.series.second_half
    middle = len(half) // 2
    early, end = median(half.value[:middle]), median(half.value[middle:])
    error = median_error(noise_scale(half.value), middle, middle)
    is_flat = trend_z(half.value) > -3.0 and early - end < max(0.02 * early, 3.0 * error)
    if not is_flat or not level * chance < end < 0.97 * chance:
        return
    last = unseen[-1]
    if last > (1.0 + gap) * end:
        return
    norms = trace.steps.grad_norm
    yield Finding(
        f"the training loss has stayed at {end:.3g} ({end / chance:.0%} of chance) over the last "
        f"half, and the evaluation loss is {last:.3g}: the model does not fit its training data.",
        steps=half.span,
        evidence={
            "training_loss": end,
            "evaluation_loss": last,
            "chance": chance,
            "grad_norm": median(norms[len(norms) // 2 :]),
        },
    )


@rule(
    "LOS22",
    "metric-task-mismatch",
    Severity.WARNING,
    advice="Log a metric of the task (mean absolute error for regression); compute accuracy from "
    "the same predictions and labels as the loss, over the class axis.",
)
def metric_task_mismatch(
    trace: Trace,
    *,
    learned: Annotated[float, "training loss relative to its chance value"] = 0.5,
    above_chance: Annotated[
        float, "accuracy relative to always answering the most frequent class"
    ] = 1.1,
    values: Annotated[int, "logged values that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """The logged accuracy does not belong to what is trained.

    Accuracy of a regression counts exact hits of real numbers and is always near zero. If the loss
    has fallen to half of chance while the accuracy stays at that of the most frequent class, the
    metric is computed over the wrong axis, from other labels or from other examples (unless it is a
    `val_` metric, and the same metric of training shows that something was learned). The same is so
    if Keras reports a loss beside it with which so many errors cannot be: each wrongly classified
    example has a loss of ln 2 or more. A binary accuracy of Keras cuts the outputs at 0.5 unless it
    is told another threshold, also where they are logits.

    Judged for Keras' metrics and numbers passed to `nntrace.log` whose name contains `acc`.

    Source: "37 reasons", 28 (the metric); Karpathy's Recipe, step 2 (a metric people understand).
    """
    metrics = {n: v for n, (_, v) in logged(trace, "acc").items() if len(v) >= values}
    functions = {batch.loss_function for given in loss_inputs(trace).values() for batch in given}
    # Some traces only hold the arguments of the first of several losses in a step.
    functions |= {call.function for call in loss_calls(trace)} if functions else set()
    if not metrics or not functions:
        yield Skipped(f"needs {values} logged values of an accuracy, and a known loss function")
        return
    only = next(iter(functions)) if len(functions) == 1 else None
    if only in REGRESSION and _is_continuous(trace):
        yield _of_a_regression(trace, metrics, only)
        return
    if only == _ON_LOGITS and (cut := _cut_as_probability(trace)):
        yield cut
        return
    if only is None:
        yield Skipped("several loss functions: which one the accuracy belongs to is not known")
        return
    batches = training_batches(trace)
    loss, totals = BesideChance(trace, batches), label_totals(batches)
    level, chance = loss.series.end, loss.lowest
    if chance is None or totals.total() < _LEAST_LABELS or len(totals) < 2:
        few = "too few labels were seen to know what accuracy guessing reaches"
        yield Skipped(loss.unknown or few)
        return
    guessing = max(totals.values()) / totals.total()
    if not level <= learned * chance or above_chance * guessing > 0.9:
        return
    stuck = _no_better_than(above_chance * guessing, metrics)
    if stuck is not None:
        name, late = stuck
        compared = "far worse than" if late < _FAR_WORSE * guessing else "no better than"
        yield Finding(
            f"the loss fell to {level / chance:.0%} of chance, but `{name}` stays at {late:.0%}, "
            f"{compared} always answering the most frequent class ({guessing:.0%}).",
            steps=span(trace.steps.step),
            evidence={"metric": name, "value": late, "guessing": guessing, "loss": level},
            location=loss_location(trace, loss.function),
        )
    elif belied := belied_accuracy(trace, totals):
        yield _belied(trace, belied, loss.function)


def _of_a_regression(
    trace: Trace, metrics: Mapping[str, Sequence[float]], function: str
) -> Finding:
    """The finding on an accuracy that is logged where no classes are predicted."""
    name = min(metrics)
    return Finding(
        f"`{name}` is logged, but the task is a regression (`{function}` on targets that are not "
        "classes).",
        steps=span(trace.steps.step),
        evidence={"metric": name, "last": metrics[name][-1], "loss_function": function},
        location=loss_location(trace, function),
    )


def _cut_as_probability(trace: Trace) -> Finding | None:
    """The finding on a binary accuracy of Keras that takes logits for probabilities."""
    for event in trace.events_of(EventKind.EPOCH):
        cuts = event.payload.get("thresholds")
        names = [n for n, cut in cuts.items() if cut == _HALF] if isinstance(cuts, dict) else ()
        for name in names:
            return Finding(
                f"`{name}` counts a one where the output is above 0.5, but the outputs are logits, "
                "which are for one from 0 on: it leaves out ones that are less sure than 62%.",
                steps=(0, event.step),
                evidence={"metric": name, "threshold": _HALF},
                location=loss_location(trace, _ON_LOGITS),
                advice=f'Give `compile` `keras.metrics.BinaryAccuracy("{name}", threshold=0)`.',
            )
    return None


def _belied(trace: Trace, belied: Belied, function: str) -> Finding:
    """The finding on an accuracy that the loss beside it rules out."""
    return Finding(
        f"`{belied.metric}` is {belied.accuracy:.0%}, but with a loss of {belied.loss:.2g} it "
        f"cannot be below {belied.least:.0%}: each wrongly classified example has a loss of at "
        "least 0.69.",
        steps=span(trace.steps.step),
        evidence=belied._asdict(),
        location=loss_location(trace, function),
        advice="Look at what the metric compares: labels of shape (N, 1) with classes of shape "
        "(N,) compare each example with all others (reshape one of them), probabilities must "
        "be turned into classes first.",
    )


def _no_better_than(
    accuracy: float, metrics: Mapping[str, Sequence[float]]
) -> tuple[str, float] | None:
    """The first metric that stays at an accuracy or below it, and its late value; or None.

    A metric of evaluation does not count if the same one of training is better: it is computed
    rightly, but what was learned does not hold for other examples.
    """
    late_values = {n: accuracy_of(s, len(s) // 2) for n, s in sorted(metrics.items())}
    for name, late in late_values.items():
        in_training = late_values.get(name.removeprefix("val_"), late)
        if max(late, in_training) <= accuracy and min(metrics[name]) >= 0.0:
            return name, late
    return None


def _training_loss(steps: np.ndarray, values: np.ndarray, before: int) -> float:
    """The median of the last losses before a step: a tenth of all, at least five."""
    own = values[steps < before]
    return median(own[-max(5, len(values) // 10) :])


def _is_continuous(trace: Trace) -> bool:
    """Whether targets take other values than 0 and 1, which are classes."""
    known = [
        batch
        for batch in training_batches(trace)
        if batch.target_mean is not None and batch.target_std is not None
    ]
    return not all(map(has_zeros_and_ones, known))
