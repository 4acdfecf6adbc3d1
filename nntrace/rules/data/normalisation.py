"""Rules on the values of the inputs: constant, out of scale. They explain most others."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.input_values import (
    NEVER_ADAPTED,
    first_float_input,
    holds_counts,
    integer_valued,
    is_divided_twice,
    is_eight_bit,
    normalised_by_other_statistics,
    normalises_first,
    not_adapted,
    scaled_each_epoch,
    scaled_twice,
    widened_by_augmentation,
)
from nntrace.rules.common.signals import median, span
from nntrace.rules.data.copies import all_are_copies, copies_of_one
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray

_WITHIN = 4.65  # standard deviations from the first to the last percentile of a normal variable
_WIDENED = 3.0  # times the spread without its ends: then outliers make the scale


@rule(
    "DAT01",
    "constant-input",
    Severity.ERROR,
    needs=(Role.INPUT,),
    explains=(
        *("DAT02", "DAT08", "LOS07", "LOS11", "LOS12", "ACT01", "ACT04", "ACT07", "GRD01"),
        *("GRD04", "GRD08", "UPD02", "UPD06"),
    ),
    advice="Look at one batch as the model receives it; check the file reading, the dtype of the "
    "scaling (integer division) and that the array was filled.",
)
def constant_input(
    trace: Trace,
    *,
    batches: Annotated[int, "sampled batches that must be constant"] = 2,
) -> Iterator[Finding | Skipped]:
    """A batch enters the model with one single value everywhere, or with one example many times.

    Nothing can be learned from it but the output bias. Copies of one example are reported if they
    fill at least half of the sampled batches, in all inputs. Single values are an error if all
    inputs are constant in at least half of the sampled batches; a warning if they are in fewer, or
    if only the first of several inputs is, because masks and initial states may rightly be
    constant. Batches of one example are judged together, and only if all of them are constant. Not
    judged are categories, of which an example has one, and a model that is called several times in
    a step, of which one call may rightly get one value (the points of a boundary).
    Source: "37 reasons", 1 (check your input data) and 2 (try random input).
    """
    steps = trace.sampled_steps
    sites = [
        site for site in trace.sites_of(Role.INPUT) if site.numel != 1 and not _is_category(site)
    ]
    low = [trace.series(Role.INPUT, "min", site) for site in sites]
    high = [trace.series(Role.INPUT, "max", site) for site in sites]
    known = [np.isfinite(a) & np.isfinite(b) for a, b in zip(low, high, strict=True)]
    seen = np.any(known, axis=0) if known else np.zeros(len(steps), dtype=bool)
    if seen.sum() < batches:
        yield too_few(f"needs the inputs of {batches} sampled batches, has {int(seen.sum())}")
        return
    constant = [(a == b) & k for a, b, k in zip(low, high, known, strict=True)]
    varied = np.isin(steps, _steps_of_varied_values(trace))
    if len(sites) == 1 and (constant[0] & varied).any():
        yield Skipped("of several calls of the model in a step the first alone gets one value")
        return
    constant[0] &= ~np.isin(steps, _steps_of_different_examples(trace))
    everything = np.all([c | ~k for c, k in zip(constant, known, strict=True)], axis=0) & seen
    alone = _of_one_example(trace, sites[0]) & seen
    if not everything[alone].all():  # one blank example among others is not a constant batch
        everything &= ~alone
        constant[0] &= ~alone
    for bad, is_all in ((everything, True), (constant[0], False)):
        count = int(bad.sum())
        if count < batches:
            continue
        first, last = span(steps[bad])
        values = sorted({float(v) for v in low[0][bad & known[0]]})
        what = f"the value {values[0]:.4g}" if len(values) == 1 else "one value per batch"
        total = int(seen.sum())
        yield Finding(
            f"{_named(sites[0])} held nothing but {what} in {count} of {total} sampled batches.",
            site=sites[0],
            steps=(first, last),
            severity=Severity.ERROR if is_all and 2 * count >= total else Severity.WARNING,
            evidence={"constant_batches": count, "sampled_batches": total, "values": values[:5]},
        )
        return
    yield from copies_of_one(trace, sites, int(seen.sum()))


@rule(
    "DAT04",
    "unnormalised-input",
    Severity.WARNING,
    needs=(Role.INPUT,),
    explains=(
        *("LOS01", "LOS07", "LOS08", "LOS09", "LOS10", "LOS11", "LOS12", "INI03"),
        *("INI05", "ACT01", "ACT03", "ACT04", "ACT05", "ACT06", "ACT07", "GRD01", "GRD02"),
        *("GRD04", "GRD05", "GRD10", "UPD01", "UPD03", "UPD07", "PAR01", "NUM01", "NUM02"),
        "PAR04",
    ),
    advice="Subtract the mean and divide by the standard deviation of the training set, feature "
    "by feature; for 8-bit images divide by 255 first.",
)
def unnormalised_input(
    trace: Trace,
    *,
    offset: Annotated[float, "largest |mean| in standard deviations"] = 3.0,
    scale: Annotated[float, "largest standard deviation"] = 10.0,
    widest: Annotated[float, "largest standard deviation behind a layer that normalises"] = 5.0,
) -> Iterator[Finding | Skipped]:
    """The floating-point input lies far from zero mean and unit scale.

    Initialisation and learning rates assume inputs near zero mean and unit variance; large ones
    saturate units and blow up the first gradients. The rule judges the first floating-point input,
    unless it holds counts, one-hot vectors or indices, or enters a normalisation layer. It also
    names

    - a normalisation layer that was never adapted and returns its input unchanged, or that
      normalises by other statistics than those of its input
    - a layer that augments images and makes their values ten times as large
    - a `Rescaling` of what has been scaled before; inputs that reach from 0 to 1/255 were divided
      by 255 twice
    - inputs whose scale, large or not, each epoch multiplies by the same factor

    Source: "37 reasons", 14 (standardise the features) and 16; Karpathy's Recipe, step 1.
    """
    site = next((s for s in trace.sites_of(Role.INPUT) if _is_batch_of_floats(s)), None)
    if site is None:
        yield Skipped("no floating-point input with a feature axis was recorded")
        return
    stats = {
        name: median(trace.series(Role.INPUT, name, site))
        for name in ("mean", "std", "min", "max", "q99", "zero_fraction")
    }
    mean, std = stats["mean"], stats["std"]
    if not np.isfinite([mean, std]).all():
        yield Skipped(f"the mean and scale of {_named(site)} were not recorded")
        return
    if (anew := scaled_each_epoch(trace)) is not None:
        yield _of_each_epoch(trace, site, *anew)
        return
    if std > 0.0 and (widened := widened_by_augmentation(trace, site, scale)) is not None:
        yield _of_augmentation(trace, widened, std)
        return
    if (again := scaled_twice(trace, site)) is not None:
        yield _of_two_scalings(trace, again, std)
        return
    by_other = normalised_by_other_statistics(trace, widest, offset)
    if by_other is not None and not_adapted(trace) is None:
        yield _of_other_statistics(trace, by_other)
        return
    if std == 0.0 or normalises_first(trace, site) or holds_counts(trace, stats):
        return
    if is_divided_twice(stats):
        yield Finding(
            f"{_named(site)} is next to zero: its values reach from {stats['min']:.3g} to 1/255, "
            "as if they had been divided by 255 twice.",
            site=site,
            steps=span(trace.sampled_steps),
            evidence={"mean": mean, "std": std, "min": stats["min"], "max": stats["max"]},
            advice="Divide once: values that reach from 0 to 1, as `ToTensor` returns them, have "
            "been divided.",
        )
        return
    reasons = []
    if abs(mean) > offset * std:
        reasons.append(f"its mean is {abs(mean) / std:.3g} standard deviations from zero")
    if std > scale:
        reasons.append(f"its standard deviation is {std:.3g}")
    if is_eight_bit(trace, stats):
        reasons.append(f"its values are whole numbers from 0 to {stats['max']:.0f}")
    if reasons:
        idle = not_adapted(trace)
        yield Finding(
            f"{_named(site)} is not normalised: {', '.join(reasons)}"
            + ("." if idle is None else f"; `{idle.path}` hands it on unchanged."),
            site=site if idle is None else idle,
            steps=span(trace.sampled_steps),
            evidence={"mean": mean, "std": std, "min": stats["min"], "max": stats["max"]},
            advice="" if idle is None else NEVER_ADAPTED.format(idle.path),
        )


def _of_each_epoch(trace: Trace, site: Site, factor: float, first: float, last: float) -> Finding:
    return Finding(
        f"{_named(site)} is scaled anew in each epoch: its standard deviation is {factor:.3g} "
        f"times that of the epoch before, from {first:.3g} to {last:.3g}.",
        site=site,
        steps=span(trace.sampled_steps),
        evidence={"factor": factor, "first_std": first, "last_std": last},
        advice="Look in `__getitem__` for operations that write to the stored data (`-=`, `/=`, "
        "`sub_`): work on a copy, or normalise once.",
    )


def _of_other_statistics(trace: Trace, site: Site) -> Finding:
    mean, std = (median(trace.series(Role.ACTIVATION, name, site)) for name in ("mean", "std"))
    return Finding(
        f"`{site.path}` does not normalise what it is given: its output has mean {mean:.3g} and "
        f"standard deviation {std:.3g}, where it should have 0 and 1.",
        site=site,
        steps=span(trace.sampled_steps),
        evidence={"mean_after": mean, "std_after": std},
        advice="Adapt it on the training inputs as they enter it, scaled as they are there; "
        "`variance` is the square of the standard deviation.",
    )


def _of_two_scalings(trace: Trace, site: Site, entered: float) -> Finding:
    left = median(trace.series(Role.ACTIVATION, "std", site))
    return Finding(
        f"`{site.path}` (Rescaling) scales an input that lies within [-1, 1] already: its standard "
        f"deviation is {entered:.2g} before and {left:.2g} after it.",
        site=site,
        steps=span(trace.sampled_steps),
        explains=("UPD02",),
        evidence={"std_before": entered, "std_after": left},
        advice="Scale once: leave this layer out, or give the model the bytes from 0 to 255.",
    )


def _of_augmentation(trace: Trace, site: Site, entered: float) -> Finding:
    left = median(trace.series(Role.ACTIVATION, "std", site))
    return Finding(
        f"`{site.path}` ({site.module_type}) takes the input for one of another range: its "
        f"standard deviation is {entered:.2g} before and {left:.3g} after it.",
        site=site,
        steps=span(trace.sampled_steps),
        evidence={"std": entered, "std_after": left},
        advice="Say the range of the pixels: `value_range=(0, 1)` for images divided by 255; Keras "
        "expects 0 to 255.",
    )


@rule(
    "DAT07",
    "outlier-input",
    Severity.INFO,
    needs=(Role.INPUT,),
    explains=("LOS09", "GRD05"),
    advice="Sort the examples by that feature and look at the ends; clip it, or take its "
    "logarithm.",
)
def outlier_input(
    trace: Trace,
    *,
    deviations: Annotated[float, "distance from the mean in standard deviations"] = 30.0,
    batches: Annotated[int, "sampled batches that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """Some input values lie tens of standard deviations from the rest.

    Outliers almost always uncover a bug in the data or its preprocessing. Information, never a
    warning. Not judged for inputs that are mostly zero or whole numbers, where outliers are
    natural.
    Source: Karpathy's Recipe, step 1 (visualise distributions and the outliers along any axis).
    """
    site = first_float_input(trace)
    if site is None:
        yield Skipped("no floating-point input was recorded")
        return
    names = ("mean", "std", "min", "max", "q01", "q99")
    stats = {n: trace.series(Role.INPUT, n, site) for n in names}
    sparse = median(trace.series(Role.INPUT, "zero_fraction", site))
    known = np.isfinite(stats["std"]) & (stats["std"] > 0.0)
    if known.sum() < batches:
        yield too_few(f"needs {batches} sampled batches of {site.path}")
        return
    if sparse > 0.5 or integer_valued(trace):
        return
    # The spread of ordinary batches: outliers widen the spread of their own batch.
    scale = median(stats["std"][known])
    centre = median(stats["mean"][known])
    reach = np.maximum(stats["max"] - centre, centre - stats["min"]) / scale
    bad = known & (reach > deviations)
    if not bad.any():
        return
    worst = int(np.nanargmax(np.where(bad, reach, np.nan)))
    high = stats["max"][worst] - centre > centre - stats["min"][worst]
    value = float(stats["max" if high else "min"][worst])
    ordinary = (median(stats["q99"]) - median(stats["q01"])) / _WITHIN
    yield Finding(
        f"`{site.path}` holds {value:.4g}, {reach[worst]:.0f} standard deviations from its mean "
        f"{centre:.3g}; {int(bad.sum())} of {int(known.sum())} sampled batches hold values that "
        "far out.",
        site=site,
        steps=span(trace.sampled_steps[bad]),
        evidence={"value": value, "deviations": float(reach[worst]), "batches": int(bad.sum())},
        # Outliers make the scale that DAT04 blames.
        explains=("DAT04",) if 0.0 < ordinary * _WIDENED < scale else (),
    )


def _named(site: Site) -> str:
    return f"the input `{site.path}`"


def _steps_of_different_examples(trace: Trace) -> list[int]:
    """Steps whose batch holds different examples, even if all sampled elements are the same.

    The sample of a wide and sparse input, such as a bag of words, may hold nothing but zeros.
    """
    return [
        batch.step
        for batch in training_batches(trace)
        if batch.duplicate_examples is not None and not all_are_copies(batch)
    ]


def _steps_of_varied_values(trace: Trace) -> list[int]:
    """Steps whose batch, which is that of each alike call in turn, held more than one value.

    What a loss module is given may be such a call; predictions are no batch.
    """
    return [
        one.step
        for one in training_batches(trace)
        if one.input_min != one.input_max
        and (one.input_min, one.input_max) != (one.output_min, one.output_max)
    ]


def _is_category(site: Site) -> bool:
    return "int" in site.dtype and np.prod(site.shape[1:]) == 1


def _of_one_example(trace: Trace, site: Site) -> BoolArray:
    """Mark the sampled steps in which the model got one example, or the features of one."""
    if len(site.shape) == 1:
        return np.ones(len(trace.sampled_steps), dtype=bool)
    steps = [batch.step for batch in training_batches(trace) if batch.batch_size == 1]
    return np.isin(trace.sampled_steps, steps)


def _is_batch_of_floats(site: Site) -> bool:
    return "float" in site.dtype and len(site.shape) != 1
