"""Samples parameters, their gradients and the true update Δw = after − before of a step.

The same fixed set of elements is read before and after the optimizer steps, so that the update is
what really happened to the weights, for any optimizer, without a copy of the model.
"""

import weakref
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import NO_SITE, Layout, Recorder
from nntrace.schema import Role
from nntrace_torch.describe import can_sample, class_name, fans, tensor_fields
from nntrace_torch.keepsakes import KeptFilters, shows_filters
from nntrace_torch.modules import Models
from nntrace_torch.plans import fixed_plan
from nntrace_torch.ranks import local_part
from nntrace_torch.sources import UNKNOWN, Sources
from nntrace_torch.step import StepSample

_ROLES = (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)
_Form = tuple[torch.device, int]  # device, and axes of the sampled view


class _Place(NamedTuple):
    """Where an optimizer holds a parameter."""

    optimizer: str
    group: int
    number: int

    @property
    def path(self) -> str:
        """The name of a parameter that no model owns."""
        return f"{self.optimizer}.group{self.group}.{self.number}" if self.optimizer else ""


_NOWHERE = _Place("", 0, 0)


class _ParameterSites:
    """The sites of one parameter."""

    __slots__ = ("fields", "gradient", "is_wanted", "param", "parameter", "path", "update")

    def __init__(self, parameter: torch.Tensor, path: str, fields: dict[str, object]) -> None:
        self.parameter = weakref.ref(parameter)
        self.path = path
        self.fields = fields
        self.is_wanted = True
        self.param = NO_SITE
        self.gradient = NO_SITE
        self.update: int | None = None  # declared when the parameter is first stepped


@dataclass(slots=True)
class _Group:
    """Parameters as they were before the step: their sites and sampled values.

    All on one device and with samples of the same form, so that they are copied in one go.
    """

    parameters: list[torch.Tensor] = field(default_factory=list)
    sites: list[_ParameterSites] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)
    views: list[torch.Tensor] = field(default_factory=list)
    before: torch.Tensor | None = None


class ParameterSampler:
    """Looks at the parameters of an optimizer, and at trainable ones that no optimizer holds."""

    def __init__(self, recorder: Recorder, models: Models, sources: Sources) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._sites: dict[int, _ParameterSites] = {}
        self._stepped: dict[_Form, _Group] = {}
        self._filters: KeptFilters | None = None

    def declare(self, module: nn.Module) -> None:
        """Declare the sites of a module's own trainable parameters, in execution order."""
        for parameter in module._parameters.values():
            if parameter is None or not (parameter.requires_grad and can_sample(parameter)):
                continue
            # FSDP lends a module its gathered parameters: they are not what is trained.
            if self._models.parameter(parameter) is not None:
                self._of(parameter, _NOWHERE)

    def before_step(self, optimizer: Optimizer, sample: StepSample) -> None:
        """Sample parameters as they are before the optimizer changes them."""
        with torch.no_grad():
            self._stepped = self._sample_values(_parameters_of(optimizer), sample)
            if self._filters is not None:
                sample.keep(self._filters.keep(sample.step))

    def gradients(self, sample: StepSample, orphans: Iterable[torch.Tensor]) -> None:
        """Sample the gradients the optimizer received, and those of parameters none holds."""
        with torch.no_grad():
            unheld = self._sample_values(((parameter, _NOWHERE) for parameter in orphans), sample)
            for group in (*self._stepped.values(), *unheld.values()):
                self._sample_gradients(group, sample)

    def after_step(self, sample: StepSample) -> None:
        """Sample the updates: what the parameters are now, less what they were."""
        with torch.no_grad():
            for (device, _), group in self._stepped.items():
                after = [_elements(parameter, sample.limit) for parameter in group.parameters]
                if group.before is None or [layout for _, layout in after] != group.layouts:
                    continue  # a parameter was resized within the step
                views = [view for view, _ in after]
                sites = [self._update_site(sites) for sites in group.sites]
                sample.buffer(device).add_flat(sites, group.layouts, views).sub_(group.before)
        self._stepped = {}

    def _sample_values(
        self, parameters: Iterable[tuple[torch.Tensor, _Place]], sample: StepSample
    ) -> dict[_Form, _Group]:
        groups: defaultdict[_Form, _Group] = defaultdict(_Group)
        for parameter, fallback in parameters:
            if parameter.requires_grad and can_sample(local_part(parameter)):
                sites = self._of(parameter, fallback)
                if not sites.is_wanted:
                    continue
                view, layout = _elements(parameter, sample.limit)
                group = groups[parameter.device, view.dim()]
                group.parameters.append(parameter)
                group.sites.append(sites)
                group.layouts.append(layout)
                group.views.append(view)
        for (device, _), group in groups.items():
            numbers = [sites.param for sites in group.sites]
            group.before = sample.buffer(device).add_flat(numbers, group.layouts, group.views)
            group.views = []
        return groups

    def _sample_gradients(self, group: _Group, sample: StepSample) -> None:
        found: defaultdict[_Form, list[tuple[int, Layout, torch.Tensor]]] = defaultdict(list)
        for parameter, sites in zip(group.parameters, group.sites, strict=True):
            gradient = parameter.grad
            if gradient is not None and gradient.is_sparse:
                gradient = gradient._values()  # the rows that were touched; the others are zero
            if gradient is None or not can_sample(local_part(gradient)):
                sample.add_missing(sites.gradient)
            else:
                view, layout = _elements(gradient, sample.limit)
                found[view.device, view.dim()].append((sites.gradient, layout, view))
        for (device, _), rows in found.items():
            numbers, layouts, views = zip(*rows, strict=True)
            sample.buffer(device).add_flat(numbers, layouts, views)

    def _update_site(self, sites: _ParameterSites) -> int:
        if sites.update is None:
            sites.update = self._recorder.add_site(sites.path, Role.UPDATE, **sites.fields)
        return sites.update

    def _of(self, parameter: torch.Tensor, fallback: _Place) -> _ParameterSites:
        sites = self._sites.get(id(parameter))
        if sites is not None and sites.parameter() is parameter:
            return sites
        found = self._models.owner_of_parameter(parameter)
        path, owner = found if found is not None else (fallback.path, None)
        source = self._sources.of(owner) if owner is not None else UNKNOWN
        fields = {
            "module_type": class_name(owner) if owner is not None else "Parameter",
            "parent": path.rpartition(".")[0],
            **tensor_fields(local_part(parameter), source),
            **fans(parameter, owner),
        }
        if self._filters is None and owner is not None and shows_filters(parameter, owner):
            self._filters = KeptFilters(path, parameter)
        sites = self._sites[id(parameter)] = _ParameterSites(parameter, path, fields)
        sites.param = self._recorder.add_site(path, Role.PARAM, **fields)
        sites.gradient = self._recorder.add_site(path, Role.PARAM_GRAD, **fields)
        wants = self._recorder.sampling.wants
        sites.is_wanted = any(wants(path, role) for role in _ROLES)
        return sites


def _parameters_of(optimizer: Optimizer) -> Iterable[tuple[torch.Tensor, _Place]]:
    """An optimizer's parameters, each with a name for the case that no model owns it."""
    name = type(optimizer).__name__
    for group_number, group in enumerate(optimizer.param_groups):
        for number, parameter in enumerate(group["params"]):
            yield parameter, _Place(name, group_number, number)


def _elements(tensor: torch.Tensor, limit: int) -> tuple[torch.Tensor, Layout]:
    """The fixed sample of a tensor and its layout; a copy only when its memory has holes.

    Of a tensor spread over ranks the part that is here. To be called without gradient recording.
    """
    tensor = local_part(tensor)
    plan = fixed_plan(tensor.shape, tensor.stride(), limit)
    if plan is None:
        tensor = tensor.contiguous().reshape(-1)
        plan = fixed_plan(tensor.shape, tensor.stride(), limit)
        assert plan is not None
    return plan.view(tensor, 0), plan.layout
