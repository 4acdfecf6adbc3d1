"""Rules on the level of single layers' outputs: their scale and their offset."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import numpy as np

from nntrace.dataflow import Vertex
from nntrace.rules.common.depth import SAMPLES, lasting_columns, of_links, signal_of, since_late
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.frequencies import is_no_better_than_chance
from nntrace.rules.common.layers import (
    Link,
    any_finite,
    chain,
    first_finite,
    named,
    sampled_span,
)
from nntrace.rules.common.loss_course import is_still_learning, loss_series, remaining_loss
from nntrace.rules.common.signals import median
from nntrace.rules.common.trials import trial_and_error
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray, FloatArray

_ROUNDING = 1e-6  # of the mean: a smaller spread is rounding in float32 sums
# PyTorch's layers hold no activation function, Keras' may.
_AFFINE = ("Linear", "Conv1d", "Conv2d", "Conv3d")
_OF_KERAS = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D")
# What signals too small or too large from the start do; a later drift may follow from these.
_HELD_BACK = ("LOS07", "LOS11", "LOS12", "LOS14")


@rule(
    "ACT01",
    "activation-std-out-of-band",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("UPD02",),
    advice="Normalise what enters the layer, initialise for its fan, or add a norm; where it "
    "drifted during training, lower the learning rate.",
)
def activation_std_out_of_band(
    trace: Trace,
    *,
    low: Annotated[float, "lowest standard deviation that is usual"] = 0.02,
    high: Annotated[float, "highest standard deviation that is usual"] = 50.0,
    drift: Annotated[float, "factor of growth or shrinkage since the start"] = 10.0,
    nearer: Annotated[float, "factor of approach to 1 since the start that excuses a layer"] = 1.25,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.7,
) -> Iterator[Finding | Skipped]:
    """A hidden layer's outputs stay far from a standard deviation of one, or drift far away.

    A tiny signal hardly moves the layers after it, a huge one makes every step too large. Half to
    two is ideal; outputs that approach it are left alone. A signal also counts as small if it
    hardly differs between examples and only the biases differ between units, unless it was nothing
    at the start (weights of zero, as where a network begins as the identity).

    Judged over the last half of the run, for layers with weights, without the head and without
    layers whose output a norm restores to unit scale. A warning only if the loss does not fall,
    because residual streams and confident classifiers grow and train well; information, too, where
    the loss does not say whether anything is learned: in learning by trial and error, and between
    adversaries.

    Source: Deep Learning Tuning, DL4J ("Layer Activations"); He 2015.
    """
    links = _hidden(trace)
    if not links:
        yield Skipped("all layers with weights are the head or feed a normalisation")
        return
    std = of_links(trace.series(Role.ACTIVATION, "std"), links)
    apart = of_links(signal_of(trace), links)
    signal = np.where(apart > 0, np.fmin(std, apart), std)  # std also counts what biases add
    begin, at_start = first_finite(std), first_finite(signal)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(begin > 0, std / begin, np.nan)
        faint = (signal < low) & (signal > 0) & ~_comes_nearer(signal, nearer)
        faint &= first_finite(apart) != 0  # weights of zero: any signal is nearer than none
        loud = (std > high) & ~_comes_nearer(std, nearer)
        drifts = ((change > drift) | (change < 1 / drift)) & (std > 0) & ~_comes_nearer(std, 1.0)
    outside = faint | loud
    found = lasting_columns(outside | drifts, np.isfinite(std), trace.sampled_steps)
    if not found:
        if any_finite(std, axis=1).sum() < SAMPLES:
            yield too_few(f"needs {SAMPLES} sampled steps")
        return
    index, since = min(found, key=lambda pair: (pair[1], pair[0]))
    stays, is_faint = (where[since:, index].mean() > 0.5 for where in (outside, faint))
    measured = signal if is_faint else std
    level = median(measured[since:, index])
    between = " between examples" if is_faint else ""
    change_in_words = (
        f"stays at {level:.2g}, where {low:g} to {high:g} is usual"
        if stays
        else f"drifted from {begin[index]:.2g} to {level:.2g}"
    )
    is_a_game = loss_series(trace).optimizers > 1 or bool(trial_and_error(trace))
    learns = remaining_loss(trace) <= learnt or is_a_game
    others = [links[i].site.path for i, _ in found if i != index]
    also = f"; likewise that of {named(others)}" if others else ""
    yield Finding(
        f"the standard deviation of the outputs of {links[index].site.shown}{between} "
        f"{change_in_words}{also}.",
        site=links[index].site,
        steps=sampled_span(trace, since),
        severity=Severity.INFO if learns else None,
        explains=_HELD_BACK if any(at_start[i] < low or begin[i] > high for i, _ in found) else (),
        evidence={
            "between_examples": bool(is_faint),
            "layers": [links[i].site.path for i, _ in found],
            "std": [median(measured[s:, i]) for i, s in found],
            "first_std": first_finite(measured)[[i for i, _ in found]].tolist(),
        },
    )


@rule(
    "ACT06",
    "activation-mean-shift",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("UPD02", "LOS07", "LOS11"),
    advice="Centre the inputs, start biases at zero, or normalise between the layers.",
)
def activation_mean_shift(
    trace: Trace,
    *,
    ratio: Annotated[float, "absolute mean relative to the standard deviation"] = 3.0,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.5,
) -> Iterator[Finding | Skipped]:
    """A hidden layer's outputs lie far to one side of zero, beyond their own spread.

    The activation function after it then works on one branch only: dead, linear or saturated.
    Judged over the last half of the run, of which three quarters must show it, for the outputs of
    layers with weights before their activation function. A warning only if the loss does not fall,
    or falls only to that of a constant prediction. Not judged: heads, layers that a norm centres
    again, logarithms of a scale, and layers whose outputs are never negative, which may apply an
    activation function of their own.
    Source: LeCun 1998 (Efficient BackProp, 4.3); "37 reasons", 25.
    """
    flow = Flow(trace)
    links = [link for link in _hidden(trace) if link.site.range_low is None]
    lowest = trace.series(Role.ACTIVATION, "min")
    links = [
        link
        for link in links
        if not flow.is_exponentiated(Vertex(link.site.path))
        and (
            link.site.module_type in _AFFINE
            or _is_linear_layer_of_keras(flow, link)
            or not _one_sided(lowest[:, link.column])
        )
    ]
    if not links:
        yield Skipped("no hidden layer whose outputs are seen before their activation function")
        return
    mean = of_links(trace.series(Role.ACTIVATION, "mean"), links)
    std = of_links(trace.series(Role.ACTIVATION, "std"), links)
    shifted = (np.abs(mean) > ratio * std) & (std > _ROUNDING * np.abs(mean))
    found = [
        (index, since)
        for index, known in enumerate(np.isfinite(mean).T)
        if known.sum() >= SAMPLES
        and (since := since_late(shifted[:, index], known, SAMPLES)) is not None
    ]
    if not found:
        return
    index, since = found[0]
    remaining = remaining_loss(trace)
    learns = remaining <= learnt or is_still_learning(trace)
    stays_high = np.isfinite(remaining) and (not learns or is_no_better_than_chance(trace))
    level, spread = median(mean[since:, index]), median(std[since:, index])
    yield Finding(
        f"the outputs of {links[index].site.path} lie at {level:.2g} ± {spread:.2g}, "
        f"{abs(level) / max(spread, 1e-30):.0f} standard deviations from zero.",
        site=links[index].site,
        steps=sampled_span(trace, since),
        severity=None if stays_high else Severity.INFO,
        evidence={"mean": level, "std": spread, "layers": [links[i].site.path for i, _ in found]},
    )


def _comes_nearer(values: FloatArray, times: float) -> BoolArray:
    """Mark the values that are nearer to one, by this factor, than at their start."""
    start = np.abs(np.log(first_finite(values)))
    return np.asarray(np.abs(np.log(values)) <= start - np.log(times))


def _is_linear_layer_of_keras(flow: Flow, link: Link) -> bool:
    """Whether it is a Keras layer that feeds a layer, so that it holds no activation function."""
    taker = flow.only_taker(Vertex(link.site.path))
    return link.site.module_type in _OF_KERAS and taker is not None and taker.is_module


def _one_sided(lowest: np.ndarray) -> bool:
    known = lowest[np.isfinite(lowest)]
    return bool(len(known) and known.min() >= 0)


def _hidden(trace: Trace) -> list[Link]:
    """Layers with weights, without each model's head and those whose output a norm takes next."""
    links, flow = chain(trace), Flow(trace)
    layers = {link.site.path for link in links if link.is_affine}
    affine = [index for index, link in enumerate(links) if link.is_affine]
    found = []
    for index, following in pairwise(affine):
        enters_norm = any(link.is_norm for link in links[index + 1 : following])
        if not (enters_norm or flow.is_last(links[index].site.path, layers)):
            found.append(links[index])
    return found
