"""Rules on single gradients: exactly zero, far above the usual, far apart between neighbours."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import numpy as np

from nntrace.rules.common.alternatives import chosen_at_times
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import (
    any_finite,
    batch_norm_between,
    by_design,
    cancelling,
    columns,
    early_samples,
    is_embedding,
    named,
    sampled_span,
    switched_off,
    update_ratios,
    weights,
)
from nntrace.rules.common.loss_course import loss_series, remaining_loss
from nntrace.rules.common.optimizers import norms_by_optimizer
from nntrace.rules.common.signals import (
    in_times,
    lasting,
    least_around,
    median,
    median_error,
    medians_around,
    noise_scale,
    spreads_around,
)
from nntrace.rules.common.trials import trial_and_error
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.gradients.recurrent import never_read_on
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

_WINDOW = 25  # samples around a spike
_OFTEN = 3  # spikes from which on they are no accident
_FORBIDDEN = 1e3  # rms: scores of -10,000 stand among weights, and get no gradient
_ROUNDING = 2.0**-24  # of the weights
_LONGER = 1.5  # times the usual step
_LATER = ("UPD01", "UPD12", "PAR03", "ACT01", "ACT09")  # do harm in the course of steps
_SETTLED = 5  # samples before there is a usual value


@rule(
    "GRD04",
    "zero-gradient",
    Severity.ERROR,
    needs=(Role.PARAM_GRAD, Role.UPDATE),
    explains=("UPD02", "UPD06", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Look for what stops the gradient without cutting the graph: a factor of zero, a clamp "
    "or rounding whose range is left, units that never fire, a mask of zeros.",
)
def zero_gradient(
    trace: Trace,
    *,
    samples: Annotated[int, "sampled steps at the end of the run in which it must hold"] = 10,
    fitted: Annotated[float, "share of the first loss below which the data is fitted"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """Parameters receive a gradient, and it is exactly zero, step after step.

    They are connected to the loss but have no influence on it. It must last to the end of the run.
    Information if it is a single number in one of several alike blocks, such as the factor that
    mixes two values which are the same in the first block, or a part of what a library built, such
    as the scale of a quantiser that gathers statistics first; and if it is a minor part of what a
    library built that has none from the start on, such as the layers for inputs which the program
    does not have. GRD03 reports parameters without any gradient.

    Not reported:

    - rows of a lookup table that are not looked up
    - steps at which a module got no example (an expert that was not chosen)
    - a module that a frozen parameter of its own, a mask of zeros, holds at zero
    - a bias whose weights do get a gradient (a norm or a softmax cancels it)
    - parameters that had a gradient until the model had fitted its data (a margin loss is then
      exactly zero)

    Source: "37 reasons", 19 and 30; PyTorch Lightning's and Cockpit's checks of gradients.
    """
    masked = switched_off(trace)
    sites = [
        site
        for site in trace.sites_of(Role.PARAM_GRAD)
        if not is_embedding(site) and site.parent not in masked
    ]
    size = columns(trace, Role.PARAM_GRAD, "rms", sites)
    held = any_finite(columns(trace, Role.UPDATE, "n", sites), axis=0)
    times = np.isfinite(size).sum(axis=0)
    if times.max(initial=0) < samples:
        yield too_few(f"needs {samples} sampled gradients, has {times.max(initial=0)}")
        return
    has_fitted = remaining_loss(trace) <= fitted
    others_get_one = bool((np.nan_to_num(size) > 0).any())
    cancels = cancelling(sites)
    found = []
    for index in np.flatnonzero(held & (size == 0).any(axis=0)).tolist():
        site = sites[index]
        rows = np.flatnonzero(np.isfinite(size[:, index]) & _has_examples(trace, site.parent))
        since = lasting(size[rows, index] == 0, samples)
        if since is None or len(rows) - since < len(rows) / 2:
            continue
        is_done = has_fitted and (since or not others_get_one)
        if not is_done and not cancels(index, size[rows]):
            found.append((site, int(rows[since])))
    if not found:
        return
    alive = {
        _place(sites[index]) for index in np.flatnonzero((np.nan_to_num(size) > 0).any(axis=0))
    }
    blamed = [site for site, _ in found]
    at_once = not any(row for _, row in found)
    is_minor = all(
        site.numel == 1 and (_place(site) in alive or site.library_object is not None)
        for site in blamed
    ) or (at_once and by_design(blamed, (site for site in sites if site not in blamed)))
    paths = [site.path for site in blamed]
    since = min(row for _, row in found)
    why, advice = never_read_on(blamed) if at_once else ("", "")
    yield Finding(
        f"{len(found)} of {len(sites)} parameters receive gradients that are exactly zero: "
        f"{named(paths)}{why}.",
        site=blamed[0],
        steps=sampled_span(trace, since),
        severity=Severity.INFO if is_minor else None,
        not_explained_by=_LATER if at_once else (),
        explains=("UPD12",) if at_once else (),
        evidence={"parameters": paths, "since": [int(trace.sampled_steps[r]) for _, r in found]},
        advice=advice,
    )


def _place(site: Site) -> str:
    """The path without the number of a block, so that the same place in all blocks is alike."""
    return re.sub(r"\d+", "", site.path)


def _has_examples(trace: Trace, module: str) -> BoolArray:
    """[sampled_steps]: whether a module's output had elements; always true if it has no output."""
    site = trace.site(module, Role.ACTIVATION)
    if site is None:
        return np.ones(len(trace.sampled_steps), dtype=bool)
    return np.nan_to_num(trace.series(site.role, "n", site)) > 0


@rule(
    "GRD05",
    "gradient-spike",
    Severity.WARNING,
    explains=("LOS09",),
    advice="Look at the batch of that step (outliers, broken labels), clip the gradient norm, or "
    "use a loss that grows more slowly, such as Huber's.",
)
def gradient_spike(
    trace: Trace,
    *,
    deviations: Annotated[
        float, "robust standard deviations above the median of the samples around it"
    ] = 10.0,
    times: Annotated[float, "factor above the median of the samples around it"] = 8.0,
) -> Iterator[Finding | Skipped]:
    """The gradient norm of single steps lies far above that of the steps around them.

    One such step can undo many. Compared with the median of the samples around it, on a logarithmic
    scale, because gradient norms of healthy runs are log-normal; the first samples are not judged.
    A warning if the loss is worse afterwards, or if it happens again and again (from three times
    on, half as many deviations are enough); otherwise information. It is also information if it
    happens often but the updates of those steps are no longer than others, as with Adam in a flow
    or a mixture, in which single examples have such gradients, and in learning by trial and error,
    where episodes differ and the loss says little. Nor does a loss say much whose optimizer takes
    turns with another, as in a GAN.
    Source: Pascanu et al. 2013; Chowdhery et al. 2022 (PaLM, 5.1: spikes).
    """
    steps = trace.steps
    by_trials = bool(trial_and_error(trace))
    says_little = by_trials or loss_series(trace).optimizers > 1
    judged = False
    for optimizer, own, at in norms_by_optimizer(trace):
        if len(at) < 2 * _SETTLED + 1:
            continue
        judged = True
        norm = steps.grad_norm[at]
        level = np.log(norm)
        may_be = np.flatnonzero(level - least_around(level, _WINDOW) > np.log(times))
        usual = medians_around(level, may_be, _WINDOW, _WINDOW)
        excess = level - usual
        high = np.flatnonzero(excess > np.log(times))
        high = high[high >= _SETTLED]
        spread = spreads_around(level, usual, high, _WINDOW, _WINDOW)
        lone = _lone(high[excess[high] > deviations * spread])
        often = _lone(high[excess[high] > deviations / 2 * spread])
        if len(often) >= _OFTEN:  # the samples after a spike widen the spread around it
            lone = often
        if not lone:
            continue
        peak = max(lone, key=lambda s: excess[s])
        step = int(steps.step[at[peak]])
        harm = _worse_after(steps.loss[own], int(np.count_nonzero(own[: at[peak]])))
        is_followed = not by_trials and _lengthen_steps(trace, steps.step[at[lone]])
        harm = harm and not says_little
        again = f" and {len(lone) - 1} more times" if len(lone) > 1 else ""
        yield Finding(
            f"the gradient norm spikes: {norm[peak]:.3g} at step {step}, "
            f"{in_times(np.exp(excess[peak]))} times that of the samples around it{again}"
            + (", and the loss is worse afterwards." if harm else "."),
            steps=(int(steps.step[at[lone[0]]]), int(steps.step[at[lone[-1]]])),
            severity=None if harm or (len(lone) >= _OFTEN and is_followed) else Severity.INFO,
            evidence={
                "optimizer": optimizer,
                "steps": steps.step[at[lone]].tolist()[:100],
                "norms": norm[lone].tolist()[:100],
                "usual": float(np.exp(usual[peak])),
            },
        )
    if not judged:
        yield too_few(f"needs {2 * _SETTLED + 1} samples of the gradient norm")


def _lone(spikes: IntArray) -> list[int]:
    """The spikes without a neighbour: two are not a single step, and a new level is no spike."""
    known = set(spikes.tolist())
    return [spike for spike in spikes.tolist() if not {spike - 1, spike + 1} & known]


def _lengthen_steps(trace: Trace, spikes: IntArray) -> bool:
    """Whether the true updates of these steps are larger than those around; True if not sampled."""
    sites = trace.sites_of(Role.UPDATE)
    squares = trace.series(Role.UPDATE, "rms") ** 2 * [site.numel for site in sites]
    total = np.nansum(squares, axis=1)
    size = np.sqrt(total[total > 0])
    rows = np.flatnonzero(np.isin(trace.sampled_steps[total > 0], spikes))
    if not len(rows):
        return True
    usual = medians_around(size, rows, _WINDOW, _WINDOW)
    return median(size[rows] / usual[rows]) > _LONGER


def _worse_after(loss: FloatArray, place: int) -> bool:
    """Whether the loss after this place is worse than before it, beyond noise."""
    before, after = loss[max(0, place - _WINDOW) : place], loss[place + 1 : place + 1 + _WINDOW]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if len(before) < _SETTLED or len(after) < _SETTLED:
        return False
    error = median_error(noise_scale(before), len(before), len(after))
    worse = median(after) - median(before)
    return worse > max(4 * error, 0.1 * abs(median(before)))


@rule(
    "GRD10",
    "gradient-depth-imbalance",
    Severity.WARNING,
    needs=(Role.PARAM_GRAD,),
    explains=("UPD03",),
    advice="Normalise between the two layers, or rescale what stands between them; an optimizer "
    "with a step size per parameter, such as Adam, hides the difference but not its cause.",
)
def gradient_depth_imbalance(
    trace: Trace,
    *,
    ratio: Annotated[float, "factor between the gradients of neighbouring layers"] = 1000.0,
    samples: Annotated[int, "sampled steps that are needed"] = 10,
    fitted: Annotated[float, "share of the first loss below which the data is fitted"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """Two neighbouring layers have gradients a thousandfold apart, over most of the run.

    No single learning rate fits both. The measure is the root mean square of a weight's gradient
    times that of the weight: what a relative change of the layer does to the loss, however its
    scale is split between weights and inputs. Information for a model that has fitted its data
    (attention that is sure of its keys, say, leaves next to no gradient to what made it so), unless
    the updates of the layer with the small gradient are lost to float32's rounding (2⁻²⁴ of the
    weights): that layer has learned nothing.

    Left out:

    - lookup tables, and gradients that are exactly zero
    - weights of a size (1000) that forbids something, such as a transition between two tags
    - the experts of a mixture, which get as much as they get examples
    - two layers of which neither feeds the other (an actor's beside a critic's)
    - two layers with a batch norm between them: the norm removes the part of the gradient that all
      examples share, which before a last layer is most of it

    Source: Glorot & Bengio 2010; You et al. 2017 (LARS, ratios of layers).
    """
    sites = weights(trace, Role.PARAM_GRAD)
    gradient = columns(trace, Role.PARAM_GRAD, "rms", sites)
    size = columns(trace, Role.PARAM, "rms", sites)
    is_weight = (size > 0) & (size < _FORBIDDEN)
    effect = np.where((gradient > 0) & is_weight, gradient * size, np.nan)
    is_alternative = chosen_at_times(trace)
    usable = [
        place
        for place in np.flatnonzero(np.isfinite(effect).sum(axis=0) >= samples).tolist()
        if not is_alternative(sites[place].parent)
    ]
    if len(usable) < 2:
        yield too_few(f"needs {samples} samples with gradients of two layers")
        return
    if skipped := early_samples(trace):
        yield skipped
        return
    normalised = batch_norm_between(trace)
    flow, paths = Flow(trace), [site.parent for site in sites]
    for one, two in pairwise(usable):
        is_elsewhere = flow.is_apart(paths[one], paths[two], paths)
        if normalised(sites[one], sites[two]) or is_elsewhere:
            continue
        both = np.flatnonzero(np.isfinite(effect[:, one]) & np.isfinite(effect[:, two]))
        if len(both) < samples:
            continue
        apart = np.log(effect[both, one]) - np.log(effect[both, two])
        late = apart[len(both) // 2 :]
        level = float(np.median(late))
        if abs(level) <= np.log(ratio) or np.mean(np.abs(late) > np.log(ratio)) < 0.9:
            continue
        small, large = (one, two) if level < 0 else (two, one)
        since = lasting(np.abs(apart) > np.log(ratio), 1)
        moves = not median(update_ratios(trace, [sites[small]])) <= _ROUNDING
        yield Finding(
            "the gradients of neighbouring layers are far apart: rms "
            f"{median(gradient[both, small]):.2g} at {sites[small].path}, "
            f"{median(gradient[both, large]):.2g} at {sites[large].path}; relative to their "
            f"weights they differ by a factor of {in_times(np.exp(abs(level)))}.",
            site=sites[small],
            steps=sampled_span(trace, int(both[since or 0])),
            severity=Severity.INFO if moves and remaining_loss(trace) <= fitted else None,
            evidence={
                "small": sites[small].path,
                "large": sites[large].path,
                "factor": float(np.exp(abs(level))),
            },
        )
        return
