"""Samples the outputs of modules at the calls that are due."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from nntrace.recorder import NO_SITE, Recorder
from nntrace_torch.program.sources import Sources
from nntrace_torch.samples.gradients import GradientSampler
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.running_norms import RunningNorms
from nntrace_torch.samples.step import StepSample
from nntrace_torch.samples.waiting import Seen, Waiting, can_wait


class _NormCall(NamedTuple):
    """A call of a batch norm; `version` is that of what entered it."""

    path: str
    module: nn.Module
    args: tuple[Any, ...]
    version: int


class OutputSampler:
    """Copies outputs into the open sample, at once or with others.

    Attributes:
        gradients: has what arrives at them copied, too.
    """

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._norms = RunningNorms(recorder, sources)
        self._norm_calls: list[_NormCall] = []
        self._copied = Waiting(self._judge)
        self.gradients = GradientSampler(recorder)
        self._current: StepSample | None = None

    def begin(self, sample: StepSample) -> None:
        """Add outputs to this sample from now on."""
        self._current = self.gradients.current = sample

    def leave(self) -> None:
        """Add nothing more to the current sample."""
        self.drop()
        self.gradients.leave()
        self._current = None

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
        self.gradients.wait_for([(sites, tensor)], sample)
        if may_wait and sites.lasts is None and can_wait(tensor):
            self._copied.add(Seen(sites, tensor, tensor._version))

    def outputs(
        self, outputs: Sequence[tuple[ModuleSites, torch.Tensor]], sample: StepSample
    ) -> None:
        """Sample outputs laid out as their modules' plans say, all at once."""
        with torch.no_grad():
            sample.add_each(
                [
                    (sites.activation, sites.plan, tensor)
                    for sites, tensor in outputs
                    if sites.plan and sites.activation != NO_SITE
                ]
            )
        self.gradients.wait_for(outputs, sample)

    def norm(
        self,
        path: str,
        module: nn.Module,
        args: tuple[Any, ...],
        sample: StepSample,
        version: int | None,
    ) -> None:
        """Note the call of a batch norm, whose output was sampled.

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
        """Sample the norms that were called; the forward pass is over."""
        self._copied.judge()
        if self._norm_calls:
            calls, self._norm_calls = self._norm_calls, []
            for path, module, args, version in calls:
                if args[0]._version == version and self._current is not None:
                    self._norms.observe(path, module, args, self._current)

    def drop(self) -> None:
        """Forget what was noted: nothing more is wanted of it."""
        self._copied.drop()
        self._norm_calls = []

    def _judge(self, copied: Sequence[Seen]) -> None:
        """Find out whether outputs that were copied at once have not been written to since."""
        for sites, tensor, version in copied:
            sites.lasts = tensor._version == version and can_wait(tensor)


def version_entered(args: tuple[Any, ...]) -> int | None:
    """The version of what entered a module, where it can be looked at later."""
    entered = args[0] if args else None
    return entered._version if can_wait(entered) else None
