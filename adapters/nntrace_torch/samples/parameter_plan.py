"""How the parameters of one optimizer are sampled: found out once, then replayed.

A plan holds for the very parameters it was made for, laid out and trained as they were; for others
a new one is made. Between samples it keeps no tensor alive.
"""

import weakref
from collections.abc import Sequence
from operator import is_
from typing import NamedTuple

import torch
from torch import nn

from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.parameter_sites import ParameterSites, elements_of, planned
from nntrace_torch.samples.plans import Plan, meets_all
from nntrace_torch.samples.rows import Rows

_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


class Form(NamedTuple):
    """What the members of a group have in common: they are copied in one go.

    `is_view` says whether a sample is a view of the parameter's own memory.
    """

    device: torch.device
    dtype: torch.dtype
    axes: int
    is_view: bool


class Member(NamedTuple):
    """A trained parameter of a plan: its place in the optimizer, and its sampled elements."""

    place: int
    sites: ParameterSites
    shape: torch.Size
    strides: tuple[int, ...]
    plan: Plan


def member_of(
    place: int, parameter: torch.Tensor, part: torch.Tensor, sites: ParameterSites, limit: int
) -> tuple[Form, Member]:
    """The member for a parameter, of which `part` is sampled."""
    whole, plan = planned(part, limit)
    is_plain = type(parameter) is nn.Parameter or type(parameter) is torch.Tensor
    is_view = is_plain and whole is part and part.dtype is parameter.dtype
    form = Form(part.device, part.dtype, len(plan.size), is_view)
    return form, Member(place, sites, part.shape, part.stride(), plan)


class Group:
    """Members of one form.

    Attributes:
        places: where the optimizer holds them.
        sites: the sites of each.
        values: where the samples of their values go.
        unmet: the numbers of those of which the sample leaves out whole rows or columns.
    """

    def __init__(self, form: Form, members: Sequence[Member], limit: int) -> None:
        self._form = form
        self._limit = limit
        self.sites = [member.sites for member in members]
        self.places = [member.place for member in members]
        self._laid_out = [(m.shape, m.strides, m.plan.size, m.plan.strides[0]) for m in members]
        self._layouts = [member.plan.layout for member in members]
        self.values = Rows([sites.param for sites in self.sites], self._layouts)
        self.unmet = [i for i, m in enumerate(members) if not meets_all(m.shape, m.strides, limit)]
        self._without: list[int] | None = None
        self._gradients = self._updates = self.values

    def views(self, parameters: Sequence[torch.Tensor]) -> list[torch.Tensor] | None:
        """The sampled elements of the members; None when one has been resized."""
        if self._form.is_view:
            pairs = zip(parameters, self._laid_out, strict=True)
            return [p.as_strided(size, by, p.storage_offset()) for p, (_, _, size, by) in pairs]
        return self.views_anew(parameters)

    def views_anew(self, parameters: Sequence[torch.Tensor]) -> list[torch.Tensor] | None:
        """The sampled elements of the members, found anew wherever their memory is now."""
        elements = [elements_of(parameter, self._limit) for parameter in parameters]
        found = [one for one in elements if one is not None]
        if [layout for _, layout in found] != self._layouts:
            return None
        return [view for view, _ in found]

    def places_of(self, parameters: Sequence[torch.Tensor]) -> list[tuple[int, torch.Size]] | None:
        """The addresses of the views' memory; None where samples are copies."""
        return [(p.data_ptr(), p.shape) for p in parameters] if self._form.is_view else None

    def gradient_views(
        self, parameters: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[int]]:
        """The samples of gradients laid out as their parameters, and the numbers of the others."""
        views, without = [], []
        device, dtype, _, is_view = self._form
        for number, parameter in enumerate(parameters):
            gradient = parameter.grad
            shape, strides, size, by = self._laid_out[number]
            if (
                type(gradient) is torch.Tensor
                and gradient.dtype is dtype
                and gradient.shape == shape
                and gradient.layout is torch.strided
                and gradient.stride() == strides
                and gradient.device == device
                and is_view
                and not _is_wrapped(gradient)
            ):
                views.append(gradient.as_strided(size, by, gradient.storage_offset()))
            else:
                without.append(number)
        return views, without

    @property
    def updates(self) -> Rows:
        """The sites of the members' updates, which have been declared by now."""
        if self._updates is self.values:
            self._updates = Rows([sites.update for sites in self.sites], self._layouts)
        return self._updates

    def gradient_rows(self, without: list[int]) -> Rows:
        """The sites of the members' gradients, without those of some members."""
        if without != self._without:
            self._without = without
            left = [number for number in range(len(self.sites)) if number not in without]
            sites = [self.sites[number].gradient for number in left]
            self._gradients = Rows(sites, [self._layouts[number] for number in left])
        return self._gradients


class ParameterPlan:
    """How parameters that are held together are sampled.

    Attributes:
        groups: those that are trained and to be recorded.
        left_out: where the others are.
    """

    def __init__(
        self, held: Sequence[torch.Tensor], members: Sequence[tuple[Form, Member]], limit: int
    ) -> None:
        self._limit = limit
        self._references = [weakref.ref(parameter) for parameter in held]
        # What can change about the others is asked for each time.
        self._lasts = all(map(can_sample, held))
        self._facts = _facts(held) if self._lasts else []
        by_form: dict[Form, list[Member]] = {}
        for form, member in members:
            by_form.setdefault(form, []).append(member)
        self.groups = [Group(form, of, limit) for form, of in by_form.items()]
        sampled = {member.place for _, member in members}
        self.left_out = [place for place in range(len(held)) if place not in sampled]

    def fits(self, held: Sequence[torch.Tensor], limit: int) -> bool:
        """Whether the plan still holds for these parameters."""
        return (
            self._lasts
            and limit == self._limit
            and len(held) == len(self._references)
            and all(map(is_, held, [reference() for reference in self._references]))
            and _facts(held) == self._facts
        )


def _facts(held: Sequence[torch.Tensor]) -> list[tuple[object, ...]]:
    return [(p.requires_grad, p.dtype, p.device, p.shape, p.stride()) for p in held]
