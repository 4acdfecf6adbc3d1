"""Rules on the first sampled step: how the initialisation treats the first batch."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import numpy as np

from nntrace.rules.activations.units import hidden_bounded
from nntrace.rules.common.calls import REGRESSION, are_scaled_cosines
from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    entropy,
    is_of,
    label_totals,
    loss_site,
    training_batches,
)
from nntrace.rules.common.depth import after_last_norm, before_head, of_links, reference, signal_of
from nntrace.rules.common.layers import chain, first_sampled_is_start, first_value
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

_NOT_LEARNT = 0.5  # share of the first loss that is left at the end
_GEOMETRIC = 0.6  # share of the layers that change the signal in the same direction
_SMALLEST_DEPTH = 4  # layers; with fewer there is no trend to speak of


@rule(
    "INI03",
    "signal-at-init",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("ACT01", "GRD10", "UPD02", "UPD03", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Initialise for the activation in use (He for ReLU, Glorot with gain for tanh), or add "
    "normalisation or residual connections.",
)
def signal_at_init(
    trace: Trace,
    *,
    factor: Annotated[
        float, "factor between the signals of the first and the last hidden layer"
    ] = 10.0,
) -> Iterator[Finding | Skipped]:
    """At the first step the signal shrinks or grows from layer to layer, by a steady factor.

    The signal is how much a layer's outputs differ between examples. Layers with weights are
    compared, from the last norm on and without the head. A warning only if the loss does not fall
    and the signal does not recover either, otherwise information: PyTorch's default initialisation
    of a few linear layers shrinks the signal tenfold, and they train.
    Source: Glorot & Bengio 2010; He 2015; Mishkin & Matas 2016 (LSUV).
    """
    if not first_sampled_is_start(trace):
        yield Skipped("the first step was not sampled")
        return
    links = [link for link in before_head(after_last_norm(chain(trace))) if link.is_affine]
    signal = of_links(signal_of(trace), links)
    if not len(signal) or (signal[0] > 0).sum() < _SMALLEST_DEPTH:
        yield Skipped(f"needs {_SMALLEST_DEPTH} layers before the head, after the last norm")
        return
    known = np.flatnonzero(signal[0] > 0)
    later = signal[len(signal) // 2 :, known]
    links, size = [links[index] for index in known], signal[0, known]
    first = float(reference(links, size[None, :])[0])
    change = float(size[-1] / first)
    ways = np.sign(np.diff(size)) * np.sign(np.log(change)) if change > 0 else np.zeros(1)
    if max(change, 1 / change) <= factor or np.mean(ways > 0) < _GEOMETRIC:
        return
    way = "shrinks" if change < 1 else "grows"
    per_layer = change ** (1 / max(1, len(size) - 1))
    stays_high = remaining_loss(trace) >= _NOT_LEARNT
    change_later = median(later[:, -1] / reference(links, later))
    has_recovered = 1 / factor <= change_later <= factor
    at = next(i for i, value in enumerate(size) if max(value / first, first / value) > factor)
    step = int(trace.sampled_steps[0])
    yield Finding(
        f"at the start the signal {way} with depth: outputs differ between examples by "
        f"{first:.2g} in the first layers and by {size[-1]:.2g} in {links[-1].site.path}, a factor "
        f"of {per_layer:.2g} per layer.",
        site=links[at].site,
        steps=(step, step),
        severity=None if stays_high and not has_recovered else Severity.INFO,
        # Where next to nothing arrives, biases alone decide which units fire.
        explains=("ACT04",) if change < 1 else (),
        evidence={
            "layers": [link.site.path for link in links],
            "signal": [float(value) for value in size],
            "factor_per_layer": per_layer,
        },
    )


@rule(
    "INI04",
    "output-bias-ignores-prior",
    Severity.INFO,
    needs=(Role.OUTPUT, Role.TARGET),
    advice="Set the last layer's bias at the start to the targets' mean (regression) or to the "
    "log-odds of the classes, and subtract the mean from targets far from zero.",
)
def output_bias_ignores_prior(
    trace: Trace,
    *,
    offset: Annotated[float, "mean of the targets relative to their standard deviation"] = 3.0,
    evenness: Annotated[float, "label entropy relative to that of even classes"] = 0.5,
    neutral: Annotated[
        float, "largest mean of the first outputs relative to that of the targets"
    ] = 0.2,
) -> Iterator[Finding | Skipped]:
    """The outputs start at zero though the targets are far from it, or some classes are rare.

    The loss then falls steeply at first, while the model learns only the mean or the frequencies,
    in its last bias, and nothing from the input. For squared and absolute errors the outputs are
    compared with the mean of the targets; for cross-entropies the even chances that they stand for
    are compared with the frequencies of the labels. Information, never a warning: training gets
    over it.
    Source: Karpathy's Recipe, step 2 (init well).
    """
    if not first_sampled_is_start(trace):
        yield Skipped("the first step was not sampled")
        return
    batches = training_batches(trace)
    functions = {batch.loss_function for batch in batches if batch.loss_function}
    outputs = [site for site in trace.sites_of(Role.OUTPUT) if site.path in functions]
    if len(functions) != 1 or len(outputs) != 1:
        yield Skipped("needs a single known loss function")
        return
    function, output = functions.pop(), outputs[0]
    mean, spread = (first_value(trace, output, stat) for stat in ("mean", "std"))
    if not np.isfinite([mean, spread]).all():
        yield Skipped("the first outputs were not recorded")
        return
    step = int(trace.sampled_steps[0])
    finding = partial(Finding, site=output, steps=(step, step))
    target = loss_site(trace, function, Role.TARGET)
    if function in REGRESSION and target is not None:
        level = median(trace.series(Role.TARGET, "mean", target))
        width = median(trace.series(Role.TARGET, "std", target))
        off = abs(level) > offset * width and abs(level) > 0 and width > 0
        if off and abs(mean) < neutral * abs(level):
            yield finding(
                f"targets of `{function}` have mean {level:.3g} and standard deviation "
                f"{width:.2g}, but the outputs start at {mean:.2g}: the first steps only learn "
                "the mean.",
                evidence={"target_mean": level, "target_std": width, "output_mean": mean},
            )
        return
    totals = label_totals(batches)
    if function not in CROSS_ENTROPY | BINARY or len(totals) < 2 or totals.total() < 100:
        yield Skipped("needs class labels, or targets of a squared or absolute error")
        return
    if any(event.payload.get("weighted") for event in trace.events_of(EventKind.LOSS_CALL)):
        yield Skipped(f"`{function}` is weighted: even chances may be right")
        return
    even, known = float(np.log(len(totals))), entropy(totals.values())
    is_neutral = spread < 1 and (function not in BINARY or abs(mean) < 1)
    if known < evenness * even and is_neutral:
        yield finding(
            f"the labels of `{function}` have an entropy of {known:.2g}, {known / even:.0%} of "
            "that of even classes, but the outputs start at even chances: the first steps only "
            "learn the frequencies.",
            evidence={"label_entropy": known, "even_entropy": even, "output_std": spread},
        )


@rule(
    "INI05",
    "saturated-at-init",
    Severity.WARNING,
    explains=("ACT05", "GRD01", "GRD04", "LOS07", "LOS11", "UPD02"),
    advice="Make the first weights smaller (Glorot's scheme, or a factor of 0.1 on the last "
    "layer), and normalise the inputs.",
)
def saturated_at_init(
    trace: Trace,
    *,
    fraction: Annotated[float, "share of a layer's outputs at the ends of its range"] = 0.5,
    logits: Annotated[float, "standard deviation of the first logits"] = 10.0,
) -> Iterator[Finding | Skipped]:
    """At the first step hidden sigmoids or tanhs sit at their ends, or the logits are huge.

    Saturated units pass no gradient, and huge logits make the first predictions confident and
    wrong: training begins by undoing its initialisation. The output activation and sigmoid gates
    are left out, as are cosines with a scale. Logits are judged if a cross-entropy receives them; a
    few that are masked by a huge negative number do not count.
    Source: Glorot & Bengio 2010; Karpathy's makemore, part 3 (activations at initialisation).
    """
    if not first_sampled_is_start(trace):
        yield Skipped("the first step was not sampled")
        return
    step = int(trace.sampled_steps[0])
    judged = False
    saturated = trace.series(Role.ACTIVATION, "saturated_fraction")
    for link in hidden_bounded(trace):
        share = saturated[0, link.column]
        judged |= bool(np.isfinite(share))
        if share > fraction:
            yield Finding(
                f"{share:.0%} of the outputs of {link.site.path} ({link.site.module_type}) start "
                f"at an end of the range [{link.site.range_low:g}, {link.site.range_high:g}].",
                site=link.site,
                steps=(step, step),
                evidence={"saturated_fraction": float(share)},
            )
            break
    for site in _logits(trace):
        spread = _typical_spread(trace, site)
        judged |= bool(np.isfinite(spread))
        if spread > logits:
            yield Finding(
                f"the logits that `{site.path}` receives start with a standard deviation of "
                f"{spread:.3g}: the model is confident before it has learned anything.",
                site=site,
                steps=(step, step),
                evidence={"logit_std": float(spread)},
            )
    if not judged:
        yield Skipped("no hidden bounded activation and no logits were recorded")


def _typical_spread(trace: Trace, site: Site) -> float:
    """The first standard deviation of outputs, or the one that their quartiles give, if lower."""
    std, low, high = (trace.series(Role.OUTPUT, name, site)[0] for name in ("std", "q25", "q75"))
    return float(np.fmin(std, (high - low) / 1.349))


def _logits(trace: Trace) -> list[Site]:
    """The sites of predictions that cross-entropies take as logits."""
    names = ("cross_entropy", "binary_cross_entropy_with_logits")
    return [
        site
        for site in trace.sites_of(Role.OUTPUT)
        if any(is_of(site.path, name) for name in names)
        and not are_scaled_cosines(trace, site.path)
    ]
