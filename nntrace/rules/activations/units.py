"""Rules on single units: rectified ones that never fire, bounded ones that sit at their ends."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import batches_of_last_phase
from nntrace.rules.common.depth import SAMPLES, until_end
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import Link, any_finite, chain, columns, early_samples, weights
from nntrace.rules.common.loss_course import (
    has_fallen,
    is_still_learning,
    loss_series,
    remaining_loss,
)
from nntrace.rules.common.passes import makes_targets
from nntrace.rules.common.signals import finite, lasting, median, span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray

_ALL = 0.999  # of the units: the rest is rounding
_MOST = 0.8  # of a layer's units: as long as more than the rest fire, a signal passes
_BLOCKED = (
    "LOS07",
    "LOS11",
    "LOS12",
    "UPD02",
)  # what a layer does that lets hardly anything through
_FITTED = 0.05  # of the loss at chance: units that died did no harm
_FEW_UNITS = 8  # with fewer, some dead ones are chance
_MAX_UNITS = 1024  # of a layer that are sampled
_ROUNDING = 1e-4  # of a row's sum in float32


@rule(
    "ACT04",
    "dead-units",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("ACT01", "ACT02", "ACT06", "ACT07", "ACT13", "GRD01", "GRD04"),
    advice="Lower the learning rate, start biases at zero and weights with He's initialisation, "
    "normalise the inputs, or use a leaky activation.",
)
def dead_units(
    trace: Trace,
    *,
    warning_fraction: Annotated[float, "share of dead units in a layer that is a warning"] = 0.2,
    error_fraction: Annotated[float, "share of dead units in a layer that is an error"] = 0.5,
    learned: Annotated[
        float, "share of the first loss below which training works all the same"
    ] = 0.5,
    growth: Annotated[
        float, "rise of the dead share in the second half that means units still die"
    ] = 0.1,
    narrow: Annotated[
        float, "directions spanned by a rectifier's inputs, up to which dead units are information"
    ] = 2.0,
) -> Iterator[Finding | Skipped]:
    """Rectified units gave exactly zero for every example of the last samples.

    A unit that never fires gets no gradient and can never come back. Counted per unit over at least
    256 rows, not per batch, because a sparse batch is healthy. Only rectified outputs are judged
    (also by `F.relu`), and of one layer's chain (ReLU, dropout, pooling) only the first. Shares
    that add up to one (a softmax, routing weights) are zero by choice.

    Deep ReLU networks may have single layers with a quarter of their units dead and train well. So
    a warning also needs the share to be exceeded in the model as a whole, and an error eight units
    or more, or all of them. It is information

    - if the loss falls and no more units die, or it falls steadily and at most half are dead: a
      layer wider than its few inputs need has units that they never reach (where inputs span one or
      two directions, units may go on dying for the same reason)
    - if a fifth of the layer fires, which passes a signal on, and the loss is 5 % of chance or
      less, or does not say how well anything is learned: a network makes the targets, or several
      optimizers take turns

    A layer of which a fifth fires does not explain a loss that stays where it is.

    Source: Maas 2013; Karpathy's notes on ReLU; "37 reasons", 25 (dead units).
    """
    dead = trace.series(Role.ACTIVATION, "dead_fraction")
    flow = Flow(trace)
    rectified = _rectified(trace, flow)
    if not rectified:
        yield Skipped(
            "no rectified output was recorded over 256 rows (a relu called as a function is seen "
            "only if it is known which layer feeds which, or in the output of its module)"
        )
        return
    if skipped := early_samples(trace):
        yield skipped
        return
    goes_on = is_still_learning(trace)
    learns = remaining_loss(trace) <= learned or goes_on
    falls = learns or has_fallen(trace)
    beside = BesideChance(trace, batches_of_last_phase(trace))
    works = (
        makes_targets(trace)
        or loss_series(trace).optimizers > 1
        or (beside.lowest is not None and beside.series.end <= _FITTED * beside.lowest)
    )
    levels = [_late_median(dead[:, link.column]) for link in rectified]
    units = [link.site.units for link in rectified]
    overall = float(np.average(levels, weights=[max(1, count) for count in units]))
    for link, level, width in zip(rectified, levels, units, strict=True):
        count = round(level * width)
        if level <= warning_fraction or (width > 1 and count < 2):
            continue
        rows = np.flatnonzero(np.isfinite(dead[:, link.column]))
        share = dead[rows, link.column]
        since = lasting(share > warning_fraction, 1) or 0
        spread = width >= _FEW_UNITS or not width or count == width
        few = goes_on and level <= error_fraction
        healthy = learns and (few or not _grows(share, growth))
        healthy |= works and level <= _MOST
        healthy |= falls and count < width and _begins_narrow(trace, flow, link, narrow)
        severity = Severity.WARNING if overall > warning_fraction else Severity.INFO
        if spread and level > error_fraction:
            severity = Severity.ERROR
        yield Finding(
            f"{count / width if width else level:.0%} of the units of {link.site.shown} "
            f"({count} of {width}) never fire.",
            site=link.site,
            steps=span(trace.sampled_steps[rows[since:]]),
            severity=Severity.INFO if healthy else severity,
            explains=_BLOCKED if level > _MOST else (),
            evidence={"dead_fraction": level, "units": width, "dead_fraction_overall": overall},
        )


def _begins_narrow(trace: Trace, flow: Flow, link: Link, most: float) -> bool:
    """Whether the outputs that a rectifier gets span few directions at the start, `most` at most.

    They lie on a curve or a surface then, which many of the units' half-spaces never meet.
    """
    upstream = chain(trace)[: link.column]
    if flow.is_rectified_outside(link.site):
        upstream += (link,)
    elif link.has_weight:  # rectified in the same module, whose output spans more
        return False
    given = next((one for one in reversed(upstream) if one.has_weight), None)
    if given is None:
        return False
    rank = finite(trace.series(Role.ACTIVATION, "effective_rank", given.site))
    return 0 < median(rank[:SAMPLES]) <= most


def _late_median(share: FloatArray) -> float:
    """The median over the last quarter of the samples."""
    known = finite(share)
    return median(known[-max(1, len(known) // 4) :])


def _grows(share: FloatArray, growth: float) -> bool:
    """Whether the share is higher at the end than in the middle of the run."""
    middle, end = np.array_split(share[len(share) // 3 :], 2)
    return bool(len(middle) and median(end) - median(middle) > growth)


@rule(
    "ACT05",
    "saturated-units",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("GRD01", "GRD04", "UPD02", "LOS07", "LOS10", "LOS11", "LOS12"),
    advice="Scale down what enters the activation: normalise inputs, use a smaller "
    "initialisation or learning rate, or an unbounded activation.",
)
def saturated_units(
    trace: Trace,
    *,
    fraction: Annotated[float, "share of a layer's outputs at the ends of the range"] = 0.5,
    fitted: Annotated[float, "share of the first loss below which the data is fitted"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """Most outputs of a hidden sigmoid or tanh stay at an end of its range.

    Its slope is next to zero there and no gradient passes. Within 3 % of the range counts as at the
    end. Not reported: the output activation, as a confident classifier is rightly saturated;
    sigmoid gates, whose product with another tensor is the output of the module around them; and
    models that have fitted their data.
    Source: Glorot & Bengio 2010; "37 reasons", 30.
    """
    saturated = trace.series(Role.ACTIVATION, "saturated_fraction")
    judged = [
        link for link in hidden_bounded(trace) if len(finite(saturated[:, link.column])) >= SAMPLES
    ]
    if not judged:
        yield Skipped(f"no hidden bounded activation was seen in {SAMPLES} sampled steps")
        return
    if remaining_loss(trace) <= fitted:
        return
    for link in judged:
        share = saturated[:, link.column]
        since = until_end(share > fraction, np.isfinite(share), trace.sampled_steps)
        if since is None:  # units that come back pass gradients again
            continue
        level, late = median(share[since:]), np.flatnonzero(np.isfinite(share[since:])) + since
        yield Finding(
            f"{level:.0%} of the outputs of {link.site.path} ({link.site.module_type}) are at an "
            f"end of the range [{link.site.range_low:g}, {link.site.range_high:g}].",
            site=link.site,
            steps=span(trace.sampled_steps[late]),
            evidence={"saturated_fraction": level},
        )


def has_died_out(trace: Trace, before: int | None = None) -> bool:
    """Whether some rectified layer, of the first `before` columns, has only dead units late on."""
    dead = trace.series(Role.ACTIVATION, "dead_fraction")
    return any(
        _late_median(dead[:, link.column]) >= _ALL
        for link in _rectified(trace, Flow(trace))
        if before is None or link.column < before
    )


def _rectified(trace: Trace, flow: Flow) -> list[Link]:
    """The first rectified output after each layer with weights, where dead units were counted."""
    dead = trace.series(Role.ACTIVATION, "dead_fraction")
    return [link for link in _first_of_each_layer(trace, flow) if len(finite(dead[:, link.column]))]


def _first_of_each_layer(trace: Trace, flow: Flow) -> Iterator[Link]:
    """Yield the first rectified output after each layer with weights, but no inputs passed on.

    Shares are left out: attention weights, or a sparse choice among features, are zero on purpose.
    """
    lowest, zeros, means = (
        trace.series(Role.ACTIVATION, stat) for stat in ("min", "zero_fraction", "mean")
    )
    open_layer = is_share = False
    for link in chain(trace):
        open_layer = open_layer or link.has_weight
        low, zero = finite(lowest[:, link.column]), finite(zeros[:, link.column])
        rectified = len(low) > 0 and low.min() >= 0 and bool((zero > 0).any())
        rectified |= flow.is_rectified_outside(link.site)
        kind = link.site.module_type.lower()
        of_shares = is_share and "dropout" in kind  # of attention, whose mask makes the zeros
        is_share = of_shares or link.site.range_high == 1.0 or "softmax" in kind
        is_share |= rectified and _adds_up_to_one(link.site, finite(means[:, link.column]))
        if open_layer and rectified and not is_share:
            open_layer = False
            yield link


def _adds_up_to_one(site: Site, means: FloatArray) -> bool:
    """Whether the units of each row add up to one, in every sample, as far as their mean tells."""
    if not 1 < site.units <= _MAX_UNITS or len(means) < SAMPLES:
        return False
    return bool(np.all(np.abs(means * site.units - 1) < _ROUNDING))


def hidden_bounded(trace: Trace) -> Iterator[Link]:
    """Yield the bounded activations whose output another layer takes."""
    links = chain(trace)
    recorded = any_finite(trace.series(Role.ACTIVATION, "rms"), axis=0)
    by_parent = {site.parent: site for site in weights(trace)}
    stepped = np.isfinite(columns(trace, Role.UPDATE, "rms", list(by_parent.values())))
    steps_of = dict(zip(by_parent, stepped.T, strict=True))
    before: Link | None = None
    for index, link in enumerate(links):
        before = link if link.is_affine else before
        if link.site.range_low is None or link.site.range_high is None:
            continue
        later = links[index + 1 :]
        target = next((other for other in later if other.is_affine), None)
        following = [other for other in later if recorded[other.column]]
        if target is None or _is_gate(link, following):
            continue
        weight = by_parent.get(target.site.path)
        units = link.site.units
        takes_it = units > 1 and (weight is None or not weight.fan_in or weight.fan_in % units == 0)
        if takes_it and not _apart(steps_of, before, target):
            yield link


def _is_gate(link: Link, following: Sequence[Link]) -> bool:
    """Whether a sigmoid is followed by the output of the module around it."""
    if link.site.range_low != 0 or not following:
        return False
    around = following[0].site.path
    return around == "" or link.site.path.startswith((around + ".", around + "/"))


def _apart(steps_of: dict[str, BoolArray], before: Link | None, target: Link) -> bool:
    """Whether two layers are never stepped together, as the parts of a GAN."""
    if before is None:
        return False
    one, two = steps_of.get(before.site.path), steps_of.get(target.site.path)
    if one is None or two is None or not (one.any() and two.any()):
        return False
    return not (one & two).any()
