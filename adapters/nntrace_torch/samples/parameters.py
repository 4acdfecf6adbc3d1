"""Samples parameters, their gradients and the true update Δw = after − before of a step.

The same fixed set of elements is read before and after the optimizer steps, so that the update is
what really happened to the weights, for any optimizer, without a copy of the model.
"""

import weakref
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_torch.optimizer.replaced import Leaves, renamed
from nntrace_torch.program.describe import class_name, enclosing, fans, tensor_fields
from nntrace_torch.program.module_tree import modules_of
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.sources import UNKNOWN, Sources
from nntrace_torch.samples.keepsakes import KeptFilters, shows_filters
from nntrace_torch.samples.modules import Models
from nntrace_torch.samples.parameter_plan import Group, ParameterPlan, member_of
from nntrace_torch.samples.parameter_sites import (
    NOWHERE,
    UNDECLARED,
    ParameterSites,
    Place,
    elements_of,
    part_of,
)
from nntrace_torch.samples.rows import Rows
from nntrace_torch.samples.step import StepSample

_MOST_ADDED = 1 << 22  # elements of a sparse gradient, 16 MiB
_ROLES = (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)


class SampledGradients(NamedTuple):
    """What was sampled of the gradients that an optimizer is about to act on.

    Attributes:
        samples: elements of them, in the sample's buffer.
        others: gradients for which those do not stand.
    """

    samples: list[torch.Tensor]
    others: list[torch.Tensor]


class _Taken(NamedTuple):
    """A group of parameters as they were before the step, and the room that holds their samples."""

    group: Group
    parameters: list[torch.Tensor]
    views: list[torch.Tensor]
    places: list[tuple[int, torch.Size]] | None
    before: torch.Tensor


class ParameterSampler:
    """Looks at the parameters of an optimizer, and at trainable ones that no optimizer holds."""

    def __init__(self, recorder: Recorder, models: Models, sources: Sources) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._sites: dict[int, ParameterSites] = {}
        self._by_path: dict[tuple[str, tuple[int, ...]], ParameterSites] = {}
        self._paths: set[str] = set()
        self._plans: weakref.WeakKeyDictionary[Optimizer, ParameterPlan]
        self._plans = weakref.WeakKeyDictionary()
        self._stepped: list[_Taken] = []
        self._left_out: list[torch.Tensor] = []
        self._filters: KeptFilters | None = None

    def declare(self, module: nn.Module) -> None:
        """Declare the sites of a module's own parameters, in execution order."""
        owners = [module]
        if is_parametrized(module) and isinstance(module.parametrizations, nn.Module):
            owners += modules_of(module.parametrizations)
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
        return {id(one) for taken in self._stepped for one in taken.parameters}

    def gradient_sites(self) -> list[int]:
        """The sites of the gradients of the optimizer that is about to step."""
        return [s.gradient for taken in self._stepped for s in taken.group.sites]

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
                    if (found := elements_of(parameter, sample.limit)) is not None:
                        sites.is_known = True
                        view, layout = found
                        sample.buffer(view.device).add_flat(Rows([sites.param], [layout]), [view])

    def before_step(self, optimizer: Optimizer, name: str, sample: StepSample) -> None:
        """Sample parameters as they are before the optimizer changes them."""
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        with torch.no_grad():
            plan = self._plans.get(optimizer)
            if plan is None or not plan.fits(held, sample.limit):
                plan = self._plan(list(zip(held, _places(optimizer, name), strict=True)), sample)
                self._plans[optimizer] = plan
                for group in plan.groups:
                    self._declare_updates(group, held, optimizer, name)
            self._stepped = _take(plan, held, sample)
            self._left_out = [held[place] for place in plan.left_out]
            if self._filters is not None:
                sample.keep(self._filters.keep(sample.step))

    def gradients(self, sample: StepSample, orphans: Sequence[torch.Tensor]) -> SampledGradients:
        """Sample the gradients the optimizer received, and those of parameters none holds."""
        left_out = [p.grad for p in self._left_out if p.grad is not None]
        found = SampledGradients([], left_out)
        with torch.no_grad():
            for taken in self._stepped:
                _sample_gradients(taken, sample, found)
            if orphans:
                plan = self._plan([(parameter, NOWHERE) for parameter in orphans], sample)
                for taken in _take(plan, orphans, sample):
                    _sample_gradients(taken, sample, SampledGradients([], []))
        return found

    def after_step(self, sample: StepSample) -> None:
        """Sample the updates: the parameters' values after the step minus those before."""
        with torch.no_grad():
            for group, parameters, views, places, before in self._stepped:
                # An optimizer writes to the memory the views are of, as a rule.
                is_in_place = places is not None and places == group.places_of(parameters)
                after = views if is_in_place else group.views_anew(parameters)
                if after is not None:
                    sample.buffer(before.device).add_flat(group.updates, after).sub_(before)
        self._stepped, self._left_out = [], []

    def replaced(self, old: Leaves, new: Mapping[int, torch.Tensor]) -> None:
        """Give the sites of parameters that the step under way replaced to the new ones.

        Args:
            old: the parameters before.
            new: by its place in `old`, the parameter that took the place of another.
        """
        by_id = {id(before): new[place] for place in new if (before := old[place]) is not None}
        for identity, parameter in by_id.items():
            sites = self._sites.pop(identity, None)
            if sites is not None:
                sites.parameter = weakref.ref(parameter)
                self._sites[id(parameter)] = sites
        self._stepped = [
            taken._replace(parameters=renamed(taken.parameters, by_id)) for taken in self._stepped
        ]

    def _plan(
        self, held: Sequence[tuple[torch.Tensor, Place]], sample: StepSample
    ) -> ParameterPlan:
        members = []
        for place, (parameter, fallback) in enumerate(held):
            if not parameter.requires_grad or (part := part_of(parameter)) is None:
                continue
            sites = self._of(parameter, fallback)
            if sites.is_wanted:
                members.append(member_of(place, parameter, part, sites, sample.limit))
        return ParameterPlan([parameter for parameter, _ in held], members, sample.limit)

    def _declare_updates(
        self, group: Group, held: Sequence[torch.Tensor], optimizer: Optimizer, name: str
    ) -> None:
        for sites, place in zip(group.sites, group.places, strict=True):
            if sites.update == UNDECLARED:
                self._declare_update(sites, name, **_settings(optimizer, held[place]))

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
        # At first, or once it is unfrozen.
        if sites.gradient == UNDECLARED and parameter.requires_grad:
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
            self._plans.clear()
            return earlier
        path = self._unique(path)
        source = self._sources.of(owner) if owner is not None else UNKNOWN
        library = self._sources.library_object(owner) if owner is not None else None
        fields = {
            "module_type": class_name(owner) if owner is not None else "Parameter",
            "parent": enclosing(path, owner),
            **tensor_fields(local_part(parameter), source),
            **(fans(parameter, owner) if _is_own(parameter, owner, path) else {}),
            "library_object": library,
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
        """The path, with a number if a parameter of another shape had it before."""
        unique, number = path, 2
        while unique in self._paths:
            unique, number = f"{path}#{number}", number + 1
        self._paths.add(unique)
        return unique


def _is_own(parameter: torch.Tensor, owner: nn.Module | None, path: str) -> bool:
    """Whether it is as large as its module's: it may hold those of several models."""
    name = path.rpartition(".")[2]
    held = () if owner is None else owner._parameters.items()
    return all(own is None or of != name or own.shape == parameter.shape for of, own in held)


def _places(optimizer: Optimizer, name: str) -> list[Place]:
    """Where an optimizer holds its parameters, for the case that no model owns them."""
    return [
        Place(name, group_number, number)
        for group_number, group in enumerate(optimizer.param_groups)
        for number in range(len(group["params"]))
    ]


def _take(plan: ParameterPlan, held: Sequence[torch.Tensor], sample: StepSample) -> list[_Taken]:
    """Sample the values of parameters."""
    taken = []
    for group in plan.groups:
        parameters = [held[place] for place in group.places]
        places, views = group.places_of(parameters), group.views(parameters)
        if views is not None:
            before = sample.buffer(views[0].device).add_flat(group.values, views)
            taken.append(_Taken(group, parameters, views, places, before))
    return taken


def _sample_gradients(taken: _Taken, sample: StepSample, found: SampledGradients) -> None:
    """Sample the gradients of a group, and remember the samples."""
    group, parameters = taken.group, taken.parameters
    views, without = group.gradient_views(parameters)
    if views:
        buffer = sample.buffer(views[0].device)
        found.samples.append(buffer.add_flat(group.gradient_rows(without), views))
    for number in without:
        gradient, site = parameters[number].grad, group.sites[number].gradient
        if gradient is None:
            sample.add_missing(site)
            continue
        found.others.append(gradient)
        if gradient.is_sparse:
            gradient = _touched_rows(gradient)
        elements = elements_of(gradient, sample.limit)
        if elements is None:
            sample.add_missing(site)
        else:
            view, layout = elements
            sample.buffer(view.device).add_flat(Rows([site], [layout]), [view])
    for number in group.unmet:
        gradient = parameters[number].grad
        if gradient is not None:
            found.others.append(gradient)


def _touched_rows(gradient: torch.Tensor) -> torch.Tensor:
    """The rows of a sparse gradient that are not zero.

    A row that was touched several times is in it as often, and optimizers add its parts up. Of a
    very large gradient the parts are returned as they are: their sum takes as much memory again.
    """
    is_small = gradient._values().numel() <= _MOST_ADDED
    return (gradient.coalesce() if is_small else gradient)._values()


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
