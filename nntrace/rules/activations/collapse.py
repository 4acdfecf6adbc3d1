"""Rules on what a layer can still tell apart: attention, running statistics, directions in use."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.activations.units import has_died_out
from nntrace.rules.common.chance import is_on_its_way
from nntrace.rules.common.layers import Link, chain, early_samples, first_finite, named, span
from nntrace.rules.common.loss_course import is_still_learning, remaining_loss
from nntrace.rules.common.signals import finite, lasting, median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

_LATE = 0.5  # of a site's samples
_HOLDS = 0.75  # of the late samples
_LEAST_START = 4.0  # directions a representation must have had
_LEAST_UNITS = 8
_MAX_UNITS = 1024  # that a sample takes of a layer
_ONE_KEY = "at a single key"
_OF_EVEN_ROWS = (
    "Look whether positions and masks reach the attention, and whether its queries and keys are "
    "larger than rounding: scores that hardly differ make even rows."
)
_SHRUNK = 0.1  # of what it was at the start
# Where directions are lost as well, examples are next to alike when they differ by so many times
# the share that tells by itself, and by this share of what they did at the start.
_FEW_TIMES, _SHORT = 5.0, 1 / 3
_ONE_LINE = 2.0  # directions; what is less is next to a line
_TWO_CLASSES = 2  # units of a head that a line is enough for


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
    half of the run: three quarters of the rows of a layer, in half of the layers. It counts only
    where the loss does not come down, because attention starts out even and may rightly settle on
    one key. Rows that look at one key from the very start are reported while the loss still falls
    as well. Rows that were even from the start are only information: they stay so because of
    whatever keeps the model from learning. Seen are softmax over the last axis and
    `scaled_dot_product_attention`; other forms of attention are not.
    Source: Zhai et al. 2023 (attention entropy collapse); Vaswani 2017, 3.2.1.
    """
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
    for kind, holds, values in (
        (_ONE_KEY, upper < sharp, upper),
        ("at all keys alike", lower > even, lower),
    ):
        found = []
        began_so = True
        for index in judged:
            rows = np.flatnonzero(np.isfinite(values[:, index]))
            late = rows[-max(samples, int(len(rows) * _LATE)) :]
            if holds[late, index].mean() >= _HOLDS and holds[late[-1], index]:
                since = lasting(holds[rows, index], 1)
                found.append((index, int(rows[since if since is not None else 0])))
                began_so &= bool(holds[rows[: max(1, samples // 2)], index].all())
        if 2 * len(found) < len(judged) or not found:
            continue
        # What looks at one key before it was trained has not found it.
        if learning and not (kind == _ONE_KEY and began_so):
            continue
        stayed_even = began_so and kind != _ONE_KEY
        paths = [sites[index].path for index, _ in found]
        level = median(values[:, found[0][0]][-len(late) :])
        yield Finding(
            f"attention has {'not become sharper' if stayed_even else 'collapsed'}: most rows look "
            f"{kind} in {len(found)} of {len(judged)} layers ({named(paths)}); their entropy is "
            f"{level:.2g} of an even row's.",
            site=sites[found[0][0]],
            steps=span(trace, found[0][1]),
            severity=Severity.INFO if stayed_even else None,
            evidence={"layers": paths, "relative_entropy": level, "kind": kind},
            advice="" if kind == _ONE_KEY else _OF_EVEN_ROWS,
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
    scale: Annotated[float, "rms of the input by running statistics; 1 is a match"] = 2.0,
    samples: Annotated[int, "samples of a norm that are needed"] = 5,
    left: Annotated[float, "of the variances' first difference; with less they come near"] = 0.4,
) -> Iterator[Finding | Skipped]:
    """Late in training a batch norm's running statistics do not fit the batches it is given.

    Training uses the mean and variance of the batch, evaluation the running ones; where they
    differ, the evaluated model is not the one that was trained. The inputs of the norm are
    normalised by the running statistics, which should give a root mean square of 1; a factor of two
    either way, over the last half of the run, counts. Not reported: statistics that approach those
    of the batches as fast as their momentum lets them. Keras' default of 0.99 takes some hundred
    steps, so shorter runs are not judged.
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
        rows = np.flatnonzero(np.isfinite(size[:, index]))
        if len(rows) < samples:
            continue
        off = (size[rows, index] > scale) | (size[rows, index] < 1 / scale)
        late = off[-max(3, int(len(rows) * _LATE)) :]
        if late.mean() >= _HOLDS and late[-1] and _remaining_difference(size[:, index]) >= left:
            since = lasting(off, 1)
            found.append((index, int(rows[since if since is not None else 0])))
    if not found:
        return
    index, since = found[0]
    level = median(size[since:, index])
    paths = [sites[i].path for i, _ in found]
    yield Finding(
        f"the running statistics of {len(found)} of {len(sites)} batch norms do not fit their "
        f"batches: {named(paths)}; normalised by them the first's input has rms {level:.2g}, not "
        "1. Evaluation will differ from training.",
        site=sites[index],
        steps=span(trace, since),
        evidence={
            "norms": paths,
            "rms": [median(size[start:, i]) for i, start in found],
        },
    )


def _remaining_difference(size: FloatArray) -> float:
    """What is left of the difference between running variance and the batches' that was there at
    the start, given the root mean squares of inputs normalised by the former.
    """
    known = finite(size)
    apart = np.abs(1 / np.maximum(known, 1e-12) ** 2 - 1)
    start = median(apart[:3])
    return median(apart[-3:]) / start if start else float("inf")


@rule(
    "ACT13",
    "collapsed-representation",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("LOS12",),
    advice="Look for what makes all examples alike: a target that a constant fulfils (a missing "
    "stop-gradient or negative pairs), a learning rate too high, decay too strong.",
)
def collapsed_representation(
    trace: Trace,
    *,
    loss_of_rank: Annotated[float, "effective rank at the end over that of the start"] = 0.5,
    width: Annotated[float, "effective rank over the largest the sample can show"] = 0.05,
    samples: Annotated[int, "samples of a layer's effective rank that are needed"] = 4,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.5,
    spread: Annotated[float, "how much final outputs differ, by their size, in one point"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """A hidden layer comes to use next to no directions: its outputs lie on a line, or a point.

    Measured by the participation ratio of the outputs' covariance. It falls in any good classifier,
    down to about the number of classes, so it counts only below two directions or a twentieth of
    what the sample can show, from one layer to the last before the head, and only for a model
    without targets (self-supervised training) or whose loss does not come down. A loss that has
    just reached what the label frequencies give needs one direction and is a start. One number to
    predict or two classes to separate need no more than a line, few outputs without targets are no
    representation but answers (quantiles), and behind a layer of three units or fewer there is no
    more to use. The last layer of a model without targets is a representation,
    too: it has collapsed into a point where examples differ by next to nothing of its outputs'
    size.
    Source: Jing et al. 2022 (Dimensional collapse); Gao et al. 2017 (participation ratio).
    """
    links = chain(trace)
    affine = [index for index, link in enumerate(links) if link.is_affine]
    if affine and not trace.sites_of(Role.TARGET):
        point = _one_point(trace, links[affine[-1]], spread, samples)
        if point is not None:
            yield point
            return
    rank = trace.series(Role.ACTIVATION, "effective_rank")
    size = trace.series(Role.ACTIVATION, "n")
    hidden = _before_a_bottleneck(links[: affine[-1]]) if affine else ()
    judged = [
        link
        for link in hidden
        if len(finite(rank[:, link.column])) >= samples and link.site.units >= _LEAST_UNITS
    ]
    if not judged:
        yield too_few(
            f"needs {samples} samples of a hidden layer over 16 rows of {_LEAST_UNITS} units"
        )
        return
    learns = remaining_loss(trace) <= learnt or is_still_learning(trace) or is_on_its_way(trace)
    outputs = links[affine[-1]].site.units
    if trace.sites_of(Role.TARGET):
        if learns or outputs <= _TWO_CLASSES:
            return
    elif outputs < _LEAST_UNITS:
        return
    start = first_finite(rank)
    found: list[tuple[Link, int]] = []
    # From the end: what collapses before layers that still tell examples apart is a branch.
    for link in reversed(judged):
        values = rank[:, link.column]
        rows = np.flatnonzero(np.isfinite(values))
        units = max(1, min(link.site.units, _MAX_UNITS))
        reachable = min(median(size[rows, link.column]) / units - 1, units)
        bound = min(loss_of_rank * start[link.column], max(_ONE_LINE, width * reachable))
        late = values[rows[-max(3, int(len(rows) * _LATE)) :]] < bound
        if start[link.column] < _LEAST_START:
            continue  # it used few directions from the start: that says nothing of those before it
        if late.mean() < _HOLDS or not late[-1]:
            break
        since = lasting(values[rows] < bound, 1)
        found.append((link, int(rows[since if since is not None else 0])))
    if not found:
        return
    link, since = found[-1]
    begin, end = float(start[link.column]), median(finite(rank[:, link.column])[-3:])
    yield Finding(
        f"the outputs of {link.site.shown} have collapsed: they used {begin:.1f} "
        f"directions of {link.site.units} at the start and use {end:.1f}.",
        site=link.site,
        steps=span(trace, since),
        evidence={
            "layers": [one.site.path for one, _ in reversed(found)],
            "first_rank": begin,
            "last_rank": end,
        },
        not_explained_by=_of_itself(trace),
        explains=_of_itself(trace),
    )


def _of_itself(trace: Trace) -> tuple[str, ...]:
    """ACT04 where dead units come from the collapse: nothing but the objective asks for them."""
    return () if trace.sites_of(Role.TARGET) or has_died_out(trace) else ("ACT04",)


def _before_a_bottleneck(links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The layers up to one through which each example passes as fewer numbers than directions."""
    for place, link in enumerate(links):
        is_of_examples = len(link.site.shape) == 2  # a place of an image takes in its neighbours
        if link.is_affine and is_of_examples and 0 < link.site.units < _LEAST_START:
            return links[: place + 1]
    return links


def _one_point(trace: Trace, link: Link, spread: float, samples: int) -> Finding | None:
    """The finding that a layer's outputs have become nearly the same for all examples."""
    if link.site.units < _LEAST_UNITS:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        size = trace.series(Role.ACTIVATION, "rms")[:, link.column]
        apart = trace.series(Role.ACTIVATION, "example_std")[:, link.column] / size
    rows = np.flatnonzero(np.isfinite(apart))
    if len(rows) < samples:
        return None
    close = apart[rows] < min(spread, _SHRUNK * apart[rows[0]])
    if not _gives_inputs_back(trace, link):
        close |= _on_few_directions(trace, link, rows) & (
            apart[rows] < np.minimum(_FEW_TIMES * spread, _SHORT * apart[rows[0]])
        )
    since, steps = lasting(close, 3), trace.sampled_steps[rows]
    # For a quarter of the steps, not of the samples: most of these are of the beginning.
    if since is None or 4 * (steps[-1] - steps[since] + 1) < steps[-1] - steps[0] + 1:
        return None
    begin, end = float(apart[rows[0]]), median(apart[rows[-3:]])
    return Finding(
        f"the outputs of {link.site.shown} have collapsed"
        + (" into a point" if end < spread else "")
        + f": examples differed by {begin:.0%} of their size at the start and differ by {end:.1%}.",
        site=link.site,
        steps=span(trace, int(rows[since])),
        evidence={"layers": [link.site.path], "first_spread": begin, "last_spread": end},
        not_explained_by=_of_itself(trace),
        explains=_of_itself(trace),
    )


def _on_few_directions(trace: Trace, link: Link, rows: IntArray) -> BoolArray:
    """At which samples half of the directions of the start are lost, by the last known number."""
    rank = trace.series(Role.ACTIVATION, "effective_rank")[:, link.column]
    known = np.flatnonzero(np.isfinite(rank))
    if not len(known) or rank[known[0]] < _LEAST_START:
        return np.zeros(len(rows), dtype=np.bool_)
    last = known[np.maximum(np.searchsorted(known, rows, side="right") - 1, 0)]
    return np.asarray(rank[last] < 0.5 * rank[known[0]])


def _gives_inputs_back(trace: Trace, link: Link) -> bool:
    """Whether its outputs are as large as an input: what examples have in common is right then."""
    return any(site.numel == link.site.numel for site in trace.sites_of(Role.INPUT))
