"""Rules on the look of weights: bell-shaped, and smooth if they are filters over images."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import columns, first_finite, is_norm, named, sampled_span, weights
from nntrace.rules.common.signals import finite, lasting, median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray, Tensor

_RECURRENT = ("lstm", "gru", "rnn")
_ENOUGH = 256  # elements for a kurtosis that means something
_ROUNDING = 1e-6  # relative, of float32
_ONE_BY_ONE = 0.5  # of the weights of the other filters are zero, too
_SMALLEST_FILTER = 5  # in 3 × 3 there is no room for structure


@rule(
    "PAR04",
    "non-gaussian-weights",
    Severity.INFO,
    needs=(Role.PARAM,),
    advice="Look at the histogram in the report: a few huge weights come from a learning rate "
    "that is too high or an input that is not scaled, a heap at zero from a penalty or from "
    "dead units.",
)
def non_gaussian_weights(
    trace: Trace,
    *,
    kurtosis: Annotated[float, "excess kurtosis (0 for a Gaussian)"] = 10.0,
    skew: Annotated[float, "absolute skewness (0 for a Gaussian)"] = 2.0,
    heaps: Annotated[
        float, "excess kurtosis below which weights form two heaps (−2; −1.2 if evenly spread)"
    ] = -1.5,
    samples: Annotated[int, "sampled steps that are needed"] = 10,
) -> Iterator[Finding | Skipped]:
    """A layer's weights have become far from bell-shaped since training began.

    Weights of trained layers stay roughly Gaussian. A few that are far larger than the rest, or a
    lopsided heap, come from a few inputs or units that took over; two heaps at the ends of a range
    that never changes come from clipping after each step. Gates of recurrent layers, norms, lookup
    tables and matrices of fewer than 256 elements are left out. Information, never a warning.
    Source: Deep Learning Tuning, DL4J (histograms of parameters); "37 reasons", 28; Gulrajani et
    al. 2017 (1704.00028), figure 1 (weights of a critic that are clipped).
    """
    sites = [
        site
        for site in weights(trace)
        if site.numel >= _ENOUGH
        and not is_norm(site)
        and not any(word in site.module_type.lower() for word in _RECURRENT)
    ]
    peaked = columns(trace, Role.PARAM, "kurtosis", sites)
    lopsided = np.abs(columns(trace, Role.PARAM, "skew", sites))
    if np.isfinite(peaked).sum(axis=0).max(initial=0) < samples:
        yield too_few(f"needs {samples} sampled steps of a matrix of {_ENOUGH} weights")
        return
    low, high = (columns(trace, Role.PARAM, end, sites) for end in ("min", "max"))
    started = (first_finite(peaked) < kurtosis / 2) & (first_finite(lopsided) < skew / 2)
    late = _last_quarter(trace)
    for index, site in enumerate(sites):
        now = (median(peaked[late, index]), median(lopsided[late, index]))
        if started[index] and (now[0] > kurtosis or now[1] > skew):
            yield Finding(
                f"{site.path} is no longer bell-shaped: excess kurtosis "
                f"{first_finite(peaked)[index]:.2g} at the start and {now[0]:.2g} at the end, "
                f"skewness {now[1]:.2g}.",
                site=site,
                steps=sampled_span(trace),
                evidence={"kurtosis": now[0], "skew": now[1]},
            )
            return
        bound = _clipped_at(low[late, index], high[late, index])
        if now[0] < heaps and bound is not None:
            yield Finding(
                f"{site.path} has piled up at its bounds of ±{bound:.3g}, which no weight "
                f"exceeds: excess kurtosis {now[0]:.2g}, where two heaps have -2.",
                site=site,
                steps=sampled_span(trace),
                evidence={"kurtosis": now[0], "bound": bound},
                advice="Weights that are clipped in each step end at the bounds. A critic is held "
                "better by a penalty on its gradient or by spectral normalisation.",
            )
            return


def _last_quarter(trace: Trace) -> slice:
    """The samples in the last quarter of the run, three at least: early ones stand closer."""
    steps = trace.sampled_steps
    first = int(np.searchsorted(steps, steps[-1] - (steps[-1] - steps[0]) / 4))
    return slice(min(first, len(steps) - 3), None)


def _clipped_at(low: FloatArray, high: FloatArray) -> float | None:
    """The bound that weights reach on both sides, if it is the same at every sample; else None."""
    ends = finite(np.concatenate([-low, high]))
    same = len(ends) > 0 and ends[0] > 0 and np.ptp(ends) <= _ROUNDING * ends[0]
    return float(ends[0]) if same else None


@rule(
    "PAR05",
    "dead-filters",
    Severity.WARNING,
    needs=(Role.PARAM,),
    explains=("ACT04", "ACT13"),
    advice="Look for what holds them at zero: a mask left over from pruning, zeros where weights "
    "were to be copied, a penalty or decay stronger than the gradient. If nothing does, make the "
    "layer narrower.",
)
def dead_filters(
    trace: Trace,
    *,
    fraction: Annotated[float, "share of a layer's filters that are next to zero"] = 0.1,
    samples: Annotated[int, "samples of a layer that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """Whole filters (the weights of one output unit) are next to zero while others are not.

    Such a unit gives the same output for every input. A filter counts if it is below a thousandth
    of the median filter at the end of the run; at least two of them must, in a trainable layer. In
    large layers a sample of each filter is read. Not judged of weights that all begin at zero, as
    those of an adapter (LoRA): a filter that stays there changes nothing of what was before it; nor
    if half of the weights of the other filters are exactly zero, too: they are pruned one by one.
    Source: Molchanov et al. 2017 (pruning filters); Deep Learning Tuning, DL4J.
    """
    sites = [s for s in weights(trace) if _filters(s) and s.requires_grad is not False]
    begins = first_finite(columns(trace, Role.PARAM, "rms", sites))
    sites = [site for site, size in zip(sites, begins, strict=True) if size != 0.0]
    dead = columns(trace, Role.PARAM, "dead_fraction", sites)
    known = np.isfinite(dead).sum(axis=0)
    if known.max(initial=0) < samples:
        yield too_few(f"needs {samples} samples of a layer's filters, has {known.max(initial=0)}")
        return
    zeros = np.nan_to_num(columns(trace, Role.PARAM, "zero_fraction", sites))
    found = []
    for index, site in enumerate(sites):
        rows = np.flatnonzero(np.isfinite(dead[:, index]))
        late = dead[rows[-samples:], index]
        if len(rows) and zeros[rows[-1], index] - late[-1] >= _ONE_BY_ONE * (1.0 - late[-1]):
            continue
        if len(rows) >= samples and late.min() > fraction and late.min() * _filters(site) >= 2:
            since = lasting(dead[rows, index] > fraction, 1)
            found.append((site, int(rows[since if since is not None else 0]), median(late)))
    if not found:
        return
    site, since, level = found[0]
    others = f", and likewise in {named([s.path for s, _, _ in found[1:]])}" if found[1:] else ""
    yield Finding(
        f"{level:.0%} of the filters of {site.path} ({round(level * _filters(site))} of "
        f"{_filters(site)}) are next to zero{others}.",
        site=site,
        steps=sampled_span(trace, since),
        evidence={
            "weights": [s.path for s, _, _ in found],
            "dead_fraction": [share for _, _, share in found],
        },
    )


def _filters(site: Site) -> int:
    """The number of filters of a weight; 0 if the axis along which they lie is unknown."""
    axis = site.unit_axis
    return 0 if axis is None or not 0 <= axis < len(site.shape) else site.shape[axis]


@rule(
    "PAR07",
    "noisy-first-layer",
    Severity.INFO,
    advice="Train longer or with a higher learning rate, decay the weights a little, or use more "
    "data: smooth filters are a sign of a first layer that has learned.",
)
def noisy_first_layer(
    trace: Trace,
    *,
    smoothness: Annotated[float, "correlation of neighbouring weights within a filter"] = 0.15,
    input_smoothness: Annotated[
        float, "correlation of neighbouring pixels that the images must have"
    ] = 0.5,
    steps: Annotated[int, "step from which the filters are expected to have structure"] = 200,
) -> Iterator[Finding | Skipped]:
    """Late in training the first layer's filters over images still look like noise.

    Filters that have learned from images show edges and blobs: neighbouring weights resemble each
    other as neighbouring pixels do. Kernels of 5 × 5 and larger are judged, at the last step at
    which they were kept, and only if the input images are smooth themselves. Information, never a
    warning.
    Source: Karpathy's Recipe, step 4 (visualise first-layer weights); CS231n.
    """
    filters = [
        tensor
        for tensor in trace.tensors
        if tensor.role == Role.PARAM.value
        and len(tensor.shape) == 4
        and min(tensor.shape[2:]) >= _SMALLEST_FILTER
        and tensor.values.shape == tensor.shape
    ]
    if not filters or filters[-1].step < steps:
        yield Skipped(
            f"no filters of {_SMALLEST_FILTER} × {_SMALLEST_FILTER} over images were kept at "
            f"step {steps} or later"
        )
        return
    images = [t for t in trace.tensors if t.role == Role.INPUT.value and t.values.ndim == 4]
    smooth = _smoothness_of_images(images[0].values) if images else 0.0
    if not smooth > input_smoothness:
        yield Skipped("no smooth images were kept to compare with")
        return
    last = filters[-1]
    level = _smoothness(last.values)
    if not level < smoothness:
        return
    site = trace.site(last.path, Role.PARAM)
    yield Finding(
        f"the filters of {last.path} look like noise at step {last.step}: neighbouring weights "
        f"correlate by {level:.2f}, neighbouring pixels of the images by "
        f"{smooth:.2f}.",
        site=site,
        steps=(last.step, last.step),
        evidence={"smoothness": level, "start": _smoothness(_first(filters).values)},
    )


def _first(filters: list[Tensor]) -> Tensor:
    return next(tensor for tensor in filters if tensor.path == filters[-1].path)


def _smoothness_of_images(values: FloatArray) -> float:
    """The smoothness of images, whichever axis holds channels: the wrong one is hardly smooth."""
    readings = [_smoothness(values), _smoothness(np.moveaxis(values, 3, 1))]
    return max((found for found in readings if np.isfinite(found)), default=0.0)


def _smoothness(values: FloatArray) -> float:
    """The mean correlation of vertical and horizontal neighbours in images or filters [n, c, h, w].

    Independent values in planes of k × k give about −1/k², because each plane's mean is subtracted.
    """
    if min(values.shape) < 1 or min(values.shape[2:]) < 2:
        return float("nan")
    with np.errstate(all="ignore"):
        planes = values - values.mean(axis=(2, 3), keepdims=True)
        power = float(np.nanmean(planes**2))
        down = float(np.nanmean(planes[:, :, 1:] * planes[:, :, :-1]))
        across = float(np.nanmean(planes[..., 1:] * planes[..., :-1]))
    return (down + across) / (2 * power) if power > 0 else float("nan")
