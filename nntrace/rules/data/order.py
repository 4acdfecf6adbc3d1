"""The rule on the order in which passes over the data bring their batches."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import batches_of_last_phase, training_batches
from nntrace.rules.common.loaders import Pass, drawn_at, loader_passes
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_RECURRENT = ("RNN", "LSTM", "GRU")

# Mishchenko et al. 2020 (2006.05988): one random order serves about as well as a new one each time.
_DRAWN_ONCE = (
    "Nothing has to be done. For a new order in each epoch give Keras' `fit` a "
    "`tf.data.Dataset` with `.shuffle(n)` in place of arrays."
)
_UNKNOWN_EXAMPLES = (
    "If the data set draws its examples itself, nothing has to be done; if it augments those it is "
    "asked for, shuffle: `DataLoader(..., shuffle=True)`."
)


@rule(
    "DAT03",
    "fixed-batch-order",
    Severity.WARNING,
    advice="Shuffle at each epoch: `DataLoader(..., shuffle=True)`; with a "
    "`DistributedSampler` call `set_epoch`; by hand draw a new permutation.",
    in_keras="Shuffle at each epoch: `.shuffle(n)` of the `tf.data.Dataset`, with `n` near its "
    "size and before `.batch`; arrays in `fit` are shuffled by default; by hand draw a new "
    "permutation.",
)
def fixed_batch_order(
    trace: Trace,
    *,
    epochs: Annotated[int, "passes in a row in the same order"] = 2,
    batches: Annotated[int, "batches in a pass below which their order means little"] = 3,
) -> Iterator[Finding | Skipped]:
    """Every epoch brings the same batches in the same order.

    The gradients of neighbouring examples then always come together, and the model can learn the
    order instead of the data. Seen from the indices that a loader draws; for batches made by hand,
    from fingerprints that come back at a fixed period. Only information

    - for recurrent models, whose data may be one long sequence
    - if the order was drawn at random, but only once, as Keras' `fit` does on arrays when a seed
      was set
    - if equal indices bring other examples each time, whose targets do not tell them apart: a data
      set may take no notice of the index and draw at random

    Source: "37 reasons", 8 (shuffle the data set); Goodfellow et al., Deep Learning, 8.1.3.
    """
    passes = [one for one in loader_passes(trace) if one.steps and one.complete]
    ordered = [one for one in passes if one.order is not None and one.batches >= batches]
    if ordered and len(ordered) < epochs:
        yield too_few(f"needs {epochs} complete passes over the data, has {len(ordered)}")
    elif ordered:
        alike = _longest_in_one_order(ordered)
        if len(alike) >= epochs:
            yield _of_indices(trace, alike)
    else:
        yield _of_fingerprints(trace, batches) or Skipped("no two passes over the data were seen")


def _of_indices(trace: Trace, alike: Sequence[Pass]) -> Finding:
    """The finding on passes for which a loader drew the same indices in the same order."""
    count = alike[0].batches
    message = (
        f"{len(alike)} consecutive passes over the training data brought its {count} batches in "
        "the same order"
    )
    others = _brings_others(trace, alike)
    return Finding(
        f"{message}, but with other examples each time." if others else f"{message}.",
        steps=(alike[0].step - alike[0].steps, alike[-1].step),
        evidence={"passes": len(alike), "batches": count},
        severity=Severity.INFO if others or _is_recurrent(trace) else None,
        advice=_UNKNOWN_EXAMPLES if others else "",
        location=drawn_at(trace),
        needs_no_action=others,
    )


def _longest_in_one_order(passes: Sequence[Pass]) -> list[Pass]:
    """The longest run of consecutive passes over one loader that drew the same indices."""
    best: list[Pass] = []
    for loader in sorted({one.loader for one in passes}):
        row: list[Pass] = []
        for one in (one for one in passes if one.loader == loader):
            follows = row and one.epoch == row[-1].epoch + 1
            same = row and (one.order, one.batches) == (row[-1].order, row[-1].batches)
            row = [*row, one] if follows and same else [one]
            best = row if len(row) > len(best) else best
    return best


def _brings_others(trace: Trace, passes: Sequence[Pass]) -> bool:
    """Whether no batch has come back, and its targets do not say that its examples have.

    Augmented examples are never the same twice, but their targets are. Targets that are alike in
    all batches say nothing.
    """
    by_place: dict[int, list[Batch]] = defaultdict(list)
    for batch in training_batches(trace):
        for one in passes:
            if one.step - one.steps <= batch.step < one.step and batch.fingerprint is not None:
                by_place[batch.step - one.step + one.steps].append(batch)
    met_again = [own for own in by_place.values() if len(own) > 1]
    if not met_again or any(len({b.fingerprint for b in own}) < len(own) for own in met_again):
        return False
    targets = [{_target(batch) for batch in own} for own in met_again]
    return any(len(own) > 1 for own in targets) or len(set.union(*targets)) == 1


def _target(batch: Batch) -> tuple[object, ...]:
    return batch.label_values, batch.label_counts, batch.target_mean, batch.target_std


def _of_fingerprints(trace: Trace, batches: int) -> Finding | None:
    """The finding if all fingerprints come back at one period; None if they do not.

    A second model may well be trained on the very batches of a first, shuffled with the same seed.
    """
    own = batches_of_last_phase(trace)
    prints = {b.step: b.fingerprint for b in own if b.fingerprint is not None}
    by_print: dict[int, list[int]] = defaultdict(list)
    for step, value in prints.items():
        by_print[value].append(step)
    gaps = [
        later - earlier for steps in by_print.values() for earlier, later in pairwise(sorted(steps))
    ]
    returning = sum(len(steps) > 1 for steps in by_print.values())
    period = int(np.gcd.reduce(gaps)) if gaps else 0
    if period < batches or returning < batches:
        return None
    phases: dict[int, set[int]] = defaultdict(set)
    for step, value in prints.items():
        phases[step % period].add(value)
    if any(len(values) > 1 for values in phases.values()):
        return None
    once = _is_shuffled(trace)
    message = f"the batches come back in the same order every {period} steps"
    return Finding(
        f"{message}; that order was drawn at random, but only once." if once else f"{message}.",
        steps=(min(prints), max(prints)),
        evidence={"period": period, "returning_batches": returning, "sampled_batches": len(prints)},
        severity=Severity.INFO if once or _is_recurrent(trace) else None,
        advice=_DRAWN_ONCE if once else "",
        location=drawn_at(trace),
        needs_no_action=once,
    )


def _is_shuffled(trace: Trace) -> bool:
    """Whether a loader was set to shuffle, so that at least the first order was random."""
    return any(event.payload.get("shuffle") is True for event in trace.events_of(EventKind.LOADER))


def _is_recurrent(trace: Trace) -> bool:
    kinds = {site.module_type for site in trace.sites_of(Role.ACTIVATION)}
    return any(kind.startswith(_RECURRENT) for kind in kinds)
