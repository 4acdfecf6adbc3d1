"""Rules on layers that lose information: attention, and norms with running statistics."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.depth import since_late
from nntrace.rules.common.layers import early_samples, named, sampled_span
from nntrace.rules.common.loss_course import is_still_learning, remaining_loss
from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.common.signals import finite, median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Trace
from nntrace.trace.model import FloatArray

_ONE_KEY, _ALL_KEYS = "at a single key", "at all keys alike"
_OF_EVEN_ROWS = (
    "Look whether positions and masks reach the attention, and whether its queries and keys are "
    "larger than rounding: scores that hardly differ make even rows."
)


@rule(
    "ACT09",
    "attention-collapse",
    Severity.WARNING,
    explains=("GRD01", "GRD04", "LOS07", "LOS11", "LOS12"),
    advice="Divide the scores by the square root of the head's width, once; normalise queries and "
    "keys, lower the learning rate or warm it up.",
)
def attention_collapse(
    trace: Trace,
    *,
    sharp: Annotated[float, "relative entropy below which a row looks at one key only"] = 0.05,
    even: Annotated[float, "relative entropy above which a row looks at all keys alike"] = 0.995,
    samples: Annotated[int, "samples of a layer's attention that are needed"] = 4,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.5,
) -> Iterator[Finding | Skipped]:
    """Most attention rows look at a single key, or at all keys alike, in most layers.

    One-hot rows pass no gradient to queries and keys; even rows are a plain average that needs no
    attention. Judged by the entropy of sampled rows relative to that of an even row, over the last
    half of the run: three quarters of the rows of a layer, in half of the layers. It counts only if
    the loss does not fall, because attention starts out even and may rightly settle on one key.
    Rows that look at one key from the very start are reported even while the loss still falls. Rows
    that were even from the start are only information: they stay so because of whatever keeps the
    model from learning. The rule sees softmax over the last axis and
    `scaled_dot_product_attention`, no other form of attention, and no softmax over what a layer
    puts out as it is, such as the bins of a detector's boxes. With PyTorch also scores that are
    multiplied by the square root of the width of queries and keys, by the graph of the loss; not
    of normalised queries, whose products are small.
    Source: Zhai et al. 2023 (attention entropy collapse); Vaswani 2017, 3.2.1.
    """
    enlarged = [e for e in trace.events_of(EventKind.AXES) if text(e.payload, "what") == "scale"]
    if enlarged:
        yield _enlarged(enlarged[0])
        return
    sites = trace.sites_of(Role.ATTENTION)
    if not sites:
        yield Skipped("no attention was recorded (only softmax attention is)")
        return
    upper, lower = trace.series(Role.ATTENTION, "q75"), trace.series(Role.ATTENTION, "q25")
    known = np.isfinite(upper).sum(axis=0)
    judged = [index for index in range(len(sites)) if known[index] >= samples]
    if not judged:
        yield too_few(f"needs {samples} samples of a layer's attention, has {known.max(initial=0)}")
        return
    if remaining_loss(trace) <= learnt:
        return
    learning = is_still_learning(trace)
    for kind, holds, entropy in (
        (_ONE_KEY, upper < sharp, upper),
        (_ALL_KEYS, lower > even, lower),
    ):
        seen = np.isfinite(entropy)
        since = {index: since_late(holds[:, index], seen[:, index], samples) for index in judged}
        found = {index: row for index, row in since.items() if row is not None}
        if not found or 2 * len(found) < len(judged):
            continue
        first = max(1, samples // 2)
        began_so = all(holds[seen[:, index], index][:first].all() for index in found)
        # A row that looks at one key before any training has not learned to.
        if learning and not (kind == _ONE_KEY and began_so):
            continue
        paths = [sites[index].path for index in found]
        index, row = next(iter(found.items()))
        level = median(entropy[row:, index])
        stayed_even = began_so and kind == _ALL_KEYS
        yield Finding(
            f"attention has {'not become sharper' if stayed_even else 'collapsed'}: most rows "
            f"look {kind} in {len(paths)} of {len(judged)} layers ({named(paths)}); their "
            f"entropy is {level:.2g} times that of even weights.",
            site=sites[index],
            steps=sampled_span(trace, row),
            severity=Severity.INFO if stayed_even else None,
            evidence={"layers": paths, "relative_entropy": level, "kind": kind},
            advice="" if kind == _ONE_KEY else _OF_EVEN_ROWS,
        )


def _enlarged(event: Event) -> Finding:
    factor, width = number(event.payload, "factor") or 0.0, count(event.payload, "width")
    return Finding(
        f"the scores of attention are multiplied by {factor:.3g}, the square root of the width of "
        f"{width}, and not divided by it: their variance is {width**2} times what it is meant to "
        "be, and the softmax soon looks at few keys.",
        steps=(event.step, event.step),
        evidence={"factor": factor, "width": width},
        advice="Divide the scores by the root of the head's width: `scores / math.sqrt(width)`, "
        "or `scores * width**-0.5`.",
        location=place(event.payload),
    )


@rule(
    "ACT12",
    "batchnorm-mismatch",
    Severity.WARNING,
    explains=("LOS13", "RUN13"),
    min_steps=200,
    advice="Let the running statistics follow faster (a larger momentum in PyTorch, a smaller one "
    "in Keras), go on training with a lower learning rate, or use larger batches or a layer norm.",
)
def batchnorm_mismatch(
    trace: Trace,
    *,
    scale: Annotated[
        float, "rms of the input normalised by the running statistics; 1 is a match"
    ] = 1.7,
    samples: Annotated[int, "samples of a norm that are needed"] = 5,
    left: Annotated[
        float, "share of the first mismatch of the variances below which it is dying out"
    ] = 0.4,
) -> Iterator[Finding | Skipped]:
    """Late in training a batch norm's running statistics do not fit the batches it is given.

    Training uses the mean and variance of the batch, evaluation the running ones; if they differ,
    the evaluated model is not the one that was trained. The inputs of the norm are normalised by
    the running statistics, which should give a root mean square of 1; a factor of 1.7 either way,
    over the last half of the run, counts. Statistics that approach those of the batches as fast as
    their momentum lets them are not reported. Keras' default of 0.99 takes some hundred steps, so
    shorter runs are not judged.
    Source: Ioffe & Szegedy 2015; "37 reasons", 22 (train and test mode).
    """
    sites = trace.sites_of(Role.RUNNING_NORM)
    if not sites:
        yield Skipped("no batch norm with running statistics was recorded in training")
        return
    size = trace.series(Role.RUNNING_NORM, "rms")
    known = np.isfinite(size).sum(axis=0)
    if known.max(initial=0) < samples:
        yield too_few(f"needs {samples} samples of a norm, has {known.max(initial=0)}")
        return
    if skipped := early_samples(trace):
        yield skipped
        return
    found = []
    for index in range(len(sites)):
        values = size[:, index]
        if known[index] < samples or _remaining_difference(values) < left:
            continue
        since = since_late((values > scale) | (values < 1 / scale), np.isfinite(values))
        if since is not None:
            found.append((index, since))
    if not found:
        return
    index, since = found[0]
    level = median(size[since:, index])
    paths = [sites[i].path for i, _ in found]
    yield Finding(
        f"the running statistics of {len(found)} of {len(sites)} batch norms do not fit their "
        f"batches: {named(paths)}; normalised by them, the input of the first has rms "
        f"{level:.2g} in place of 1. Evaluation will differ from training.",
        site=sites[index],
        steps=sampled_span(trace, since),
        evidence={"norms": paths, "rms": [median(size[start:, i]) for i, start in found]},
    )


def _remaining_difference(size: FloatArray) -> float:
    """The share that is left of the initial difference between running and batch variance.

    `size` holds the root mean squares of inputs normalised by the running statistics.
    """
    known = finite(size)
    apart = np.abs(1 / np.maximum(known, 1e-12) ** 2 - 1)
    start = median(apart[:3])
    return median(apart[-3:]) / start if start else float("inf")
