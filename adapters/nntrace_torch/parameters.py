"""Samples parameters, their gradients and the true update Δw = after − before of a step.

The same fixed set of elements is read before and after the optimizer steps, so that the update is
what really happened to the weights, for any optimizer, without a copy of the model.
"""

import weakref
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import Layout, Recorder
from nntrace.schema import Role
from nntrace_torch.describe import can_sample, fans, tensor_fields
from nntrace_torch.modules import Models
from nntrace_torch.plans import fixed_plan
from nntrace_torch.sources import UNKNOWN, Sources
from nntrace_torch.step import StepSample


class _ParameterSites:
    """The sites of one parameter."""

    __slots__ = ("gradient", "param", "parameter", "update")

    def __init__(self, parameter: torch.Tensor, param: int, gradient: int) -> None:
        self.parameter = weakref.ref(parameter)
        self.param = param
        self.gradient = gradient
        self.update = -1


class ParameterSampler:
    """Looks at the parameters of an optimizer, and at trainable ones that no optimizer holds."""

    def __init__(self, recorder: Recorder, models: Models, sources: Sources) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._sites: dict[int, _ParameterSites] = {}
        self._fields: dict[int, tuple[str, dict[str, object]]] = {}
        self._before: list[tuple[torch.Tensor, _ParameterSites, torch.Tensor, Layout]] = []

    def declare(self, module: nn.Module) -> None:
        """Declare the sites of a module's own trainable parameters, in execution order."""
        for parameter in module._parameters.values():
            if parameter is not None and parameter.requires_grad and can_sample(parameter):
                self._of(parameter, "")

    def before_step(self, optimizer: Optimizer, sample: StepSample) -> None:
        """Sample parameters as they are before the optimizer changes them."""
        self._before = []
        for parameter, fallback in _parameters_of(optimizer):
            if not parameter.requires_grad or not can_sample(parameter):
                continue
            sites = self._of(parameter, fallback)
            view, layout = _elements(parameter, sample.limit)
            kept = sample.add(sites.param, layout, view)
            self._before.append((parameter, sites, kept, layout))

    def gradients(self, sample: StepSample, orphans: Iterable[torch.Tensor]) -> None:
        """Sample the gradients the optimizer received, and those of parameters none holds."""
        for parameter, sites, _, _ in self._before:
            self._gradient(parameter, sites, sample)
        for parameter in orphans:
            if can_sample(parameter):
                sites = self._of(parameter, "")
                view, layout = _elements(parameter, sample.limit)
                sample.add(sites.param, layout, view)
                self._gradient(parameter, sites, sample)

    def after_step(self, sample: StepSample) -> None:
        """Sample the updates."""
        for parameter, sites, before, layout in self._before:
            if sites.update < 0:
                path, fields = self._fields[sites.param]
                sites.update = self._recorder.add_site(path, Role.UPDATE, **fields)
            view, now = _elements(parameter, sample.limit)
            if now == layout:
                sample.add(sites.update, layout, view).sub_(before)
        self._before = []

    def _gradient(
        self, parameter: torch.Tensor, sites: _ParameterSites, sample: StepSample
    ) -> None:
        gradient = parameter.grad
        if gradient is not None and gradient.is_sparse:
            gradient = gradient._values()  # the rows that were touched; the others are zero
        if gradient is None or not can_sample(gradient):
            sample.add_missing(sites.gradient)
        else:
            view, layout = _elements(gradient, sample.limit)
            sample.add(sites.gradient, layout, view)

    def _of(self, parameter: torch.Tensor, fallback: str) -> _ParameterSites:
        sites = self._sites.get(id(parameter))
        if sites is not None and sites.parameter() is parameter:
            return sites
        found = self._models.parameter(parameter)
        if found is None:
            self._models.refresh()
            found = self._models.parameter(parameter)
        path, owner = found if found is not None else (fallback, None)
        fields = {
            "module_type": type(owner).__name__ if owner is not None else "Parameter",
            "parent": path.rpartition(".")[0],
            **tensor_fields(parameter, self._sources.of(owner) if owner is not None else UNKNOWN),
            **fans(parameter, owner),
        }
        param = self._recorder.add_site(path, Role.PARAM, **fields)
        gradient = self._recorder.add_site(path, Role.PARAM_GRAD, **fields)
        self._fields[param] = (path, fields)
        sites = self._sites[id(parameter)] = _ParameterSites(parameter, param, gradient)
        return sites


def _parameters_of(optimizer: Optimizer) -> Iterable[tuple[torch.Tensor, str]]:
    """An optimizer's parameters, each with a name for the case that no model owns it."""
    name = type(optimizer).__name__
    for group_number, group in enumerate(optimizer.param_groups):
        for number, parameter in enumerate(group["params"]):
            yield parameter, f"{name}.group{group_number}.{number}"


def _elements(tensor: torch.Tensor, limit: int) -> tuple[torch.Tensor, Layout]:
    """The fixed sample of a tensor and its layout; a copy only when its memory has holes."""
    detached = tensor.detach()
    plan = fixed_plan(tuple(tensor.shape), tensor.stride(), limit)
    if plan is None:
        flat = detached.reshape(-1)
        plan = fixed_plan(tuple(flat.shape), flat.stride(), limit)
        assert plan is not None
        detached = flat
    return plan.view(detached, 0), plan.layout
