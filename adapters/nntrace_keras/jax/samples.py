"""The sample of a step on JAX: what was seen of it, the parameters before it, and their changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.recorder import BatchSample, Sample, SiteSample
from nntrace.schema import Role
from nntrace_keras.data.batches import BatchFacts, batch_samples
from nntrace_keras.jax.keys import KeyOf
from nntrace_keras.jax.second import Looked
from nntrace_keras.samples.elements import flat_plan
from nntrace_keras.samples.layouts import Found
from nntrace_keras.samples.sites import Sites

Values = npt.NDArray[np.float32]


def elements(arrays: Sequence[Any]) -> list[Values]:
    """The sampled elements of parameters."""
    return [
        flat_plan(tuple(array.shape)).read(np.asarray(array)).astype(np.float32) for array in arrays
    ]


def seen_gradients(keys: Sequence[KeyOf], gradients: Sequence[Any]) -> Looked:
    """What is known of a step of which only its parameters' gradients are."""
    values, sites, offset = [np.zeros(0, np.float32)], [], 0
    for key_of, gradient in zip(keys, gradients, strict=True):
        plan = flat_plan(tuple(gradient.shape))
        values.append(plan.read(np.asarray(gradient)).astype(np.float32))
        sites.append((key_of(Role.PARAM_GRAD), SiteSample(-1, offset, plan.layout)))
        offset += plan.size
    order = [key_of(role) for key_of in keys for role in (Role.PARAM, Role.PARAM_GRAD)]
    return Looked(Found(np.concatenate(values), sites, {}, {}), BatchFacts(), order)


def sample(
    number: int,
    sites: Sites,
    keys: Sequence[tuple[Any, KeyOf]],
    looked: Looked | None,
    before: Sequence[Values],
    after: Sequence[Values],
    batch_size: int | None,
    epoch: int | None,
) -> Sample:
    """What is handed to the recorder.

    Args:
        number: of the step.
        sites: knows their ids.
        keys: the parameters and the keys of their sites.
        looked: what was seen of the step.
        before: the parameters' elements before it.
        after: and after it; empty if that was not one step.
        batch_size: of all examples.
        epoch: the pass over the data that goes on.
    """
    values: list[Values] = []
    parts: list[SiteSample] = []
    offset = 0
    batch: BatchSample | None = None
    further: list[BatchSample] = []
    if looked is not None:
        found, facts, order = looked[:3]
        for site in order:
            sites.id_of(site, found.shapes.get(site, ()))
        values.append(found.values)
        offset = len(found.values)
        parts = [part._replace(site=sites.id_of(site, ())) for site, part in found.sites]
        batch, *further = batch_samples(number, facts, found, batch_size, epoch)
    with np.errstate(invalid="ignore", over="ignore"):  # weights may be infinite
        changes = [new - old for new, old in zip(after, before, strict=False)]
    for role, arrays in ((Role.PARAM, before), (Role.UPDATE, changes)):
        for (variable, key_of), array in zip(keys, arrays, strict=False):
            site_id = sites.id_of(key_of(role), ())
            parts.append(SiteSample(site_id, offset, flat_plan(tuple(variable.shape)).layout))
            values.append(array)
            offset += len(array)
    together = np.concatenate(values) if values else np.zeros(0, np.float32)
    return Sample(number, together, tuple(parts), batch, further_losses=tuple(further))
