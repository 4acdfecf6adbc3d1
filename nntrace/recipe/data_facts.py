"""The facts that a trace shows about the data: inputs, labels, loaders, evaluation passes."""

import numpy as np

from nntrace.recipe.step import Fact, State
from nntrace.rules.common.chance import label_totals, target_variance, training_batches
from nntrace.rules.common.layers import is_embedding
from nntrace.rules.common.loaders import data_set_sizes, loader_passes, trained_loaders
from nntrace.rules.common.passes import reported_metrics
from nntrace.rules.common.payloads import text
from nntrace.schema import EventKind, Role
from nntrace.text import printable
from nntrace.trace import Batch, Trace

_LARGE = 10.0  # targets need scaling if their std, or their mean in units of it, is larger
_WHOLE = 0.9  # of the data set: the rest may be a dropped last batch


def input_range(trace: Trace) -> Fact | None:
    """The smallest and the largest value that entered the network."""
    batches = [b for b in training_batches(trace) if b.input_min is not None]
    if not batches:
        return None
    low = min(b.input_min for b in batches if b.input_min is not None)
    high = max((b.input_max for b in batches if b.input_max is not None), default=low)
    return Fact(f"values from {low:.3g} to {high:.3g} in {_counted(batches)}")


def input_scale(trace: Trace) -> Fact | None:
    """The mean and standard deviation of the first floating-point input over all sampled batches.

    Indices into an embedding have no scale, which verifies the step.
    """
    inputs = trace.sites_of(Role.INPUT)
    if (
        inputs
        and all("int" in site.dtype for site in inputs)
        and any(map(is_embedding, trace.sites))
    ):
        return Fact("the inputs are indices of an embedding: nothing to scale", State.VERIFIED)
    batches = training_batches(trace)
    rows = [(b.input_mean, b.input_std) for b in batches if b.input_mean is not None]
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    table = table[np.isfinite(table).all(axis=1)]
    if not len(table):
        return None
    mean = float(table[:, 0].mean())
    std = float(np.sqrt((table[:, 1] ** 2).mean() + table[:, 0].var()))
    return Fact(f"mean {mean:.3g}, standard deviation {std:.3g} over {_counted(batches)}")


def label_balance(trace: Trace) -> Fact | None:
    """The shares of the rarest and the commonest class, or the moments of other targets.

    Targets far from zero, or of a large scale, are learned slowly by a head that is not scaled.
    """
    batches = training_batches(trace)
    totals = label_totals(batches)
    if len(totals) > 1:
        rare, common = (f"{pick(totals.values()) / totals.total():.1%}" for pick in (min, max))
        return Fact(
            f"{len(totals)} classes in {totals.total()} labels: the rarest is {rare} of them, the "
            f"commonest {common}"
        )
    moments = target_variance(batches)
    if moments is None:
        return None
    mean, std = moments[0], moments[1] ** 0.5
    good = 0.0 < std <= _LARGE and abs(mean) <= _LARGE * std
    return Fact(
        f"targets of mean {mean:.3g}, standard deviation {std:.3g}",
        State.VERIFIED if good else State.UNCHECKED,
    )


def copies(trace: Trace) -> Fact | None:
    """The number of exact copies among the examples of the sampled batches."""
    batches = [b for b in training_batches(trace) if b.duplicate_examples is not None]
    examples = sum(b.batch_size or 0 for b in batches)
    if not examples:
        return None
    found = sum((b.duplicate_examples or 0) + (b.repeated_examples or 0) for b in batches)
    return Fact(f"{found} exact copies among {examples} examples of {_counted(batches)}")


def training_passes(trace: Trace) -> Fact | None:
    """How the training loader draws examples, and how many of its passes were complete."""
    passes = [one for one in loader_passes(trace) if one.steps]
    if not passes:
        return None
    used = passes[-1].loader
    loaders = {event.payload.get("loader"): event for event in trace.events_of(EventKind.LOADER)}
    sampler = printable(text(loaders[used].payload, "sampler"), 40) if used in loaders else ""
    size = data_set_sizes(trace).get(used)
    whole = sum(one.complete for one in passes)
    drawn = f"{size} examples" if size else "a stream"
    by = f" drawn by {sampler}" if sampler else ""
    return Fact(f"{drawn}{by}; {whole} of {len(passes)} recorded passes went to the end")


def evaluation_passes(trace: Trace) -> Fact:
    """Whether evaluation covers its data set: passes over loaders that are never trained on."""
    passes = loader_passes(trace)
    if not passes:
        return _evaluated_by_fit(trace)
    trains = trained_loaders(trace)
    others = [one for one in passes if one.loader not in trains]
    if not others:
        return Fact("no pass over a separate loader without training was seen", State.UNCHECKED)
    whole = [one for one in others if one.complete]
    last = (whole or others)[-1]
    seen, size = last.examples or 0, data_set_sizes(trace).get(last.loader)
    of = f"{seen} of {size} examples" if size else f"{seen} examples"
    if not whole or (size and seen < _WHOLE * size):
        return Fact(f"the passes without training covered {of}", State.UNCHECKED)
    times = "evaluation" if len(whole) == 1 else "evaluations"
    return Fact(f"{len(whole)} complete {times}, the last over {of}", State.VERIFIED)


def first_batch(trace: Trace) -> Fact | None:
    """The tensors of the first batch that the trace holds."""
    shapes = [
        f"{printable(tensor.path, 40)} {'×'.join(map(str, tensor.shape))}"
        for tensor in trace.tensors
        if tensor.role in (Role.INPUT, Role.TARGET)
    ]
    return Fact(f"kept: {', '.join(shapes[:4])}", State.ADVICE) if shapes else None


def _evaluated_by_fit(trace: Trace) -> Fact:
    """The evaluations by Keras' `fit`, which reports its metrics, but not on how much data."""
    times = sum(
        any(name.startswith("val_") for name in metrics) for _, metrics in reported_metrics(trace)
    )
    if not times:
        return Fact("no evaluation over a loader was seen", State.UNCHECKED)
    return Fact(
        f"fit evaluated {times} times; on how many examples is not recorded", State.UNCHECKED
    )


def _counted(batches: tuple[Batch, ...] | list[Batch]) -> str:
    return f"{len(batches)} sampled batch{'' if len(batches) == 1 else 'es'}"
