"""Rules on how updates are spread: over layers, over elements, and over weights without any."""

import re
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.flags import flagged_too_late
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.layers import (
    any_finite,
    columns,
    first_finite,
    named,
    span,
    update_ratios,
    weights,
)
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.payloads import count, text
from nntrace.rules.common.signals import column_medians, in_times
from nntrace.rules.common.untrained import share_as_initialised, untrained_judges
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

_LEAST_SAMPLES = 10
_USUAL = 1e-4  # update ratio of the fastest: from here on the rate is not too low for all
_ROUNDING = 2.0**-24
_COARSE = ("bfloat16", "float16")
_STAND_FOR_ALL = 1 / 3  # of the frozen elements: so many fresh ones stand for all

_THAW_THE_JUDGE = (
    "A discriminator must learn, too: freeze it for the generator's step alone and set its "
    "`requires_grad` back to True before its own; or load trained weights."
)
_THAW_THE_JUDGE_IN_KERAS = (
    "A discriminator must learn, too. Keras reads `trainable` when a model makes its first step, "
    "not when it is compiled: set it True before the discriminator's own steps and False before "
    "the generator's, or write a `train_step` that asks a tape for the gradients of each. Or load "
    "trained weights."
)


@rule(
    "UPD03",
    "update-imbalance",
    Severity.WARNING,
    needs=(Role.PARAM, Role.UPDATE),
    advice="Look at the layer that hardly moves: a learning rate of its own, a gradient that is "
    "scaled on its way, weights that start far too large. Adam evens such differences out.",
)
def update_imbalance(
    trace: Trace,
    *,
    factor: Annotated[
        float, "largest update ratio of the layers relative to the smallest"
    ] = 1000.0,
    samples: Annotated[int, "sampled steps that are needed"] = _LEAST_SAMPLES,
    learned: Annotated[float, "share of the first loss below which it is information"] = 0.5,
) -> Iterator[Finding | Skipped]:
    """Some layers change a thousand times faster, relative to their size, than others.

    At one learning rate the slow ones stay as they began while the fast ones learn. Medians over
    the second half of the run are compared, each divided by the rate of the parameter's group,
    because rates that differ by layer are deliberate. The rule leaves out weights that start at
    zero or do not change at all (UPD06), and those that another optimizer has taken over, whose
    rate is not known. Information if the loss falls, because in a very wide network the first
    layers rightly hardly move, unless the updates of the slow one are lost to float32's rounding
    (2⁻²⁴ of the weights).
    Source: Karpathy, CS231n, "ratio of weights:updates"; You et al. 2017 (LARS).
    """
    sites = _still_led(trace, weights(trace, Role.UPDATE))
    ratio = update_ratios(trace, sites)
    start = first_finite(columns(trace, Role.PARAM, "rms", sites))
    ratio[:, ~(start > 0)] = np.nan
    ratio[~(ratio > 0)] = np.nan
    rates = np.array([site.lr if site.lr else np.nan for site in sites])
    groups = [count(event.payload, "groups") for event in trace.events_of(EventKind.OPTIMIZER)]
    if np.isfinite(rates).all() and len(sites):
        ratio = ratio * (rates.max() / rates)
    elif max(groups, default=1) > 1:
        yield Skipped("the learning rates of parameter groups are not known")
        return
    rows = np.flatnonzero(np.isfinite(ratio).sum(axis=1) > 1)
    if len(rows) < samples:
        yield too_few(f"needs {samples} samples of updates of two weights, has {len(rows)}")
        return
    late = ratio[rows[len(rows) // 2 :]]
    level = column_medians(late)
    if np.isfinite(level).sum() < 2:
        return
    slow, fast = int(np.nanargmin(level)), int(np.nanargmax(level))
    over = late[:, fast] > factor * late[:, slow]
    if not level[fast] > factor * level[slow] or over.mean() < 0.9:
        return
    moves = level[slow] > _ROUNDING
    yield Finding(
        f"a step changes {sites[fast].path} by {level[fast]:.1g} of its size and "
        f"{sites[slow].path} by {level[slow]:.1g}: {in_times(level[fast] / level[slow])} times "
        "less.",
        site=sites[slow],
        steps=span(trace, int(rows[len(rows) // 2])),
        severity=Severity.INFO if moves and remaining_loss(trace) <= learned else None,
        explains=("UPD02",) if level[fast] > _USUAL else (),
        evidence={
            "slowest": sites[slow].path,
            "slowest_ratio": float(level[slow]),
            "fastest": sites[fast].path,
            "fastest_ratio": float(level[fast]),
        },
    )


@rule(
    "UPD05",
    "frozen-layer",
    Severity.WARNING,
    needs=(Role.PARAM,),
    explains=(
        *("ACT01", "ACT02", "ACT04", "ACT07", "ACT13", "GRD04", "LOS07", "LOS11", "LOS12"),
        *("LOS14", "RUN01", "UPD02"),
    ),
    advice="Load the trained weights before you freeze the layers, or train them: "
    "`requires_grad_(True)`, `layer.trainable = True`.",
    in_keras='Load the trained weights before you freeze the layers (`weights="imagenet"`, '
    "`load_weights`), or train them: `layer.trainable = True`, and compile again.",
)
def frozen_layer(
    trace: Trace,
    *,
    share: Annotated[float, "share of the model's weights that are frozen and untrained"] = 0.5,
    tolerance: Annotated[
        float, "relative difference of a standard deviation from the initialiser's"
    ] = 0.025,
) -> Iterator[Finding | Skipped]:
    """Most of the model is frozen, and its weights are those of a fresh initialisation.

    The trained weights were never loaded, or were loaded under other names. A frozen weight counts
    as fresh if spread and shape of its values are exactly those that PyTorch's or Keras'
    initialisers draw, which training does not preserve. Of weights that stand between everything
    trained and the loss (a discriminator that was frozen for the generator's step and stayed
    frozen) even a small part is reported. Not reported: layers that are trained later in the run,
    and a frozen copy of a part that is trained (a target network, a teacher). Also reported are
    layers that were frozen after Keras had built its training step, which goes on to train them.
    Source: "37 reasons", 19 (frozen layers).
    """
    late = "layers that were frozen are trained all the same"
    if finding := flagged_too_late(trace, "still_trained", late):
        yield finding
        return
    judges = untrained_judges(trace, tolerance)
    if judges and all(site.requires_grad is False for site in judges):
        yield _frozen_judge(trace, judges)
        return
    own = [site for site in weights(trace) if _is_of_trained_model(trace, site)]
    frozen = [site for site in own if site.requires_grad is False]
    stays = ~any_finite(columns(trace, Role.UPDATE, "rms", frozen), axis=0)
    frozen = [site for site, holds in zip(frozen, stays, strict=True) if holds]
    if not any(site.requires_grad is not None for site in own):
        yield Skipped("whether parameters are trainable was not recorded")
        return
    trained = {(_name(site), site.shape) for site in own if site.requires_grad}
    alone = [site for site in frozen if (_name(site), site.shape) not in trained]
    told = [site for site in alone if site.fan_in]
    if not told:
        return
    fresh, part = share_as_initialised(trace, told, tolerance)
    if np.isnan(part):
        yield Skipped("the values of frozen weights were not recorded, or are too few")
        return
    elements, kept = (sum(site.numel for site in some) for some in (fresh, alone))
    whole = sum(site.numel for site in own)
    # Library layers of unknown fan are taken to be like those beside them.
    if elements > _STAND_FOR_ALL * kept and part >= 0.9:
        elements, fresh = kept, alone
    if elements <= share * whole or part < 0.9:
        return
    yield Finding(
        f"{elements / whole:.0%} of the weights are frozen as they were initialised: "
        f"{named([site.path for site in fresh])}.",
        site=fresh[0],
        steps=span(trace),
        evidence={"parameters": [site.path for site in fresh], "share": elements / whole},
    )


def _frozen_judge(trace: Trace, judges: list[Site]) -> Finding:
    """The finding on frozen weights through which all that is trained reaches the loss."""
    paths = [site.path for site in judges]
    return Finding(
        "all that is trained reaches the loss through weights that are frozen as they were "
        f"initialised, so that it measures nothing: {named(paths)}.",
        site=judges[0],
        steps=span(trace),
        explains=("DAT12", "LOS15", "LOS20"),
        evidence={"parameters": paths},
        advice=_THAW_THE_JUDGE_IN_KERAS if speaks_keras(trace) else _THAW_THE_JUDGE,
    )


@rule(
    "UPD13",
    "update-lost-to-rounding",
    Severity.WARNING,
    needs=(Role.PARAM_GRAD, Role.UPDATE),
    explains=("UPD02", "UPD06", "UPD16", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Keep the parameters in float32 and compute in the coarse type (`torch.autocast`), or "
    "use an optimizer with stochastic rounding or a master copy.",
    in_keras="Keep the weights in float32 and compute in the coarse type: "
    '`keras.mixed_precision.set_global_policy("mixed_bfloat16")`.',
)
def update_lost_to_rounding(
    trace: Trace,
    *,
    share: Annotated[
        float, "share of the elements with a gradient that a step leaves unchanged"
    ] = 0.2,
    samples: Annotated[int, "sampled steps that are needed"] = _LEAST_SAMPLES,
    learned: Annotated[float, "share of the first loss below which it is information"] = 0.5,
) -> Iterator[Finding | Skipped]:
    """Parameters in bfloat16 or float16 are too coarse for their updates.

    A bfloat16 has three digits: an update of a thousandth of the weight rounds to nothing. Counted
    are elements that do not change although they have a gradient, at the median sample, for at
    least half of the weights in such types. A warning if the loss does not fall, information for a
    model that learns with what is left of its updates.
    Source: Kalamkar et al. 2019; Zamirai et al. 2020 (2010.06192), on bfloat16 training.
    """
    sites = [site for site in weights(trace, Role.UPDATE) if site.dtype in _COARSE]
    if not sites:
        yield Skipped("no parameter is in float16 or bfloat16")
        return
    unchanged = columns(trace, Role.UPDATE, "zero_fraction", sites)
    without = columns(trace, Role.PARAM_GRAD, "zero_fraction", sites)
    lost = unchanged - np.nan_to_num(without)
    rows = np.flatnonzero(np.isfinite(lost).any(axis=1) & _moves(trace))
    if len(rows) < samples:
        yield too_few(f"needs {samples} samples of updates, has {len(rows)}")
        return
    level = column_medians(lost[rows])
    high = level > share
    if 2 * high.sum() < np.isfinite(level).sum() or not high.any():
        return
    typical, worst = float(np.median(level[high])), int(np.nanargmax(level))
    blamed = [sites[i].path for i in np.flatnonzero(high)]
    yield Finding(
        f"{typical:.0%} of the elements of {high.sum()} {sites[worst].dtype} weights have a "
        f"gradient and do not change in a step: {named(blamed)}.",
        site=sites[worst],
        steps=span(trace, int(rows[0])),
        severity=Severity.INFO if remaining_loss(trace) <= learned else Severity.WARNING,
        evidence={
            "unchanged": typical,
            "dtype": sites[worst].dtype,
            "weights": blamed,
        },
    )


@rule(
    "UPD16",
    "non-gaussian-updates",
    Severity.INFO,
    needs=(Role.UPDATE,),
    explains=("PAR04",),
    advice="Look at the layer's inputs: a few rare examples or units make almost all of its "
    "updates. Clipping or Adam evens them out.",
)
def non_gaussian_updates(
    trace: Trace,
    *,
    kurtosis: Annotated[
        float, "excess kurtosis; a Gaussian has 0, a Laplace distribution 3"
    ] = 100.0,
    samples: Annotated[int, "sampled steps that are needed"] = _LEAST_SAMPLES,
) -> Iterator[Finding | Skipped]:
    """A few elements make up nearly all of the updates, in most layers, all the time.

    Histograms of weight updates should look roughly bell-shaped. Information, because sparse inputs
    rightly look like this. Judged by the median over the second half of the run, for at least half
    of the weight matrices.
    Source: "37 reasons", 28 (weight updates: a Gaussian distribution).
    """
    sites = weights(trace, Role.UPDATE)
    values = columns(trace, Role.UPDATE, "kurtosis", sites)
    rows = np.flatnonzero(np.isfinite(values).any(axis=1))
    if len(rows) < samples:
        yield too_few(f"needs {samples} samples of updates, has {len(rows)}")
        return
    level = column_medians(values[rows[len(rows) // 2 :]])
    far = level > kurtosis
    if 2 * far.sum() < np.isfinite(level).sum() or not far.any():
        return
    worst = int(np.nanargmax(level))
    yield Finding(
        f"the updates of {far.sum()} of {np.isfinite(level).sum()} weights are far from "
        f"bell-shaped: excess kurtosis {level[worst]:.0f} in {sites[worst].path}.",
        site=sites[worst],
        steps=span(trace, int(rows[len(rows) // 2])),
        evidence={
            "kurtosis": float(level[worst]),
            "weights": [sites[i].path for i in np.flatnonzero(far)],
        },
    )


def _still_led(trace: Trace, sites: tuple[Site, ...]) -> tuple[Site, ...]:
    """The sites whose recorded optimizer still makes steps in the second half of the run."""
    names = trace.steps.optimizer
    late = set(names[len(names) // 2 :])
    return tuple(site for site in sites if not site.optimizer or site.optimizer in late)


def _name(site: Site) -> str:
    """The last part of a parameter's path: its name within its layer."""
    return re.split("[./]", site.path)[-1]


def _is_of_trained_model(trace: Trace, site: Site) -> bool:
    """Whether the optimizer updates any parameter of the model to which this one belongs."""
    prefixes = {text(event.payload, "model") for event in trace.events_of(EventKind.MODE)} - {""}

    def model(path: str) -> str:
        return next((p for p in prefixes if path.startswith((f"{p}.", f"{p}/"))), "")

    updated = trace.sites_of(Role.UPDATE)
    return any(model(other.path) == model(site.path) for other in updated)


def _moves(trace: Trace) -> np.ndarray:
    """Whether the learning rate is above zero, for each sampled step."""
    rates = np.interp(trace.sampled_steps, trace.steps.step, np.nan_to_num(trace.steps.lr, nan=1.0))
    moving: FloatArray = rates
    return np.asarray(moving > 0)
