"""Rules on representations: how many directions a hidden layer's outputs use."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.dataflow import Vertex
from nntrace.rules.activations.drawn_codes import drowned_code
from nntrace.rules.activations.units import has_died_out
from nntrace.rules.common.depth import since_late
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.frequencies import (
    has_seen_few_of_each,
    is_on_its_way,
    is_well_below_frequencies,
)
from nntrace.rules.common.layers import Link, chain, first_finite, sampled_span
from nntrace.rules.common.loss_course import is_still_learning, remaining_loss
from nntrace.rules.common.signals import finite, lasting, median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray, IntArray

_LEAST_START = 4.0  # directions a representation must have had
_LEAST_UNITS = 8
_MAX_UNITS = 1024  # of a layer that are sampled
_ONE_LINE = 2.0  # directions; fewer are next to a line
_TWO_CLASSES = 2  # units of a head, for which a line is enough
_SHRUNK = 0.1  # of the difference at the start
# If directions are lost as well, examples count as next to alike at a difference that is so many
# times the one that counts by itself, and below this share of their difference at the start.
_FEW_TIMES, _SHORT = 5.0, 1 / 3


@rule(
    "ACT13",
    "collapsed-representation",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("ACT01", "LOS12", "LOS14"),
    advice="Look for what makes all examples alike: a target that a constant fulfils (a missing "
    "stop-gradient or negative pairs), a learning rate too high, decay too strong.",
)
def collapsed_representation(
    trace: Trace,
    *,
    loss_of_rank: Annotated[float, "effective rank at the end relative to the start"] = 0.5,
    width: Annotated[
        float, "effective rank relative to the largest that the sample can show"
    ] = 0.05,
    samples: Annotated[int, "samples of a layer's effective rank that are needed"] = 4,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.5,
    spread: Annotated[
        float, "final spread of examples, relative to their size, that is one point"
    ] = 0.05,
) -> Iterator[Finding | Skipped]:
    """A hidden layer comes to use next to no directions: its outputs lie on a line, or a point.

    Measured by the participation ratio of the outputs' covariance. It falls in any good classifier,
    so it counts only below two directions or a twentieth of what the sample can show, from one
    layer to the last before the head, and only for a model without targets (self-supervised
    training) or one whose loss does not fall. A loss a fifth below the label frequencies is left
    alone: the rest may be the data's own entropy, as in a language.

    Not reported where little is needed: by a loss that has only just reached the label frequencies,
    with one number or two classes to predict, with a few outputs without targets (quantiles), or
    after a layer of three units or fewer.

    The last layer of a model without targets has collapsed into a point if examples differ by next
    to nothing of its outputs' size, unless these are logarithms of scales. A code that is drawn
    around a mean, as in a variational autoencoder, has collapsed if the means of examples lie
    within a tenth of the noise, and were twice as far apart before.

    Source: Jing et al. 2022 (Dimensional collapse); Gao et al. 2017 (participation ratio);
    Bowman et al. 2016 (a code that is ignored).
    """
    if (code := drowned_code(trace)) is not None:
        yield code
        return
    links = chain(trace)
    affine = [index for index, link in enumerate(links) if link.is_affine]
    head = affine[-1] if affine else 0
    if affine and not trace.sites_of(Role.TARGET):
        point = _one_point(trace, links[head], spread, samples)
        if point is not None:
            yield point
            return
    rank = trace.series(Role.ACTIVATION, "effective_rank")
    hidden = _before_a_bottleneck(links[:head])
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
    learns = remaining_loss(trace) <= learnt or is_still_learning(trace)
    learns = learns or is_on_its_way(trace) or has_seen_few_of_each(trace)
    learns = learns or is_well_below_frequencies(trace)
    if _needs_few_directions(trace, links[head].site.units, learns):
        return
    if found := _collapsed(trace, judged, loss_of_rank, width):
        yield _on_few_lines(trace, found)


def _on_few_lines(trace: Trace, found: Sequence[tuple[Link, int]]) -> Finding:
    """The finding on layers that came to use next to no directions; the first of them is last."""
    link, row = found[-1]
    values = finite(trace.series(Role.ACTIVATION, "effective_rank", link.site))
    begin, end = float(values[0]), median(values[-3:])
    return Finding(
        f"the outputs of {link.site.shown} have collapsed: they used {begin:.1f} "
        f"directions of {link.site.units} at the start and use {end:.1f}.",
        site=link.site,
        steps=sampled_span(trace, row),
        evidence={
            "layers": [one.site.path for one, _ in reversed(found)],
            "first_rank": begin,
            "last_rank": end,
        },
        not_explained_by=_of_itself(trace),
        explains=_of_itself(trace),
    )


def _collapsed(
    trace: Trace, links: Sequence[Link], loss_of_rank: float, width: float
) -> list[tuple[Link, int]]:
    """Layers that have come to use next to no directions, each with the sample since which it has.

    The last layer comes first: a collapse before layers that still tell examples apart is a branch.
    """
    rank = trace.series(Role.ACTIVATION, "effective_rank")
    size = trace.series(Role.ACTIVATION, "n")
    start = first_finite(rank)
    found = []
    for link in reversed(links):
        values = rank[:, link.column]
        units = max(1, min(link.site.units, _MAX_UNITS))
        reachable = min(median(size[np.isfinite(values), link.column]) / units - 1, units)
        bound = min(loss_of_rank * start[link.column], max(_ONE_LINE, width * reachable))
        if start[link.column] < _LEAST_START:
            continue  # few directions from the start: that says nothing about earlier layers
        since = since_late(values < bound, np.isfinite(values))
        if since is None:
            break
        found.append((link, since))
    return found


def _needs_few_directions(trace: Trace, outputs: int, learns: bool) -> bool:
    """Whether a model with so many outputs may work with next to no directions."""
    if not trace.sites_of(Role.TARGET):
        return outputs < _LEAST_UNITS  # answers, not a representation
    return learns or outputs <= _TWO_CLASSES


def _of_itself(trace: Trace) -> tuple[str, ...]:
    """ACT04 if dead units come from the collapse, as nothing but the objective asks for them."""
    return () if trace.sites_of(Role.TARGET) or has_died_out(trace) else ("ACT04",)


def _before_a_bottleneck(links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The layers up to the first through which each example passes as very few numbers."""
    for place, link in enumerate(links):
        is_of_examples = len(link.site.shape) == 2  # places of an image see their neighbours, too
        if link.is_affine and is_of_examples and 0 < link.site.units < _LEAST_START:
            return links[: place + 1]
    return links


def _one_point(trace: Trace, link: Link, spread: float, samples: int) -> Finding | None:
    """The finding if a layer's outputs have become nearly the same for all examples; else None."""
    # Logarithms of scales may rightly be the same for all examples.
    if link.site.units < _LEAST_UNITS or Flow(trace).is_exponentiated(Vertex(link.site.path)):
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
    # A quarter of the steps, not of the samples: most samples are from the beginning.
    if since is None or 4 * (steps[-1] - steps[since] + 1) < steps[-1] - steps[0] + 1:
        return None
    begin, end = float(apart[rows[0]]), median(apart[rows[-3:]])
    return Finding(
        f"the outputs of {link.site.shown} have collapsed"
        + (" into a point" if end < spread else "")
        + f": the outputs of examples differed by {begin:.0%} of their size at the start, and by "
        f"{end:.1%} at the end.",
        site=link.site,
        steps=sampled_span(trace, int(rows[since])),
        evidence={"layers": [link.site.path], "first_spread": begin, "last_spread": end},
        not_explained_by=_of_itself(trace),
        explains=_of_itself(trace),
    )


def _on_few_directions(trace: Trace, link: Link, rows: IntArray) -> BoolArray:
    """Mark the samples at which half of the initial directions are lost, by the last known rank."""
    rank = trace.series(Role.ACTIVATION, "effective_rank")[:, link.column]
    known = np.flatnonzero(np.isfinite(rank))
    if not len(known) or rank[known[0]] < _LEAST_START:
        return np.zeros(len(rows), dtype=np.bool_)
    last = known[np.maximum(np.searchsorted(known, rows, side="right") - 1, 0)]
    return np.asarray(rank[last] < 0.5 * rank[known[0]])


def _gives_inputs_back(trace: Trace, link: Link) -> bool:
    """Whether outputs are as large as an input, as reconstructions; they rightly share much."""
    return any(site.numel == link.site.numel for site in trace.sites_of(Role.INPUT))
