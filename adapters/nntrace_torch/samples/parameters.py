"""Samples parameters, their gradients and the true update Δw = after − before of a step.

The same fixed set of elements is read before and after the optimizer steps, so that the update is
what really happened to the weights, for any optimizer, without a copy of the model.
"""

import weakref
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer

from nntrace.recorder import Layout, Recorder
from nntrace.schema import Role
from nntrace_torch.program.describe import class_name, enclosing, fans, tensor_fields
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.sources import UNKNOWN, Sources
from nntrace_torch.samples.keepsakes import KeptFilters, shows_filters
from nntrace_torch.samples.modules import Models
from nntrace_torch.samples.parameter_sites import (
    NOWHERE,
    UNDECLARED,
    ParameterSites,
    Place,
    part_of,
)
from nntrace_torch.samples.step import StepSample

_ROLES = (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)
_Form = tuple[torch.device, int]  # device, and axes of the sampled view


@dataclass(slots=True)
class _Group:
    """Parameters as they were before the step: their sites and sampled values.

    All on one device and with samples of the same form, so that they are copied in one go.
    """

    parameters: list[torch.Tensor] = field(default_factory=list)
    sites: list[ParameterSites] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)
    views: list[torch.Tensor] = field(default_factory=list)
    places: list[tuple[int, torch.Size]] = field(default_factory=list)
    before: torch.Tensor | None = None
    are_views: bool = True  # and none is a copy, of a parameter whose memory has holes

    def is_in_place(self) -> bool:
        """Whether the parameters still have the memory and the shapes that the views are of."""
        return list(map(_place_of, self.parameters)) == self.places


class ParameterSampler:
    """Looks at the parameters of an optimizer, and at trainable ones that no optimizer holds."""

    def __init__(self, recorder: Recorder, models: Models, sources: Sources) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._sites: dict[int, ParameterSites] = {}
        self._by_path: dict[tuple[str, tuple[int, ...]], ParameterSites] = {}
        self._paths: set[str] = set()
        self._stepped: dict[_Form, _Group] = {}
        self._filters: KeptFilters | None = None

    def declare(self, module: nn.Module) -> None:
        """Declare the sites of a module's own parameters, in execution order."""
        owners = [module]
        if is_parametrized(module) and isinstance(module.parametrizations, nn.Module):
            owners += module.parametrizations.modules()
        for owner in owners:
            for parameter in owner._parameters.values():
                # FSDP lends a module its gathered parameters: they are not what is trained.
                if parameter is None or self._models.parameter(parameter) is None:
                    continue
                if part_of(parameter) is not None:
                    self._of(parameter, NOWHERE)

    def is_held(self, parameter: torch.Tensor, optimizer: str) -> None:
        """Declare that an optimizer was given the parameter, whether or not it steps it yet."""
        if part_of(parameter) is not None:
            self._declare_update(self._of(parameter, NOWHERE), optimizer)

    def stepped(self) -> set[int]:
        """The ids of the parameters that the optimizer is about to step, or has just stepped."""
        return {id(one) for group in self._stepped.values() for one in group.parameters}

    def gradient_sites(self) -> list[int]:
        """The sites of the gradients of the optimizer that is about to step."""
        return [s.gradient for group in self._stepped.values() for s in group.sites]

    def frozen(self, sample: StepSample) -> None:
        """Sample each parameter that is not trained, once: nothing will change it."""
        with torch.no_grad():
            for model in self._models.known:
                for parameter in model.parameters():
                    if parameter.requires_grad or part_of(parameter) is None:
                        continue
                    sites = self._of(parameter, NOWHERE)
                    if not sites.is_wanted or sites.is_known:
                        continue
                    if (found := sites.elements(parameter, sample.limit)) is not None:
                        sites.is_known = True
                        view, layout = found
                        sample.buffer(view.device).add_flat([sites.param], [layout], [view])

    def before_step(self, optimizer: Optimizer, name: str, sample: StepSample) -> None:
        """Sample parameters as they are before the optimizer changes them."""
        with torch.no_grad():
            self._stepped = self._sample_values(_parameters_of(optimizer, name), sample)
            for group in self._stepped.values():
                for sites, parameter in zip(group.sites, group.parameters, strict=True):
                    if sites.update == UNDECLARED:
                        self._declare_update(sites, name, **_settings(optimizer, parameter))
            if self._filters is not None:
                sample.keep(self._filters.keep(sample.step))

    def gradients(self, sample: StepSample, orphans: Iterable[torch.Tensor]) -> None:
        """Sample the gradients the optimizer received, and those of parameters none holds."""
        with torch.no_grad():
            unheld = self._sample_values(((parameter, NOWHERE) for parameter in orphans), sample)
            for group in (*self._stepped.values(), *unheld.values()):
                self._sample_gradients(group, sample)

    def after_step(self, sample: StepSample) -> None:
        """Sample the updates: what the parameters are now, less what they were."""
        with torch.no_grad():
            for (device, _), group in self._stepped.items():
                views = group.views  # an optimizer writes to the memory they are of, as a rule
                if not (group.are_views and group.is_in_place()):
                    members = zip(group.sites, group.parameters, strict=True)
                    after = [s.elements(parameter, sample.limit) for s, parameter in members]
                    found = [one for one in after if one is not None]
                    if [layout for _, layout in found] != group.layouts:
                        continue  # a parameter was resized within the step
                    views = [view for view, _ in found]
                if group.before is None:
                    continue
                sites = [sites.update for sites in group.sites]
                sample.buffer(device).add_flat(sites, group.layouts, views).sub_(group.before)
        self._stepped = {}

    def _sample_values(
        self, parameters: Iterable[tuple[torch.Tensor, Place]], sample: StepSample
    ) -> dict[_Form, _Group]:
        groups: defaultdict[_Form, _Group] = defaultdict(_Group)
        for parameter, fallback in parameters:
            if not parameter.requires_grad:
                continue
            sites = self._sites.get(id(parameter))
            if sites is None or sites.gradient == UNDECLARED or sites.parameter() is not parameter:
                if part_of(parameter) is None:
                    continue
                sites = self._of(parameter, fallback)
            if not sites.is_wanted or (found := sites.elements(parameter, sample.limit)) is None:
                continue
            view, layout = found
            place = _place_of(parameter)
            group = groups[view.device, view.dim()]
            group.parameters.append(parameter)
            group.sites.append(sites)
            group.layouts.append(layout)
            group.views.append(view)
            group.places.append(place)
            group.are_views &= view.data_ptr() == place[0]
        for (device, _), group in groups.items():
            numbers = [sites.param for sites in group.sites]
            group.before = sample.buffer(device).add_flat(numbers, group.layouts, group.views)
        return groups

    def _sample_gradients(self, group: _Group, sample: StepSample) -> None:
        found: defaultdict[_Form, list[tuple[int, Layout, torch.Tensor]]] = defaultdict(list)
        for parameter, sites in zip(group.parameters, group.sites, strict=True):
            gradient = parameter.grad
            if gradient is not None and gradient.is_sparse:
                gradient = gradient._values()  # the rows that were touched; the others are zero
            elements = None if gradient is None else sites.elements(gradient, sample.limit)
            if elements is None:
                sample.add_missing(sites.gradient)
            else:
                view, layout = elements
                found[view.device, view.dim()].append((sites.gradient, layout, view))
        for (device, _), rows in found.items():
            numbers, layouts, views = zip(*rows, strict=True)
            sample.buffer(device).add_flat(numbers, layouts, views)

    def _declare_update(
        self, sites: ParameterSites, optimizer: str, **settings: float | None
    ) -> None:
        if sites.update == UNDECLARED:
            sites.update = self._recorder.add_site(
                sites.path, Role.UPDATE, **sites.fields, optimizer=optimizer, **settings
            )

    def _of(self, parameter: torch.Tensor, fallback: Place) -> ParameterSites:
        sites = self._sites.get(id(parameter))
        if sites is None or sites.parameter() is not parameter:
            sites = self._sites[id(parameter)] = self._declare(parameter, fallback)
        if (
            sites.gradient == UNDECLARED and parameter.requires_grad
        ):  # at first, or once it is unfrozen
            sites.gradient = self._recorder.add_site(sites.path, Role.PARAM_GRAD, **sites.fields)
        return sites

    def _declare(self, parameter: torch.Tensor, fallback: Place) -> ParameterSites:
        found = self._models.owner_of_parameter(parameter)
        path, owner = found if found is not None else (fallback.path, None)
        shape = tuple(parameter.shape)
        earlier = self._by_path.get((path, shape))
        if earlier is not None and (found is not None or earlier.parameter() is None):
            # The parameter took the place of another.
            earlier.parameter = weakref.ref(parameter)
            return earlier
        path = self._unique(path)
        source = self._sources.of(owner) if owner is not None else UNKNOWN
        fields = {
            "module_type": class_name(owner) if owner is not None else "Parameter",
            "parent": enclosing(path, owner),
            **tensor_fields(local_part(parameter), source),
            **fans(parameter, owner),
        }
        if self._filters is None and owner is not None and shows_filters(parameter, owner):
            self._filters = KeptFilters(path, parameter)
        sites = self._by_path[path, shape] = ParameterSites(parameter, path, fields)
        sites.param = self._recorder.add_site(
            path, Role.PARAM, **fields, requires_grad=parameter.requires_grad
        )
        wants = self._recorder.sampling.wants
        sites.is_wanted = any(wants(path, role) for role in _ROLES)
        return sites

    def _unique(self, path: str) -> str:
        """The path, numbered when a parameter of another shape had it before."""
        unique, number = path, 2
        while unique in self._paths:
            unique, number = f"{path}#{number}", number + 1
        self._paths.add(unique)
        return unique


def _parameters_of(optimizer: Optimizer, name: str) -> Iterable[tuple[torch.Tensor, Place]]:
    """An optimizer's parameters, each with a name for the case that no model owns it."""
    for group_number, group in enumerate(optimizer.param_groups):
        for number, parameter in enumerate(group["params"]):
            yield parameter, Place(name, group_number, number)


def _place_of(parameter: torch.Tensor) -> tuple[int, torch.Size]:
    """The memory that a parameter, or this rank's part of it, is in, and its shape."""
    part = local_part(parameter)
    return part.data_ptr(), part.shape


def _settings(optimizer: Optimizer, parameter: torch.Tensor) -> dict[str, float | None]:
    """Learning rate and weight decay of the group that holds a parameter."""
    for group in optimizer.param_groups:
        if any(held is parameter for held in group["params"]):
            found = {name: group.get(name) for name in ("lr", "weight_decay")}
            return {
                name: float(value) if isinstance(value, (int, float)) else None
                for name, value in found.items()
            }
    return {}
