"""Rules on weight decay: its share of a step, what it acts on, and how Adam applies it."""

from collections.abc import Iterator
from itertools import compress
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import columns, is_embedding, is_norm, named, sampled_span, weights
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.optimizers import is_of_no_model, optimizer_line
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.common.signals import median, rounded, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

_ALONE = 1000.0  # decay over gradient from which decay alone changes the weights
_ADAPTIVE = ("Adam", "NAdam", "RAdam", "Adamax", "Adadelta", "Adagrad", "RMSprop")
_LEAST_SAMPLES = 6
_FLAT = "_flat_param"  # what `torch.distributed.fsdp` calls it


@rule(
    "UPD12",
    "weight-decay-dominates",
    Severity.WARNING,
    needs=(Role.PARAM, Role.UPDATE),
    explains=(
        *("UPD01", "PAR03", "PAR05", "LOS07", "LOS11", "LOS12", "LOS14"),
        *("ACT01", "ACT02", "ACT04", "GRD01", "GRD10"),
    ),
    advice="Divide the weight decay until the gradient makes most of a step; 1e-2 is usual for "
    "AdamW, 1e-4 for SGD.",
)
def weight_decay_dominates(
    trace: Trace,
    *,
    share: Annotated[float, "size of the decay in a step relative to the gradient's part"] = 1.0,
    remaining: Annotated[float, "share of the first loss that must be left"] = 0.5,
) -> Iterator[Finding | Skipped]:
    """Weight decay changes the weights as much as the gradient does, and the loss stays high.

    The weights shrink faster than they learn. If decay goes through the gradient, λ·rms(w) is
    compared with the gradient's rms; if it does not (AdamW), lr·λ·rms(w) with the rest of the true
    update. Judged over the second half of the run, and only while most of the loss is left, because
    at the end of a good training the gradient is rightly small.
    Source: "37 reasons", 24 (too much regularisation); Loshchilov & Hutter 2019.
    """
    sites = [s for s in weights(trace, Role.UPDATE) if s.weight_decay and s.weight_decay > 0]
    if not sites:
        yield Skipped("no optimizer with a weight decay was seen")
        return
    left = remaining_loss(trace)
    if not np.isfinite(left):
        yield Skipped("it is not known how much of the first loss is left")
        return
    shares, decoupled = _shares_of_decay(trace, sites)
    judged = np.isfinite(shares)
    if not judged.any():
        yield too_few(f"needs {_LEAST_SAMPLES} samples of updates")
        return
    high = judged & (shares >= share)
    if 2 * high.sum() < judged.sum() or not left > remaining:
        return
    typical = float(np.median(shares[high]))
    worst = sites[int(np.nanargmax(np.where(high, shares, np.nan)))]
    strength = float(worst.weight_decay or 0.0)
    times = f"{typical:.2g} times" if typical < _ALONE else "far above"
    yield Finding(
        f"weight decay of {strength:.2g} is {times} the gradient in {high.sum()} "
        f"of {judged.sum()} weights, and {left:.0%} of the loss is left.",
        site=worst,
        steps=sampled_span(trace, len(trace.sampled_steps) // 2),
        evidence={
            "share": min(typical, _ALONE),
            "weight_decay": strength,
            "weights": [site.path for site in compress(sites, high)],
        },
        advice=_less_decay(strength, typical, worst.optimizer in decoupled),
        location=optimizer_line(trace, worst),
    )


def _shares_of_decay(trace: Trace, sites: list[Site]) -> tuple[FloatArray, set[str]]:
    """The share of decay over that of the gradient in late steps, and the decoupled optimizers.

    The shares are per weight, NaN if too little is known; an optimizer (by name) is decoupled if it
    decays weights apart from the gradient.
    """
    decoupled = {
        text(event.payload, "name")
        for event in trace.events_of(EventKind.OPTIMIZER)
        if event.payload.get("decoupled") is True
    }
    late = slice(len(trace.sampled_steps) // 2, None)
    size = columns(trace, Role.PARAM, "rms", sites)[late]
    change = columns(trace, Role.UPDATE, "rms", sites)[late]
    gradient = columns(trace, Role.PARAM_GRAD, "rms", sites)[late]
    idle = (gradient == 0) | (change == 0)  # an expert that got no example
    rate = np.interp(trace.sampled_steps, trace.steps.step, np.nan_to_num(trace.steps.lr))[late]
    shares = np.full(len(sites), np.nan)
    for index, site in enumerate(sites):
        decay = (site.weight_decay or 0.0) * size[:, index]
        if site.optimizer in decoupled:
            part = rate * decay
            rest = np.sqrt(np.maximum(change[:, index] ** 2 - part**2, 1e-60))
            values = np.where((rate > 0) & ~idle[:, index], part / rest, np.nan)
        else:
            given = gradient[:, index]
            values = np.divide(decay, given, out=np.full_like(decay, np.nan), where=given > 0)
        if np.isfinite(values).sum() >= _LEAST_SAMPLES // 2:
            shares[index] = median(values)
    return shares, decoupled


def _less_decay(strength: float, share: float, is_decoupled: bool) -> str:
    """The advice: a factor from the share, or the usual decay if the share is too large for one."""
    if share < _ALONE:
        return f"Divide the weight decay by about {rounded(10 * share):g}, or drop it."
    usual, where = (1e-2, "AdamW") if is_decoupled else (1e-4, "SGD")
    divide = f": divide the weight decay by about {rounded(strength / usual):g}"
    return f"{usual:g} is usual for {where}{divide if strength > usual else ''}, or drop it."


@rule(
    "UPD14",
    "decay-on-norm-or-bias",
    Severity.INFO,
    advice="Put parameters of one dimension (`p.ndim < 2`) and embeddings into a group with "
    "`weight_decay=0`.",
    in_keras="Exclude them before the first step: "
    '`optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])`.',
)
def decay_on_norm_or_bias(
    trace: Trace,
    *,
    least: Annotated[float, "weight decay that is worth a note"] = 1e-3,
) -> Iterator[Finding | Skipped]:
    """Weight decay also acts on biases, normalisation scales or embeddings.

    These are few, and not what overfits; a decayed scale only shrinks the signal. Information: it
    rarely hurts much.
    Source: He et al. 2019 (1812.01187), "no bias decay".
    """
    sites = trace.sites_of(Role.UPDATE)
    if all(site.weight_decay is None for site in sites):
        yield Skipped("the weight decay of single parameters is not known")
        return
    spared = [s for s in sites if is_norm(s) or is_embedding(s) or len(s.shape) == 1]
    decayed = [s for s in spared if (s.weight_decay or 0.0) >= least and not _is_flat(s)]
    if decayed:
        many = f"{len(decayed)} biases, normalisations or embeddings"
        kinds = many if len(decayed) > 1 else "a bias, normalisation or embedding"
        yield Finding(
            f"weight decay of {decayed[0].weight_decay:.2g} also acts on {kinds}: "
            f"{named([site.path for site in decayed])}.",
            site=decayed[0],
            steps=span(trace.steps.step),
            evidence={"parameters": [site.path for site in decayed]},
        )


def _is_flat(site: Site) -> bool:
    """Whether it is all parameters of several layers in one vector: PyTorch's FSDP, or ZeRO's."""
    return is_of_no_model(site) or site.path.rpartition(".")[2] == _FLAT


@rule(
    "UPD15",
    "adam-with-l2",
    Severity.INFO,
    advice="Use `AdamW`, which decays the weights themselves.",
)
def adam_with_l2(trace: Trace) -> Iterator[Finding | Skipped]:
    """Weight decay goes through the gradient of an adaptive optimizer.

    Adam divides the decay by the gradient's size like everything else, so that the weights with the
    largest gradients are decayed least.
    Source: Loshchilov & Hutter 2019 (1711.05101).
    """
    events = trace.events_of(EventKind.OPTIMIZER)
    known = [event for event in events if isinstance(event.payload.get("decoupled"), bool)]
    if not known:
        yield Skipped("how the optimizer decays weights is not known")
        return
    seen = set()
    for event in known:
        kind, decay = text(event.payload, "class"), number(event.payload, "weight_decay") or 0.0
        coupled = event.payload.get("decoupled") is False and kind in _ADAPTIVE
        if coupled and decay > 0 and kind not in seen:
            seen.add(kind)
            yield Finding(
                f"{kind} with weight_decay={decay:.2g} adds the decay to the gradient and then "
                "divides it by the gradient's size.",
                steps=span(trace.steps.step),
                evidence={"optimizer": kind, "weight_decay": decay},
                location=place(event.payload),
            )
