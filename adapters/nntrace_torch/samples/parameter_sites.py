"""The sites of one parameter, and which of its elements, its gradient's and its update's are taken.

They are the same elements every time.
"""

import weakref
from typing import NamedTuple

import torch

from nntrace.recorder import NO_SITE, Layout
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.tensors import sampled_part
from nntrace_torch.samples.plans import Plan, fixed_plan

UNDECLARED = NO_SITE - 1


class Place(NamedTuple):
    """The place of a parameter in an optimizer."""

    optimizer: str
    group: int
    number: int

    @property
    def path(self) -> str:
        """The name of a parameter that no model owns."""
        return f"{self.optimizer}.group{self.group}.{self.number}" if self.optimizer else ""


NOWHERE = Place("", 0, 0)


class ParameterSites:
    """The sites of one parameter.

    Attributes:
        parameter: a weak reference to it.
        path: its name.
        fields: the columns that its sites have in common.
        is_wanted: whether any of them is to be recorded.
        is_known: whether its values were recorded, once, while it is frozen.
        param: the site of its values.
        gradient: that of its gradient; `UNDECLARED` until it is trainable.
        update: that of its updates; `UNDECLARED` until an optimizer holds it.
    """

    __slots__ = (
        "fields",
        "gradient",
        "is_known",
        "is_wanted",
        "param",
        "parameter",
        "path",
        "update",
    )

    def __init__(self, parameter: torch.Tensor, path: str, fields: dict[str, object]) -> None:
        self.parameter = weakref.ref(parameter)
        self.path = path
        self.fields = fields
        self.is_wanted = True
        self.is_known = False
        self.param = NO_SITE
        self.gradient = UNDECLARED
        self.update = UNDECLARED


def part_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """The part of a parameter or gradient that is sampled: if sharded, this rank's shard."""
    return sampled_part(local_part(tensor))


def elements_of(tensor: torch.Tensor, limit: int) -> tuple[torch.Tensor, Layout] | None:
    """The sample of a parameter, or of its gradient; None of what cannot be sampled.

    A copy only when its memory has holes. To be called without gradient recording.
    """
    part = part_of(tensor)
    if part is None:
        return None
    part, plan = planned(part, limit)
    return part.as_strided(plan.size, plan.strides[0], part.storage_offset()), plan.layout


def planned(part: torch.Tensor, limit: int) -> tuple[torch.Tensor, Plan]:
    """Which elements are sampled of a detached tensor, or of a copy when its memory has holes."""
    plan = fixed_plan(part.shape, part.stride(), limit)
    if plan is None:
        part = part.contiguous().reshape(-1)
        plan = fixed_plan(part.shape, part.stride(), limit)
        assert plan is not None
    return part, plan
