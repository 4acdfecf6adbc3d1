"""Rules on the parameters as training found them: no symmetry, and a scale that fits the fan."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import Annotated

import numpy as np

from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import (
    Link,
    any_finite,
    chain,
    columns,
    first_finite,
    first_sampled_is_start,
    is_embedding,
    is_norm,
    named,
    sampled_from_start,
    sampled_span,
    weights,
)
from nntrace.rules.common.signals import finite
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

_CONSTANT = 1e-6  # std relative to rms: float32 rounding of a fill value
_RESTORES = 3.0  # times a layer's output: a signal this large restores it
_SPARSE = 0.9  # share of zeros from which an input is sparse
_TOO_FEW_WEIGHTS = 16  # the standard deviation of fewer draws says little


@rule(
    "INI01",
    "constant-weights",
    Severity.ERROR,
    needs=(Role.PARAM,),
    explains=(
        *("INI02", "INI03", "ACT02", "ACT04", "ACT05", "ACT07", "ACT13", "GRD01", "GRD04"),
        *("UPD02", "UPD06", "LOS07", "LOS11", "LOS12"),
    ),
    advice="Draw the weights at random (He for ReLU, Glorot for tanh); only biases, the scales of "
    "norms and the last layer of a residual branch may start constant.",
)
def constant_weights(
    trace: Trace,
    *,
    steps: Annotated[int, "optimizer steps after which a constant start must have been left"] = 10,
) -> Iterator[Finding | Skipped]:
    """Weight matrices start constant, so that the units of a layer compute the same for ever.

    Equal units get equal gradients, and no step can tell them apart. Reported are a matrix that
    stays constant while it is stepped (or a table of vectors, if all of it is sampled), two
    successive layers of which one is filled with a number other than zero, and a model whose layers
    all start constant. Zeros at the end of a residual branch or in a head change within a few steps
    and are healthy (Fixup, Zhang 2019); so are several layers that add up to a head.
    Source: "37 reasons", 23 (weight initialisation); Goodfellow, Deep Learning, 8.4.
    """
    matrices = [
        site
        for site in (*weights(trace), *_tables_read_whole(trace))
        if sum(size > 1 for size in site.shape) > 1
    ]
    if not matrices:
        yield Skipped("no weight matrix was recorded")
        return
    if not first_sampled_is_start(trace):
        yield Skipped("the first step was not sampled")
        return
    std = columns(trace, Role.PARAM, "std", matrices)
    size = columns(trace, Role.PARAM, "rms", matrices)
    varies = std > _CONSTANT * size
    value = first_finite(columns(trace, Role.PARAM, "mean", matrices))
    constant = first_finite(std) <= _CONSTANT * first_finite(size)
    if not constant.any():
        return
    gradient = columns(trace, Role.PARAM_GRAD, "rms", matrices)
    update = columns(trace, Role.UPDATE, "rms", matrices)
    symmetric = _symmetric(matrices, Flow(trace), constant, value, first_finite(gradient))
    is_stepped = np.isfinite(update).any(axis=0)
    is_withheld = (gradient > 0).any(axis=0) & ~(update > 0).any(axis=0)
    unused = _without_gradient(trace)
    is_used = np.array([site.path not in unused for site in matrices])
    stuck = constant & ~varies.any(axis=0) & is_stepped & is_used & ~is_withheld
    if stuck.any() and _steps_at_work(trace) < steps:
        stuck[:] = False
        if not symmetric.any():
            yield too_few(f"needs {steps} steps to see whether constant weights are left behind")
    blamed = np.flatnonzero(symmetric | stuck)
    if not len(blamed):
        return
    first = blamed[0]
    paths = [matrices[index].path for index in blamed]
    kind = (
        "never left that value"
        if stuck[blamed].all()
        else "so the units of a layer are equal and learn the same"
    )
    yield Finding(
        f"{len(blamed)} of {len(matrices)} weight matrices start constant and {kind}: "
        f"{named(paths)} (every weight of the first is {value[first]:.4g}).",
        site=matrices[first],
        steps=sampled_span(trace),
        evidence={"weights": paths, "values": value[blamed].tolist()},
    )


def _tables_read_whole(trace: Trace) -> list[Site]:
    """Embeddings that are sampled whole: in a sample of others, the rows in use may be missing."""
    tables = [site for site in trace.sites_of(Role.PARAM) if is_embedding(site)]
    read = columns(trace, Role.PARAM, "n", tables)
    return [
        site
        for site, count in zip(tables, read.T, strict=True)
        if len(known := finite(count)) and known.max() >= site.numel
    ]


def _symmetric(
    matrices: Sequence[Site],
    flow: Flow,
    constant: np.ndarray,
    value: FloatArray,
    gradient: FloatArray,
) -> np.ndarray:
    """Mark the constant matrices of affine layers whose equal units nothing tells apart.

    The targets tell those of a head apart, and so those of several layers whose outputs are added.
    """
    blamed = np.zeros(len(matrices), dtype=bool)
    affine = [index for index, site in enumerate(matrices) if site.fan_in]
    layers = {matrices[index].parent for index in affine}
    for one, two in pairwise(affine):
        if constant[one] and constant[two] and (value[one] != 0 or value[two] != 0):
            heads = (flow.is_last(matrices[index].parent, layers) for index in (one, two))
            blamed[[one, two]] |= not all(heads)
    # Zeros everywhere: parallel linear models learn from that, but stacked layers get no gradient.
    if len(affine) > 1 and constant[affine].all() and (gradient[affine] == 0).any():
        blamed[affine] = True
    return blamed


def _steps_at_work(trace: Trace) -> int:
    """Optimizer steps between the first and the last sample whose learning rate is not zero."""
    steps = trace.steps
    first, last = sampled_span(trace)
    within = (steps.step >= first) & (steps.step < last)
    return int(np.count_nonzero(within & (steps.lr != 0)))


@rule(
    "INI02",
    "init-scale",
    Severity.WARNING,
    needs=(Role.PARAM,),
    explains=(
        *("INI03", "INI05", "ACT01", "ACT02", "ACT03", "ACT04", "ACT05", "ACT06", "GRD01"),
        *("GRD02", "GRD10", "UPD01", "UPD02", "UPD03", "LOS01", "LOS07", "LOS08", "LOS11"),
        *("LOS12", "NUM01"),
    ),
    advice="Draw weights with a standard deviation near sqrt(2 / fan_in) before a ReLU or "
    "sqrt(2 / (fan_in + fan_out)) before tanh, or keep the framework's default.",
)
def init_scale(
    trace: Trace,
    *,
    factor: Annotated[float, "factor between the rms and those of all known schemes"] = 3.0,
) -> Iterator[Finding | Skipped]:
    """The weights of a layer were drawn far smaller or larger than its fan asks for.

    Each such layer shrinks or blows up signal and gradient, by a factor that multiplies with depth.
    Compared with He, Glorot, LeCun, PyTorch's default and orthogonal matrices; a layer counts if it
    is outside [1/3, 3] of all of them. Not reported: small weights whose output a later norm, a
    residual sum or a factor rescales; small weights of a head; large weights directly before a
    norm, or of a size that fits the nonzero part of a sparse input (one-hot rows); layers that the
    loss does not depend on.
    Source: He 2015; Glorot & Bengio 2010; "37 reasons", 23 (weight initialisation).
    """
    held = {site.path for site in trace.sites_of(Role.UPDATE)}
    called = {site.path for site in trace.sites_of(Role.ACTIVATION)}
    unused = _without_gradient(trace)
    sites = [
        site
        for site in weights(trace)
        if site.fan_in
        and site.fan_out
        # A copy that averages weights is neither trained nor called in training.
        and (not held or site.path in held or site.parent in called)
        and site.path not in unused
    ]
    if not sites:
        yield Skipped("no weight whose fan-in is known was recorded")
        return
    if not first_sampled_is_start(trace):
        yield Skipped("the first step was not sampled")
        return
    size = first_finite(columns(trace, Role.PARAM, "rms", sites))
    spread = first_finite(columns(trace, Role.PARAM, "std", sites))
    drawn = (spread > _CONSTANT * size) & sampled_from_start(trace, sites)
    sparse = _sparse_inputs(trace)
    bounds = [_bounds(site, factor, sparse.get(site.fan_in or 0, 1.0)) for site in sites]
    low, high = (np.array(side) for side in zip(*bounds, strict=True))
    enough = np.array([site.numel >= _TOO_FEW_WEIGHTS for site in sites])
    flow, owners = Flow(trace), {site.parent for site in sites}
    is_head = np.array([flow.is_last(site.parent, owners) for site in sites])
    is_head[-1] = True
    # Ids are in the order of execution; those of updates come later, from the first step.
    norms = [site.id for site in trace.sites_of(Role.ACTIVATION) if is_norm(site)]
    last_norm = max(norms, default=-1)
    rescaled = np.array([site.id < last_norm for site in sites])
    links = chain(trace)
    places = {link.site.path: place for place, link in reversed(list(enumerate(links)))}
    at = [places.get(site.parent) for site in sites]
    signal = first_finite(trace.series(Role.ACTIVATION, "rms"))
    restored = np.array([_is_restored(links, signal, place) for place in at])
    exposed = ~is_head & ~rescaled & ~restored
    small = drawn & enough & exposed & (size < low)
    # One small layer among many is a choice (a policy's head); most of them are a mistake. Weights
    # that are computed from other parameters (weight norm) have no fan, but count as layers.
    if small.any() and 2 * small.sum() >= exposed.sum() + _layers_without_fan(trace):
        yield _out_of_scale(trace, sites, size, np.flatnonzero(small), low, "smaller")
    large = drawn & enough & (size > high)
    for index in np.flatnonzero(large).tolist():
        large[index] = not _norm_follows(trace, links, at[index], sites[index])
    if large.any():
        yield _out_of_scale(trace, sites, size, np.flatnonzero(large), high, "larger")


def _without_gradient(trace: Trace) -> set[str]:
    """The weights that never got a gradient, where others did: the loss does not depend on them."""
    matrices = weights(trace)
    known = any_finite(columns(trace, Role.PARAM_GRAD, "rms", matrices), axis=0)
    if not known.any():
        return set()
    return {site.path for site, is_known in zip(matrices, known, strict=True) if not is_known}


def _layers_without_fan(trace: Trace) -> int:
    """The number of modules, norms aside, that hold matrices of unknown fan."""
    return len({s.parent for s in weights(trace) if not s.fan_in and not is_norm(s)})


def _sparse_inputs(trace: Trace) -> dict[int, float]:
    """The nonzero part of each mostly-zero input of a model, by the input's width."""
    zeros = first_finite(trace.series(Role.INPUT, "zero_fraction"))
    found = zip(trace.sites_of(Role.INPUT), zeros, strict=True)
    return {site.shape[-1]: 1.0 - share for site, share in found if site.shape and share > _SPARSE}


def _bounds(site: Site, factor: float, present: float) -> tuple[float, float]:
    """The smallest and largest rms that some scheme, widened by the factor, would draw.

    Args:
        present: the part of the layer's input that is not zero.
    """
    fan_in, fan_out = site.fan_in or 1, site.fan_out or 1
    smallest = min(
        1 / sqrt(3 * fan_in),  # PyTorch's default: kaiming_uniform with a = sqrt(5)
        sqrt(2 / (fan_in + fan_out)),
        sqrt(2 / fan_out),
        1 / sqrt(max(fan_in, fan_out)),  # orthogonal
    )
    widened = factor * (1 + 3 / sqrt(2 * site.numel))  # three standard errors of a std
    return smallest / widened, sqrt(2 / max(1.0, present * fan_in)) * widened


def _norm_follows(trace: Trace, links: Sequence[Link], at: int | None, weight: Site) -> bool:
    """Whether a norm takes the layer's output, before another layer or a bounded function does.

    The layer is `links[at]`; None if it has no activation.
    """
    if at is None:
        later = (s for s in trace.sites_of(Role.PARAM) if s.id > weight.id)
        following = next((site for site in later if site.parent != weight.parent), None)
        return following is not None and is_norm(following)
    for place in range(at + 1, len(links)):
        link = links[place]
        if link.is_norm:
            return True
        if link.is_affine or link.site.range_low is not None:
            return False
    return False


def _is_restored(links: Sequence[Link], signal: FloatArray, at: int | None) -> bool:
    """Whether the signal after `links[at]`, before the next layer, is far larger than the layer's.

    That is so in a residual branch (the sum) and with a fixed factor after the layer, as in sin(30
    x).
    """
    if at is None:
        return False
    for place in range(at + 1, len(links)):
        link = links[place]
        if link.is_affine:
            return False
        if signal[link.column] > _RESTORES * signal[links[at].column]:
            return True
    return False


def _out_of_scale(
    trace: Trace,
    sites: Sequence[Site],
    size: FloatArray,
    blamed: np.ndarray,
    bound: FloatArray,
    word: str,
) -> Finding:
    ratio = np.maximum(size, bound) / np.minimum(size, bound)
    worst = blamed[np.argmax(ratio[blamed])]
    site = sites[worst]
    he = sqrt(2 / (site.fan_in or 1))
    paths = [sites[index].path for index in blamed]
    start = int(trace.sampled_steps[0])
    return Finding(
        f"{len(blamed)} of {len(sites)} layers start with weights far {word} than their fan asks "
        f"for: {named(paths)}; {site.path} has rms {size[worst]:.3g}, He's initialisation for "
        f"fan-in {site.fan_in} has {he:.3g}.",
        site=sites[blamed[0]],
        steps=(start, start),
        evidence={
            "weights": paths,
            "rms": size[blamed].tolist(),
            "bound": bound[blamed].tolist(),
            "worst": site.path,
            "fan_in": site.fan_in,
            "fan_out": site.fan_out,
        },
    )
