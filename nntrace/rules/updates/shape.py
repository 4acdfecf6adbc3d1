"""Rules on how updates are spread: over layers, and over the elements of a weight."""

from collections.abc import Iterator
from itertools import compress
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import (
    columns,
    first_finite,
    named,
    sampled_span,
    update_ratios,
    weights,
)
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.payloads import count
from nntrace.rules.common.signals import column_medians, in_times
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

_LEAST_SAMPLES = 10
_USUAL = 1e-4  # update ratio of the fastest: from here on the rate is not too low for all
_ROUNDING = 2.0**-24
_COARSE = ("bfloat16", "float16")


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
    because rates that differ by layer are deliberate. Of a weight smaller than 1/√fan-in the fast
    side counts relative to that. Information if the loss falls, because in a very wide network the
    first layers rightly hardly move, unless the updates of the slow one are lost to float32's
    rounding (2⁻²⁴ of the weights).

    Left out are weights

    - that start at zero or do not change at all (UPD06)
    - that another optimizer has taken over, whose rate is not known
    - of which some are a thousand times larger than the rest: a quarter may stand for minus
      infinity, as the forbidden transitions of a random field do

    Source: Karpathy, CS231n, "ratio of weights:updates"; You et al. 2017 (LARS).
    """
    sites = _still_led(trace, weights(trace, Role.UPDATE))
    ratio = update_ratios(trace, sites)
    start = first_finite(columns(trace, Role.PARAM, "rms", sites))
    quartiles = [first_finite(columns(trace, Role.PARAM, name, sites)) for name in ("q25", "q75")]
    ratio[:, ~(start > 0) | (np.abs(quartiles).min(axis=0) * factor < start)] = np.nan
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
    # A head that starts near zero, as a policy's, moves by much of its own size: of little.
    size = column_medians(columns(trace, Role.PARAM, "rms", sites)[rows[len(rows) // 2 :]])
    fans = np.array([site.fan_in or 0 for site in sites])
    usual = np.where(fans > 0, np.fmin(size * np.sqrt(fans), 1.0), 1.0)
    slow, fast = int(np.nanargmin(level)), int(np.nanargmax(level * usual))
    over = late[:, fast] * usual[fast] > factor * late[:, slow]
    if not level[fast] * usual[fast] > factor * level[slow] or over.mean() < 0.9:
        return
    moves = level[slow] > _ROUNDING
    yield Finding(
        f"a step changes {sites[fast].path} by {level[fast]:.1g} of its size and "
        f"{sites[slow].path} by {level[slow]:.1g}: {in_times(level[fast] / level[slow])} times "
        "less.",
        site=sites[slow],
        steps=sampled_span(trace, int(rows[len(rows) // 2])),
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
    blamed = [site.path for site in compress(sites, high)]
    yield Finding(
        f"{typical:.0%} of the elements of {high.sum()} {sites[worst].dtype} weights have a "
        f"gradient and do not change in a step: {named(blamed)}.",
        site=sites[worst],
        steps=sampled_span(trace, int(rows[0])),
        severity=Severity.INFO if remaining_loss(trace) <= learned else Severity.WARNING,
        evidence={"unchanged": typical, "dtype": sites[worst].dtype, "weights": blamed},
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
        steps=sampled_span(trace, int(rows[len(rows) // 2])),
        evidence={
            "kurtosis": float(level[worst]),
            "weights": [site.path for site in compress(sites, far)],
        },
    )


def _still_led(trace: Trace, sites: tuple[Site, ...]) -> tuple[Site, ...]:
    """The sites whose recorded optimizer still makes steps in the second half of the run."""
    names = trace.steps.optimizer
    late = set(names[len(names) // 2 :])
    return tuple(site for site in sites if not site.optimizer or site.optimizer in late)


def _moves(trace: Trace) -> np.ndarray:
    """Whether the learning rate is above zero, for each sampled step."""
    rates = np.nan_to_num(trace.steps.lr, nan=1.0)
    return np.asarray(np.interp(trace.sampled_steps, trace.steps.step, rates) > 0)
