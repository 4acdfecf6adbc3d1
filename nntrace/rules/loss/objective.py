"""Rules on what is differentiated: the terms of the loss, its clamps and its reduction."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.calls import loss_calls
from nntrace.rules.common.chance import (
    loss_inputs,
    loss_location,
    training_batches,
)
from nntrace.rules.common.objective_terms import FIRST, summed_terms
from nntrace.rules.common.optimizers import are_scale_free
from nntrace.rules.common.payloads import items, place
from nntrace.rules.common.signals import in_times, median, rounded, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace


@rule(
    "LOS16",
    "loss-terms-imbalanced",
    Severity.WARNING,
    explains=("GRD10", "UPD03", "UPD02", "UPD08", "LOS07", "LOS11", "LOS14"),
    advice="Weight the terms so that each contributes at the start, or bring their targets to one "
    "scale; look at each term's own curve.",
)
def loss_terms_imbalanced(
    trace: Trace,
    *,
    ratio: Annotated[
        float, "largest of the summed loss functions relative to the smallest"
    ] = 100.0,
    samples: Annotated[int, "sampled steps that are needed"] = 10,
    learned: Annotated[
        float, "level of the smaller term, relative to its start, below which it learns"
    ] = 0.5,
    grown: Annotated[
        float, "level of the smaller term, relative to its start, above which it grows"
    ] = 5.0,
) -> Iterator[Finding | Skipped]:
    """Of several summed loss functions one is so large that another does not count.

    The gradient then follows the large one, and the small task is learned by accident, if at all.
    Terms are taken with their weights, at the start and over the last half. A term that has halved
    anyway needs no help, and one that grows from next to nothing is no task of its own: the
    distance to a teacher, a divergence that is warmed up. One that an opponent holds up, whose
    optimizer minimises the same function, is small by choice.
    Source: "37 reasons", 18 (weights of multiple losses).
    """
    names, values, steps = summed_terms(trace)
    # One that stays at zero has nothing to learn: it was switched off, or all its targets ignored.
    calls = [
        place
        for place, name in enumerate(names)
        if name not in ("penalty", "other") and np.median(values[:, place]) != 0.0
    ]
    if len(calls) < 2 or len(values) < samples:
        yield Skipped("needs the values of several loss functions in one objective")
        return
    sizes = np.abs(values[:, calls])
    start = np.median(sizes[:FIRST], axis=0)
    end = np.median(sizes[len(sizes) // 2 :], axis=0)
    large, small = int(end.argmax()), int(end.argmin())
    if start[large] <= ratio * start[small] or end[large] <= ratio * end[small]:
        return
    if not learned * start[small] <= end[small] <= grown * start[small]:
        return
    one, other = (names[calls[place]] for place in (large, small))
    if _has_opponent(trace, names, other.partition("#")[0]):
        return
    times = f"{in_times(end[large] / end[small])} times" if end[small] > 0 else "infinitely often"
    yield Finding(
        f"`{one}` contributes {times} what `{other}` does ({end[large]:.3g} against "
        f"{end[small]:.3g}), which stayed at {end[small] / max(start[small], 1e-30):.0%} of its "
        "start.",
        steps=span(steps),
        evidence={
            "terms": [names[place] for place in calls],
            "at_start": [float(value) for value in start],
            "later": [float(value) for value in end],
        },
        location=loss_location(trace, other) or loss_location(trace, other.partition("#")[0]),
        advice=f"Multiply `{one}` by about {rounded(end[small] / end[large]):g}, or bring its "
        f"targets to the scale of those of `{other}`; look at each term's own curve."
        if end[small] > 0
        else "",
    )


def _has_opponent(trace: Trace, names: tuple[str, ...], function: str) -> bool:
    """Whether another optimizer's objective, of other terms, holds this loss function, too."""
    others = [
        terms
        for event in trace.events_of(EventKind.OBJECTIVE)
        if (terms := items(event.payload, "terms")) and tuple(terms) != names
    ]
    return len(set(trace.steps.optimizer)) > 1 and any(function in terms for terms in others)


@rule(
    "LOS17",
    "loss-clamped",
    Severity.WARNING,
    explains=("GRD04", "LOS07", "LOS11", "LOS14"),
    advice="Clip the gradient, not the loss (`clip_grad_norm_`), or take a robust loss such as "
    "`smooth_l1_loss`, whose gradient is bounded and never zero.",
    in_keras="Clip the gradient, not the loss (`global_clipnorm` of the optimizer), or take a "
    "robust loss such as `Huber`, whose gradient is bounded and never zero.",
)
def loss_clamped(
    trace: Trace,
    *,
    share: Annotated[float, "share of examples cut off in a step that counts"] = 0.01,
    samples: Annotated[int, "sampled steps that are needed"] = 5,
) -> Iterator[Finding | Skipped]:
    """A clamp stands between the examples' losses (or errors) and their mean, and is active.

    Where it cuts off, the gradient is exactly zero: the worst examples, which a clamp is meant to
    tame, teach nothing. Only clamps from above count, neither hinges nor the guard of a logarithm
    against zero. Read from the graph of the objective, with Keras on TensorFlow in `fit` and in
    `tf.function`.
    Source: Karpathy's Recipe, intro ("they clip their loss instead of their gradient").
    """
    known = [b for b in training_batches(trace) if b.clamped_fraction is not None]
    if not any(event.payload.get("terms") for event in trace.events_of(EventKind.OBJECTIVE)):
        yield Skipped("the operations of the objective were not recorded")
        return
    if len(known) < samples:
        if known:
            yield too_few(f"needs {samples} sampled steps, has {len(known)}")
        return
    active = [b for b in known if (b.clamped_fraction or 0.0) > share]
    if 4 * len(active) < len(known):
        return
    cut = median([b.clamped_fraction or 0.0 for b in active])
    event = next(
        (e for e in trace.events_of(EventKind.OBJECTIVE) if e.payload.get("clamped")), None
    )
    yield Finding(
        f"a clamp cuts off the losses of {cut:.0%} of the examples before they are averaged: these "
        "have no gradient.",
        steps=(active[0].step, active[-1].step),
        evidence={"share": cut, "active_samples": len(active), "samples": len(known)},
        location=place(event.payload) if event is not None else None,
    )


@rule(
    "LOS19",
    "loss-scales-with-batch",
    Severity.WARNING,
    explains=("LOS01", "GRD02", "GRD05", "UPD01", "GRD07"),
    advice="Average instead (`reduction='mean'`), or divide by the number of examples: learning "
    "rate and clipping then mean the same for every batch size.",
    in_keras='Average instead (`reduction="sum_over_batch_size"`, or `keras.ops.mean` in a loss '
    "of your own): learning rate and clipping then mean the same for every batch size.",
)
def loss_scales_with_batch(
    trace: Trace,
    *,
    steps: Annotated[int, "sampled steps that are needed"] = 5,
    examples: Annotated[int, "examples in a batch below which it matters little"] = 8,
) -> Iterator[Finding | Skipped]:
    """The loss is summed over the batch and differentiated as it is.

    The gradient grows with the batch: another batch size, or a smaller last batch, acts as another
    learning rate. Only information for optimizers that normalise the gradient (Adam, RMSprop). A
    sum that an attack climbs and that no objective has is left out.
    Source: "37 reasons", 15 (check your loss function); Goyal et al. 2017 (1706.02677), 2.
    """
    summed = [call for call in loss_calls(trace) if call.reduction == "sum"]
    if not loss_calls(trace):
        yield Skipped("no known loss function was called")
        return
    if not summed:
        return
    by_step = dict(zip(trace.steps.step.tolist(), trace.steps.loss.tolist(), strict=True))
    known = [
        batch
        for batch in loss_inputs(trace).get(summed[0].path, ())
        if batch.loss_value and batch.step in by_step
    ]
    if len(known) < steps:
        yield too_few(f"needs {steps} sampled values of `{summed[0].path}`, has {len(known)}")
        return
    shares = [by_step[b.step] / (b.loss_value or 1.0) for b in known]
    size = median([b.batch_size or 1 for b in known])
    weight = _weight(trace, summed[0].function)
    # A sum that is divided by the batch size on the way to backward is an average.
    if not (median(shares) if weight is None else weight) > 0.9 or size < examples:
        return
    yield Finding(
        f"`{summed[0].path}` sums over the batch of {size:.0f} examples, and nothing divides "
        f"by their number: its first value is {known[0].loss_value:.3g}.",
        steps=(known[0].step, known[-1].step),
        severity=Severity.INFO if are_scale_free(trace) else None,
        evidence={"batch_size": size, "first_loss": known[0].loss_value or 0.0},
        location=summed[0].location,
    )


def _weight(trace: Trace, function: str) -> float | None:
    """The largest weight that objectives give to a loss function, 0 if none has it; None if not
    known.
    """
    objectives = [event.payload for event in trace.events_of(EventKind.OBJECTIVE)]
    terms = [
        (str(name).partition("#")[0], weight)
        for found in objectives
        for name, weight in zip(items(found, "terms"), items(found, "weights"), strict=False)
    ]
    own = [w for name, w in terms if name == function and isinstance(w, (int, float))]
    if own or not terms:
        return max(own, default=None)
    return None if "other" in dict(terms) else 0.0
