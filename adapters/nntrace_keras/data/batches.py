"""The batch of a step: what is known before its values are read, and what its sample holds."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nntrace.recorder import BatchSample, SiteSample, classes_of_rows
from nntrace_keras.samples.layouts import Found, Values
from nntrace_keras.samples.sites import SiteKey

_PREDICTED = 8192  # elements of whole prediction rows that are kept
_HASH_BITS = (1 << 48) - 1


@dataclass(frozen=True, slots=True)
class GivenLoss:
    """What is known of a loss function's arguments without looking at values.

    Attributes:
        path: of the sites of its targets and predictions.
        value: the name under which the sample holds the value that it returned.
        labels: whether targets are class numbers.
        ignored: the class number that the loss leaves out, or None.
        by_class: whether each target is a row with a number for each class.
        is_delivered: whether the targets entered the graph from outside; None if that is unknown.
    """

    path: str
    function: str
    target: SiteKey | None
    output: SiteKey
    value: str
    labels: bool = False
    ignored: int | None = None
    by_class: bool = False
    is_delivered: bool | None = None
    classes: int | None = None


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What is known of the batch without looking at values."""

    input: SiteKey | None = None
    losses: tuple[GivenLoss, ...] = ()
    term_names: tuple[str, ...] = ()
    term_weights: tuple[float, ...] = ()


def batch_samples(
    step: int, facts: BatchFacts, found: Found, batch_size: int | None, epoch: int | None
) -> tuple[BatchSample, ...]:
    """The batch of a step, from the samples of its sites; then one for each further loss."""
    by_site = dict(found.sites)
    plain = BatchSample(step=step, phase="train", batch_size=batch_size)
    losses = [_with_loss(plain, loss, by_site, found, epoch) for loss in facts.losses]
    batch = replace(
        losses[0] if losses else plain,
        epoch=epoch,
        example_hashes=_example_hashes(found),
        inputs=_values(facts.input, by_site, found),
        input_features=_features(facts.input, by_site, found),
        term_names=tuple(dict.fromkeys(facts.term_names)) or None,
        terms=_weighted(facts, found),
        clamped=_clamped(found),
    )
    return (batch, *losses[1:])


def _with_loss(
    plain: BatchSample,
    loss: GivenLoss,
    by_site: Mapping[SiteKey, SiteSample],
    found: Found,
    epoch: int | None,
) -> BatchSample:
    """The batch with the arguments and the value of one loss function."""
    predictions = _values(loss.output, by_site, found)
    if predictions is not None:
        units = by_site[loss.output].layout.units
        whole = units == loss.classes
        predictions = predictions.reshape(-1, units if whole else 1)[: _PREDICTED // units + 1]
    targets, value = _values(loss.target, by_site, found), found.batch.get(loss.value)
    return replace(
        plain,
        targets=targets,
        labels=loss.labels,
        ignored=loss.ignored,
        class_labels=classes_of_rows(targets, loss.classes) if loss.by_class else None,
        delivered=_delivered(targets, loss.is_delivered, epoch),
        predictions=predictions,
        classes=loss.classes,
        loss_function=loss.function,
        loss_path=loss.path,
        loss_value=None if value is None else float(value[0][0]),
    )


def _values(
    site: SiteKey | None, by_site: Mapping[SiteKey, SiteSample], found: Found
) -> Values | None:
    """The sampled elements of a site; None if it was not read."""
    part = by_site.get(site) if site is not None else None
    return None if part is None else found.values[part.offset : part.offset + part.layout.size]


def _example_hashes(found: Found) -> npt.NDArray[np.int64] | None:
    """A hash of each example over all inputs that have as many examples as the first one.

    One input is not enough: two texts of equal length share their mask, and yet are two examples.
    """
    total: npt.NDArray[np.int64] | None = None
    for number in itertools.count():
        parts = found.batch.get(f"hashes.{number}")
        if parts is None:
            return total
        low, high = parts[0].reshape(-1, 2).astype(np.int64).T
        hashes = (high << 24) | low
        if total is None:
            total = hashes
        elif len(hashes) == len(total):
            total = (total + hashes * (2 * number + 1)) & _HASH_BITS
    return None


def _delivered(
    targets: Values | None, is_delivered: bool | None, epoch: int | None
) -> tuple[tuple[float, float], ...] | None:
    """The range of targets that `fit` passed on; () if the program made them; None if unknown."""
    if targets is None or not targets.size or is_delivered is None:
        return None
    if not is_delivered:
        return ()
    return None if epoch is None else ((float(targets.min()), float(targets.max())),)


def _features(
    site: SiteKey | None, by_site: Mapping[SiteKey, SiteSample], found: Found
) -> int | None:
    """The width of an input whose last axis is features, as in a table; None for any other."""
    shape = found.shapes.get(site, ()) if site is not None else ()
    if site is None or "float" not in site.dtype or len(shape) not in (2, 3):
        return None
    units = by_site[site].layout.units
    return units if units == shape[-1] else None


def _weighted(facts: BatchFacts, found: Found) -> Values | None:
    """The weighted values of the terms, added up by name; None if there are no terms."""
    if not facts.term_names:
        return None
    sums = dict.fromkeys(facts.term_names, 0.0)
    for number, (name, weight) in enumerate(zip(facts.term_names, facts.term_weights, strict=True)):
        sums[name] += float(found.batch[f"term.{number}"][0][0]) * weight
    return np.array(list(sums.values()), np.float32)


def _clamped(found: Found) -> float | None:
    """The largest share of values that a clamp cuts off; None without clamps."""
    shares = [float(v[0]) for name, (v, _) in found.batch.items() if name.startswith("clamped.")]
    return max(shares, default=None)
