"""Samples outputs of modules and the gradients that arrive at them, of those that are due."""

import functools
import time
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.hooks import unserializable_hook

from nntrace.recorder import NO_SITE, Recorder
from nntrace_torch.program.describe import sampled_part
from nntrace_torch.program.sources import Sources
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.running_norms import RunningNorms
from nntrace_torch.samples.step import StepSample
from nntrace_torch.samples.waiting import Alike, Seen, Waiting, can_wait, may_be_held

_clock = time.perf_counter_ns


class _NormCall(NamedTuple):
    """A call of a batch norm; `version` is that of what entered it."""

    path: str
    module: nn.Module
    args: tuple[Any, ...]
    version: int


class OutputSampler:
    """Copies outputs and gradients into the sample, at once or with others.

    Attributes:
        current: the open sample; None between samples.
    """

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._norms = RunningNorms(recorder, sources)
        self._norm_calls: list[_NormCall] = []
        self._account = recorder.account
        self._guarded_gradient = recorder.guard(self._gradient)
        self._outputs = Waiting(self._copy_outputs)
        self._gradients = Waiting(recorder.guard(self._copy_gradients))
        # The program may keep a graph, and with it the hooks in it, for as long as it likes.
        self._reference = weakref.ref(self)
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
            self._outputs.add(Seen(sites, tensor, tensor._version, is_copied=True))

    def later(
        self,
        sites: ModuleSites,
        sample: StepSample,
        tensor: torch.Tensor,
        version: int,
        units_before: tuple[int, int] | None,
    ) -> None:
        """Note an output that will be the same for a while."""
        sites.token = sample.token
        sites.turn += 1
        self._outputs.add(Seen(sites, tensor, version, units_before=units_before))

    def norm(
        self,
        path: str,
        module: nn.Module,
        args: tuple[Any, ...],
        sample: StepSample,
        version: int | None,
    ) -> None:
        """A batch norm was called; its output was taken.

        `version` is what `version_entered` said when it returned, if that was some time ago.
        """
        now = version_entered(args)
        if now is None:
            self._norms.observe(path, module, args, sample)
        else:
            self._norm_calls.append(
                _NormCall(path, module, args, now if version is None else version)
            )

    def copy(self) -> None:
        """Copy the outputs that were noted: the forward pass is over."""
        self._outputs.copy()
        if self._norm_calls:
            calls, self._norm_calls = self._norm_calls, []
            for path, module, args, version in calls:
                if args[0]._version == version and self.current is not None:
                    self._norms.observe(path, module, args, self.current)

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
            hook = functools.partial(_arrived, self._reference, sites, sample.token)
            tensor.register_hook(unserializable_hook(hook))

    def _copy_outputs(self, seen: Sequence[Seen]) -> None:
        sample, alike = self.current, Alike()
        if sample is None or not sample.is_open:
            return
        for sites, tensor, version, is_copied, units_before in seen:
            is_unchanged = tensor._version == version
            sites.lasts = lasts = is_unchanged and can_wait(tensor)
            if is_copied or not is_unchanged:
                continue
            # `can_wait` has looked at what `sampled_part` would.
            if (part := tensor.detach() if lasts else sampled_part(tensor)) is not None:
                plan = sites.plan_for(part, sample.limit, units_before)
                if sites.activation != NO_SITE:
                    alike.add(sites.activation, plan, part)
                self._await(sites, sample, tensor)
        alike.copy(sample)

    def arrived(self, sites: ModuleSites, token: int, gradient: torch.Tensor) -> None:
        """A gradient has come: note it, if it will be the same for a while and is of this step."""
        current = self.current
        if current is None:
            return  # an unsampled step
        if not (sites.gradient_lasts and token == current.token and may_be_held(gradient)):
            self._guarded_gradient(sites, token, gradient)
        elif sites.gradient_token != token:
            # Without a guard, which would be half of what it costs.
            started = _clock()
            sites.gradient_token = token
            seen = Seen(sites, gradient, gradient._version)
            self._account.hooks_ns += _clock() - started
            self._gradients.add(seen)

    def _gradient(self, sites: ModuleSites, token: int, gradient: torch.Tensor) -> None:
        current = self.current
        if current is None or not current.is_open or sites.gradient_token == current.token:
            return  # a graph kept by the user is walked again
        if current.token != token and sites.token != token:
            return  # the module was called again since
        part = sampled_part(gradient)
        if part is None:
            return
        if gradient.is_complex():
            part = part[..., 0]
        sites.gradient_token = current.token
        current.add(sites.gradient, sites.gradient_plan(part, current.limit), part)
        if sites.gradient_lasts is None and can_wait(gradient):
            self._gradients.add(Seen(sites, gradient, gradient._version, is_copied=True))

    def _copy_gradients(self, seen: Sequence[Seen]) -> None:
        sample, alike = self.current, Alike()
        if sample is None or not sample.is_open:
            return
        for sites, tensor, version, is_copied, _ in seen:
            is_unchanged = tensor._version == version
            sites.gradient_lasts = lasts = is_unchanged and can_wait(tensor)
            if is_copied or not is_unchanged:
                continue
            if (part := tensor.detach() if lasts else sampled_part(tensor)) is not None:
                alike.add(sites.gradient, sites.gradient_plan(part, sample.limit), part)
        alike.copy(sample)


def version_entered(args: tuple[Any, ...]) -> int | None:
    """The version of what entered a module, where it can be looked at later."""
    entered = args[0] if args else None
    return entered._version if can_wait(entered) else None


def _arrived(
    sampler: weakref.ref[OutputSampler], sites: ModuleSites, token: int, gradient: torch.Tensor
) -> None:
    """The hook of an output."""
    if (held := sampler()) is not None:
        held.arrived(sites, token, gradient)
