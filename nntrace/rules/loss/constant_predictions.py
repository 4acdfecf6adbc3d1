"""LOS12: predictions that are the same for all examples, whatever the input."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.activations.units import has_died_out
from nntrace.rules.common.chance import loss_location, training_batches
from nntrace.rules.common.frequencies import has_seen_few_of_each
from nntrace.rules.common.signals import lasting, median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray


@rule(
    "LOS12",
    "constant-predictions",
    Severity.ERROR,
    needs=(Role.OUTPUT,),
    explains=("LOS07", "LOS11"),
    advice="Follow one example through the model: find the first layer whose output no longer "
    "varies (dead or saturated units, pooling or normalising over the batch axis).",
)
def constant_predictions(
    trace: Trace,
    *,
    variation: Annotated[
        float, "smallest variation between examples relative to the outputs' size"
    ] = 0.01,
    samples: Annotated[int, "sampled steps at the end of the run in which it must hold"] = 3,
) -> Iterator[Finding | Skipped]:
    """All examples of a batch get the same prediction although their inputs differ.

    "All zeros, all background, the mean": the input no longer reaches the output. It must hold
    until the end of the run and for a quarter of it, since an output layer that starts at zero is
    common and healthy. Predictions are compared with their own scale and, if the targets hardly
    vary either (years, prices), with the targets. Targets that do not vary at all ask for constant
    predictions and are left out. Information while each class was too rarely a target to be told
    from others, as the words of a language model in its first hundred steps, unless the predictions
    are exactly the same.
    Source: "37 reasons", 3 (random input) and 24 (dead network); Karpathy's Recipe, step 2.
    """
    judged = False
    for site in trace.sites_of(Role.OUTPUT):
        varies = _variation(trace, site)
        known = np.isfinite(varies)
        steps = trace.sampled_steps[known]
        if len(steps) < samples:
            continue
        judged = True
        target = trace.site(site.path, Role.TARGET)
        target_variation = median(_variation(trace, target)) if target else float("nan")
        if target_variation == 0.0:
            continue  # the same prediction for all examples is right
        limit = min(variation, 0.1 * target_variation) if target_variation > 0.0 else variation
        start = lasting(varies[known] < limit, samples)
        # Measured in steps, not samples: the first steps are sampled densely.
        if start is None or 4 * (steps[-1] - steps[start]) < steps[-1] - steps[0]:
            continue
        inputs = _input_variation(trace)
        if inputs is None or inputs <= 1e-6:
            yield Skipped("the inputs do not vary, or were not recorded")
            return
        worst = median(varies[known][start:])
        level = median(trace.series(Role.OUTPUT, "rms", site))
        early = worst > 0.0 and has_seen_few_of_each(trace)
        # With dead units that are not all of a layer, something of the input is left.
        is_cut_off = worst == 0.0 and not has_died_out(trace)
        yield Finding(
            f"the predictions given to {_loss_name(site)} are the same for all examples from "
            f"step {steps[start]} to the end: they vary by {worst:.2g} relative to their size, "
            f"the inputs by {inputs:.2g}.",
            site=site,
            steps=(int(steps[start]), int(steps[-1])),
            severity=Severity.INFO if early else Severity.ERROR,
            evidence={"variation": worst, "input_variation": inputs, "rms": level},
            not_explained_by=("ACT04",) if is_cut_off else (),
            location=loss_location(trace, site.path),
        )
    if not judged:
        yield too_few(f"needs predictions for several examples at {samples} sampled steps")


def _variation(trace: Trace, site: Site) -> FloatArray:
    """The variation across examples relative to the scale, per sampled step; 0 if all are equal."""
    spread = trace.series(site.role, "example_std", site)
    scale = trace.series(site.role, "rms", site)
    return np.where(spread == 0.0, 0.0, spread / np.where(scale > 0.0, scale, np.nan))


def _input_variation(trace: Trace) -> float | None:
    """The largest variation across examples of any input; None if unknown."""
    sites = trace.sites_of(Role.INPUT)
    found = [v for site in sites if np.isfinite(v := median(_variation(trace, site)))]
    if found:
        return max(found)
    spreads = [b.input_std for b in training_batches(trace) if b.input_std is not None]
    return median(spreads) if spreads and np.isfinite(median(spreads)) else None


def _loss_name(site: Site) -> str:
    return f"`{site.path}`" if site.path else "the loss"
