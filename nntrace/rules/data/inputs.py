"""Rules on the scale, type and validity of inputs, besides those in `normalisation`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.input_values import (
    NEVER_ADAPTED,
    first_float_input,
    normalises_first,
    not_adapted,
)
from nntrace.rules.common.layers import first_value, first_with_weight, is_embedding
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import items
from nntrace.rules.common.signals import finite, median, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.numerics.origins import located_origins
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

_LARGE = 20.0  # more than any scaled pixel


@rule(
    "DAT05",
    "feature-scale-disparity",
    Severity.WARNING,
    needs=(Role.INPUT,),
    explains=(
        *("DAT04", "LOS01", "LOS07", "LOS08", "LOS10", "LOS11", "LOS14", "GRD10", "UPD01"),
        *("ACT01", "ACT03", "ACT04"),
    ),
    advice="Standardise feature by feature with the training set's statistics; take the logarithm "
    "of amounts that span orders of magnitude.",
)
def feature_scale_disparity(
    trace: Trace,
    *,
    ratio: Annotated[float, "spread of the widest feature relative to the narrowest"] = 100.0,
    batches: Annotated[int, "sampled batches that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """Features of a table differ in scale by orders of magnitude.

    One learning rate cannot fit both: the wide feature decides the output and the narrow one is
    never used. The spread of a feature is the distance between its deciles, so that flags and rare
    values do not count; neither do features that are constant up to float32's rounding. Not judged
    for a model that starts with a normalisation, of a state that begins with zeros and is carried
    from batch to batch, nor where the widest feature may be the ids of a
    lookup table: the model has one, no input holds integers, and the spread is within its rows.
    Source: "37 reasons", 14 (standardise the features); LeCun et al. 1998, Efficient BackProp, 4.3.
    """
    known = [
        batch
        for batch in training_batches(trace)
        if batch.feature_spread_low and batch.feature_spread_high
    ]
    if len(known) < batches:
        yield too_few(f"needs {batches} batches of a floating-point table, has {len(known)}")
        return
    site = first_float_input(trace)
    if normalises_first(trace, site) or (site is not None and _is_carried_on(trace, site)):
        return
    ratios = [(b.feature_spread_high or 0.0) / (b.feature_spread_low or 1.0) for b in known]
    found = median(ratios)
    if found <= ratio:
        return
    shown = known[int(np.argsort(ratios)[len(ratios) // 2])]
    if _may_be_an_id(trace, shown.feature_spread_high or 0.0):
        return
    idle = not_adapted(trace)
    yield Finding(
        f"feature {shown.feature_high} of the input spans {shown.feature_spread_high:.3g}, feature "
        f"{shown.feature_low} spans {shown.feature_spread_low:.3g}: {found:.0f} to 1"
        + ("." if idle is None else f"; `{idle.path}` hands them on unchanged."),
        site=site if idle is None else idle,
        steps=span([batch.step for batch in known]),
        evidence={
            "ratio": found,
            "widest_feature": shown.feature_high,
            "narrowest_feature": shown.feature_low,
        },
        advice="" if idle is None else NEVER_ADAPTED.format(idle.path),
    )


def _is_carried_on(trace: Trace, site: Site) -> bool:
    """Whether an input is zero at first and not later, as the state of a recurrence."""
    highest, lowest = (finite(trace.series(Role.INPUT, name, site)) for name in ("max", "min"))
    return bool(len(highest) and not highest[0] and not lowest[0] and highest.any())


def _may_be_an_id(trace: Trace, spread: float) -> bool:
    """Whether a feature may hold the ids of a lookup table, as only such a table takes integers."""
    if any("int" in site.dtype for site in trace.sites_of(Role.INPUT)):
        return False
    tables = (site for site in trace.sites_of(Role.PARAM) if is_embedding(site) and site.shape)
    return spread < max((site.shape[0] for site in tables), default=0)


@rule(
    "DAT06",
    "nonfinite-input",
    Severity.ERROR,
    explains=(
        *("NUM01", "NUM02", "NUM03", "NUM04", "NUM05", "NUM08", "NUM09", "LOS07", "LOS08", "LOS12"),
        *("ACT04", "GRD02", "PAR02"),
    ),
    advice="Find the examples (`~np.isfinite(x)`, `~torch.isfinite(x)`), then the cause: "
    "a missing value, a division by a zero standard deviation, a logarithm of zero. Fill or drop "
    "before batching.",
)
def nonfinite_input(trace: Trace) -> Iterator[Finding | Skipped]:
    """NaN or infinities enter the model or the loss with the data.

    A single one makes the loss NaN, and the next update every weight. An error if the loss or a
    parameter broke, even if the loss stayed finite (a compiled ReLU turns NaN into 0). Information
    if everything stayed finite: values that the model masks are legitimate, and an input that holds
    nothing but them and zeros is itself a mask, which is added to scores. The finding names the
    tensor and, if the step was replayed, the example.
    Source: "37 reasons", 34 (NaNs) and 1 (look at the input).
    """
    sites = [*trace.sites_of(Role.INPUT), *trace.sites_of(Role.TARGET)]
    if not sites:
        yield Skipped("no input was recorded")
        return
    broken = loss_series(trace).nonfinite_from is not None or _parameters_broke(trace)
    if (replayed := _named_by_a_replay(trace, sites)) is not None:
        yield replayed
        return
    origin = next(iter(located_origins(trace)), None)
    first = None if origin is None else origin.step
    # An operation outside all modules, in a program with one model, prepared the data.
    is_preparation = (
        origin is not None
        and origin.where == "forward"
        and not origin.text("module")
        and not any("/" in site.path for site in sites)
        and all(site.path.split(".")[0] == "input" for site in trace.sites_of(Role.INPUT))
    )
    for site in sites:
        share = trace.series(site.role, "nonfinite_fraction", site)
        bad = np.flatnonzero(share > 0.0)
        if not len(bad):
            continue
        steps = trace.sampled_steps[bad]
        if first is not None and steps[0] >= first + is_preparation:
            continue  # what one model passes to another after something has broken
        if not broken and not trace.series(site.role, "rms", site)[bad].any():
            continue  # a mask
        what = "input" if site.role is Role.INPUT else "target"
        yield Finding(
            f"the {what} `{site.path}` holds values that are not finite in {len(bad)} sampled "
            f"batches, {median(share[bad]):.2%} of them.",
            site=site,
            steps=span(steps),
            severity=None if broken else Severity.INFO,
            evidence={"share": median(share[bad]), "batches": len(bad)},
            location=origin.location if origin is not None and is_preparation else None,
        )
        return


def _named_by_a_replay(trace: Trace, sites: Sequence[Site]) -> Finding | None:
    """The finding on the first step whose replay led back to the data, with the example."""
    for event in trace.events_of(EventKind.ORIGIN):
        if event.payload.get("where") != "data":
            continue
        given, index = event.payload.get("given"), items(event.payload, "index")
        kind = "infinities" if event.payload.get("kind") == "inf" else "NaN"
        step = event.payload.get("step")
        step = step if isinstance(step, int) else event.step
        at = f", first at {index}" if index else ""
        return Finding(
            f"{f'`{given}`' if given else 'the data'} came in with {kind} at step {step}{at}.",
            site=next((s for s in sites if s.path == given), None),
            steps=(step, step),
            evidence={"given": str(given), "index": index},
        )
    return None


@rule(
    "DAT15",
    "pretrained-input-mismatch",
    Severity.WARNING,
    explains=("ACT12", "ACT01", "ACT03", "LOS01", "LOS13", "RUN13"),
    advice="Preprocess as the weights were trained: their documentation names range, mean and "
    "standard deviation of the inputs (for ImageNet: 0 … 1, then mean and deviation per channel).",
)
def pretrained_input_mismatch(
    trace: Trace,
    *,
    scale: Annotated[
        float, "rms of the first norm's input normalised by its loaded statistics"
    ] = 2.0,
) -> Iterator[Finding | Skipped]:
    """Loaded batch norms expect inputs of another mean or scale than the first batches have.

    The pretrained features are then computed on images unlike any the weights have seen. The input
    of the norm nearest to the data is normalised by the running statistics that were loaded: with
    the preprocessing of the pretraining, its root mean square is 1. Judged if a model comes with
    trained norms and goes on training them; norms frozen in evaluation mode are not seen.
    Source: Karpathy's Recipe, step 4 (pretrain); "37 reasons", 24 and 25.
    """
    # Norms that are frozen only later on were trained in this very run.
    begins = int(trace.steps.step[0]) if len(trace.steps) else 0
    modes = [e for e in trace.events_of(EventKind.MODE) if e.step <= begins]
    loaded = [event for event in modes if event.payload.get("norm_trained")]
    if not loaded:
        yield Skipped("no batch norm with statistics of an earlier training was seen")
        return
    site = next(iter(trace.sites_of(Role.RUNNING_NORM)), None)
    rms = float("nan") if site is None else first_value(trace, site, "rms")
    if site is None or not np.isfinite(rms):
        yield Skipped(
            "the loaded batch norms are frozen, and the inputs of frozen ones are not compared"
        )
        return
    if 1.0 / scale <= rms <= scale:
        return
    yield Finding(
        f"normalised by the statistics that `{site.path}` was loaded with, its input has a root "
        f"mean square of {rms:.3g} in the first batch, not 1: the weights were trained on other "
        "inputs.",
        site=site,
        steps=(loaded[0].step, loaded[0].step),
        evidence={"rms": rms, "trained_norms": loaded[0].payload.get("norm_trained")},
    )


@rule(
    "DAT19",
    "integer-input-to-float-layer",
    Severity.WARNING,
    needs=(Role.INPUT,),
    explains=(
        *("LOS01", "LOS07", "LOS08", "LOS09", "LOS10", "LOS11", "INI03", "INI05", "ACT01", "ACT03"),
        *("ACT04", "ACT05", "ACT06", "GRD02", "UPD01", "PAR01", "NUM01"),
    ),
    advice="Scale while casting: `x.float() / 255`; then subtract the mean.",
    in_keras="Scale while casting: a `Rescaling(1 / 255)` layer in front, or "
    '`x.astype("float32") / 255`; then subtract the mean.',
)
def integer_input_to_float_layer(
    trace: Trace,
    *,
    largest: Annotated[float, "value that no scaled input reaches"] = _LARGE,
    reach: Annotated[float, "first layer's output relative to that expected of raw values"] = 0.1,
) -> Iterator[Finding | Skipped]:
    """Raw integers, such as 8-bit pixels, are cast to float and meet the weights unscaled.

    The model gets integers and its first layer is affine. If the model scaled them itself, the
    first outputs of that layer would be small; they are as large as raw values make them. Not
    judged for indices that an embedding looks up, nor before a normalisation.
    Source: "37 reasons", 14 (standardise) and 1.
    """
    site = next((s for s in trace.sites_of(Role.INPUT) if "int" in s.dtype), None)
    if site is None or first_float_input(trace) is not None:
        yield Skipped("the model has inputs that are not integers")
        return
    if any(is_embedding(s) for s in trace.sites_of(Role.ACTIVATION)) or normalises_first(trace):
        return
    layer = first_with_weight(trace)
    own = (s for s in trace.sites_of(Role.PARAM) if layer is not None and s.parent == layer.path)
    weight = next((site for site in own if site.fan_in), None)
    if layer is None or weight is None or not weight.fan_in:
        yield Skipped("the first layer's weight is not known")
        return
    size, high = (first_value(trace, site, stat) for stat in ("rms", "max"))
    given = size * first_value(trace, weight, "rms") * float(np.sqrt(weight.fan_in))
    found = first_value(trace, layer, "rms")
    if not np.isfinite([given, found, high]).all():
        yield Skipped("the first layer's values were not recorded")
        return
    if high <= largest or found < reach * given:
        return
    yield Finding(
        f"`{site.path}` ({site.dtype}, up to {high:.0f}) enters {layer.shown} "
        f"unscaled: its first outputs have a size of {found:.3g}.",
        site=site,
        steps=span(trace.sampled_steps),
        evidence={"max": high, "first_output_rms": found, "expected_of_raw_values": given},
    )


def _parameters_broke(trace: Trace) -> bool:
    return bool((trace.series(Role.PARAM, "nonfinite_fraction") > 0.0).any())
