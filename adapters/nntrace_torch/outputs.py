"""Samples outputs of modules and the gradients that arrive at them, of those that are due."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import unserializable_hook

from nntrace.recorder import NO_SITE, Recorder
from nntrace_torch.describe import sampled_part
from nntrace_torch.module_sites import ModuleSites
from nntrace_torch.running_norms import RunningNorms
from nntrace_torch.sources import Sources
from nntrace_torch.step import StepSample
from nntrace_torch.waiting import Alike, Seen, Waiting, can_wait, may_be_held


class _NormCall(NamedTuple):
    """A call of a batch norm; `version` is that of what entered it."""

    path: str
    module: _BatchNorm
    args: tuple[Any, ...]
    version: int
    sample: StepSample


class OutputSampler:
    """Copies outputs and gradients into the sample, at once or with others."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._norms = RunningNorms(recorder, sources)
        self._norm_calls: list[_NormCall] = []
        self._backward = recorder.guard(self._gradient)
        self._outputs = Waiting(self._copy_outputs)
        self._gradients = Waiting(self._copy_gradients)
        self.current: StepSample | None = None

    def output(
        self,
        sites: ModuleSites,
        sample: StepSample,
        tensor: torch.Tensor,
        part: torch.Tensor,
        units_before: tuple[int, int] | None,
        *,
        may_wait: bool,
    ) -> None:
        """Sample an output at once; `part` is what is sampled of it."""
        plan = sites.plan_for(part, sample.limit, units_before)
        if sites.token != sample.token:
            sites.token = sample.token
            sites.turn += 1
            if sites.activation != NO_SITE:
                sample.add(sites.activation, plan, part)
        self._await(sites, sample, tensor)
        if may_wait and sites.lasts is None and can_wait(tensor):
            seen = Seen(sites, sample, tensor, tensor._version, is_copied=True)
            self._outputs.add(seen, sites.nbytes)

    def later(
        self,
        sites: ModuleSites,
        sample: StepSample,
        tensor: torch.Tensor,
        units_before: tuple[int, int] | None,
    ) -> None:
        """Note an output that will be the same for a while."""
        sites.token = sample.token
        sites.turn += 1
        seen = Seen(sites, sample, tensor, tensor._version, False, units_before)
        self._outputs.add(seen, sites.nbytes)

    def norm(
        self, path: str, module: _BatchNorm, args: tuple[Any, ...], sample: StepSample
    ) -> None:
        """A batch norm was called; its output was taken."""
        entered = args[0] if args else None
        if isinstance(entered, torch.Tensor) and can_wait(entered):
            self._norm_calls.append(_NormCall(path, module, args, entered._version, sample))
        else:
            self._norms.observe(path, module, args, sample)

    def copy(self) -> None:
        """Copy the outputs that were noted: the forward pass is over."""
        self._outputs.copy()
        if self._norm_calls:
            calls, self._norm_calls = self._norm_calls, []
            for path, module, args, version, sample in calls:
                if args[0]._version == version:
                    self._norms.observe(path, module, args, sample)

    def settle(self) -> None:
        """Copy the gradients that were noted: the backward pass is over."""
        self._gradients.copy()

    def drop(self) -> None:
        """Forget the outputs that were noted: nothing more is wanted of them."""
        self._outputs.drop()
        self._norm_calls = []

    def _await(self, sites: ModuleSites, sample: StepSample, tensor: torch.Tensor) -> None:
        """Have the output's gradient sampled when it comes."""
        # A reentrant checkpoint's first pass has no graph; its second, during backward, has.
        awaits = sites.gradient != NO_SITE and sites.hooked != sample.token
        if awaits and tensor.requires_grad:
            sites.hooked = sample.token
            # Not a closure: one is made for every output of a sampled step. Marked, so that a
            # tensor with the hook can be saved without a warning.
            hook = functools.partial(self._backward, sites, sample)
            tensor.register_hook(unserializable_hook(hook))

    def _copy_outputs(self, seen: Sequence[Seen]) -> None:
        alike = Alike()
        for one in seen:
            sites, sample = one.sites, one.sample
            sites.lasts = one.is_unchanged and can_wait(one.tensor)
            if one.is_copied or not one.is_unchanged or not sample.is_open:
                continue
            if (part := sampled_part(one.tensor)) is not None:
                plan = sites.plan_for(part, sample.limit, one.units_before)
                if sites.activation != NO_SITE:
                    alike.add(sample, sites.activation, plan, part)
                self._await(sites, sample, one.tensor)
        alike.copy()

    def _gradient(self, sites: ModuleSites, sample: StepSample, gradient: torch.Tensor) -> None:
        current = sample if sample.is_open else self.current
        if current is None or sites.gradient_token == current.token:
            return  # an unsampled step, or a graph kept by the user is walked again
        if current is not sample and sites.token != sample.token:
            return  # the module was called again since
        if sites.gradient_lasts and may_be_held(gradient):
            sites.gradient_token = current.token
            seen = Seen(sites, current, gradient, gradient._version, is_copied=False)
            self._gradients.add(seen, sites.nbytes)
            return
        part = sampled_part(gradient)
        if part is None:
            return
        if gradient.is_complex():
            part = part[..., 0]
        sites.gradient_token = current.token
        current.add(sites.gradient, sites.gradient_plan(part, current.limit), part)
        if sites.gradient_lasts is None and can_wait(gradient):
            seen = Seen(sites, current, gradient, gradient._version, is_copied=True)
            self._gradients.add(seen, sites.nbytes)

    def _copy_gradients(self, seen: Sequence[Seen]) -> None:
        alike = Alike()
        for one in seen:
            sites, sample = one.sites, one.sample
            sites.gradient_lasts = one.is_unchanged and can_wait(one.tensor)
            if one.is_copied or not one.is_unchanged or not sample.is_open:
                continue
            if (part := sampled_part(one.tensor)) is not None:
                alike.add(sample, sites.gradient, sites.gradient_plan(part, sample.limit), part)
        alike.copy()
