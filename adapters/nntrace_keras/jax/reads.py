"""What is read of a training step on JAX that is computed a second time: elements, in order."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from nntrace.recorder import Layout
from nntrace.schema import Role
from nntrace_keras.jax.keys import KeyOf
from nntrace_keras.samples.elements import PHASES, ExamplesPlan, FlatPlan, phases
from nntrace_keras.samples.layouts import Layouts, Part
from nntrace_keras.samples.sites import SiteKey

_MAX_HASHED = 4096  # examples
_LOW = (1 << 24) - 1
_MOST_AXES = 8


@dataclass(slots=True)
class Read:
    """What is read of one tensor.

    Attributes:
        site: whose it is; None for a value of the batch.
        name: of that value.
    """

    site: SiteKey | None
    name: str
    plan: ExamplesPlan | FlatPlan
    tensor: Any


def phases_of(turn: int) -> Any:
    """int32: by what the places that are read move along each axis."""
    return np.array(phases(turn, _MOST_AXES), np.int32)


def read_elements(read: Read, moved: Any) -> Any:
    """float32 [plan.size]."""
    plan, tensor = read.plan, read.tensor
    if isinstance(plan, FlatPlan):
        return plan.read(tensor).astype(jnp.float32)
    if plan.unit_axis is not None:
        tensor = jnp.transpose(tensor, [*plan.axes, plan.unit_axis])
    for axis, (count, size) in enumerate(zip(plan.counts, plan.sizes, strict=True)):
        if count != size and size is not None:
            # All shapes are known: no place is read twice, and none need be as on the host.
            first = np.arange(count, dtype=np.int64) * size // count
            offset = moved[axis] * size // (PHASES * count)
            tensor = jnp.take(tensor, first.astype(np.int32) + offset, axis=axis)
    if plan.unit_axis is not None and plan.units < tensor.shape[-1]:
        tensor = tensor[..., : plan.units * plan.unit_step : plan.unit_step]
    return tensor.reshape(-1).astype(jnp.float32)


def layouts(reads: Sequence[Read]) -> Layouts:
    """Where each of them lies in all their elements, one after another."""
    parts, offset = [], 0
    for read in reads:
        parts.append(Part(read.site, read.name, read.plan, offset, 0))
        offset += read.plan.size
    return Layouts(tuple(parts), ())


def in_order(reads: Sequence[Read], keys: Sequence[KeyOf]) -> list[SiteKey]:
    """All sites as the step meets them: a layer's parameters before its output."""
    params = [key_of(Role.PARAM) for key_of in keys]
    gradients = [key_of(Role.PARAM_GRAD) for key_of in keys]
    order: list[SiteKey] = []
    for site in (read.site for read in reads):
        if site is None or site.role is Role.PARAM_GRAD:
            continue
        if site.role is Role.ACTIVATION:
            for param, gradient in zip(params, gradients, strict=True):
                if param.parent == site.path:
                    order += [param, gradient]
        order.append(site)
    return order


def example_hashes(examples: Any) -> list[int]:
    """A hash of 48 bits of each of the first examples."""
    rows = np.asarray(examples[:_MAX_HASHED])
    digests = (hashlib.blake2b(row.tobytes(), digest_size=6).digest() for row in rows)
    return [int.from_bytes(digest, "little") for digest in digests]


def hashes(examples: Any) -> tuple[Any, Layout]:
    """The low and the high 24 bits of a hash of each example, which float32 holds exactly."""
    found = example_hashes(examples)
    numbers = [half for one in found for half in (one & _LOW, one >> 24)]
    return np.array(numbers, np.float32), Layout(1, 1, len(numbers), per_unit=False)
