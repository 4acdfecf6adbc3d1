"""The batch of a step: what is known of it beforehand, and what its sample says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from nntrace.recorder import BatchSample
from nntrace_keras.capture import Capture, Found, Values
from nntrace_keras.losses import loss_facts
from nntrace_keras.sites import SiteKey
from nntrace_keras.under_tape import LossCall

_PREDICTED = 8192  # elements of whole prediction rows that are kept


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What is known of the batch without looking at values."""

    input: SiteKey | None = None
    target: SiteKey | None = None
    output: SiteKey | None = None
    labels: bool = False
    classes: int | None = None
    loss_function: str | None = None
    term_names: tuple[str, ...] = ()
    term_weights: tuple[float, ...] = ()


def terms(capture: Capture, called: Sequence[LossCall]) -> dict[str, Any]:
    """Keep the values of several loss functions whose sum is differentiated."""
    if len(called) < 2 or any(call.value.shape.rank != 0 for call in called):
        return {}
    names = []
    for number, call in enumerate(called):
        function = loss_facts(call.function, tf.convert_to_tensor(call.prediction)).function
        name = f"{function}:{call.output}" if call.output else function
        names.append(name if name not in names else f"{name}.{number}")
        capture.add_scalar(f"term.{number}", call.value)
    weights = tuple(call.weight for call in called)
    return {"term_names": tuple(names), "term_weights": weights}


def batch_sample(step: int, facts: BatchFacts, found: Found, batch_size: int | None) -> BatchSample:
    """The batch of a step, from the samples of its sites."""
    by_site = dict(found.sites)

    def values(site: SiteKey | None) -> Values | None:
        part = by_site.get(site) if site is not None else None
        if part is None:
            return None
        return found.values[part.offset : part.offset + part.layout.size]

    predictions = values(facts.output) if facts.loss_function else None
    if predictions is not None and facts.output is not None:
        units = by_site[facts.output].layout.units
        whole = units == facts.classes
        predictions = predictions.reshape(-1, units if whole else 1)[: _PREDICTED // units + 1]
    parts = found.batch.get("hashes")
    hashes = None
    if parts is not None:
        low, high = parts[0].reshape(-1, 2).astype(np.int64).T
        hashes = (high << 24) | low
    loss = found.batch.get("loss_value")
    return BatchSample(
        step=step,
        phase="train",
        batch_size=batch_size,
        example_hashes=hashes,
        inputs=values(facts.input),
        targets=values(facts.target),
        labels=facts.labels,
        predictions=predictions,
        classes=facts.classes,
        loss_function=facts.loss_function,
        loss_value=None if loss is None else float(loss[0][0]),
        term_names=facts.term_names or None,
        terms=_weighted(facts, found),
    )


def _weighted(facts: BatchFacts, found: Found) -> Values | None:
    if not facts.term_names:
        return None
    values = [found.batch[f"term.{number}"][0][0] for number in range(len(facts.term_names))]
    weighted: Values = np.array(values, np.float32) * np.array(facts.term_weights, np.float32)
    return weighted
