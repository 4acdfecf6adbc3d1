"""Samples the gradients that arrive at outputs of modules.

The processor's caches are full of the backward pass when one comes. So the hook appends it to a
list, without a line of Python, and what has come is copied together a little later. At first each
is copied at once, and only those that are still what they were then may wait from then on:
autograd writes to no gradient that is held, but a hook of the program may.
"""

import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from nntrace.recorder import NO_SITE, Recorder
from nntrace_torch.program.tensors import sampled_part
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.step import StepSample
from nntrace_torch.samples.waiting import LARGE_BYTES, MOST_BYTES, Seen, Waiting, can_wait

_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


class _Awaited(NamedTuple):
    """A hook of an output: where it puts what arrives, and what takes it off."""

    sites: ModuleSites
    token: int
    arrived: list[torch.Tensor]
    handle: Any


class GradientSampler:
    """Has the gradients of outputs copied into the sample that is open when they come.

    Attributes:
        current: the open sample; None between samples.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._at_once = recorder.guard(self._copy_at_once)
        self._held_back = recorder.guard(self._copy_what_arrived)
        self._copied = Waiting(self._judge)
        self._awaited: list[_Awaited] = []
        self._bytes = 0  # awaited since the last output that has all that arrived copied
        self._first_copied = 0  # of the hooks
        # The program may keep a graph, and with it the hooks in it, for as long as it likes.
        self._reference = weakref.ref(self)
        self.current: StepSample | None = None

    def wait_for(
        self, outputs: Sequence[tuple[ModuleSites, torch.Tensor]], sample: StepSample
    ) -> None:
        """Have the gradients of outputs sampled when they come."""
        token, awaited = sample.token, self._awaited
        for sites, output in outputs:
            # A reentrant checkpoint's first pass has no graph; its second, during backward, has.
            awaits = sites.gradient != NO_SITE and sites.hooked != token
            if not (awaits and output.requires_grad):
                continue
            sites.hooked = token
            arrived: list[torch.Tensor] = []
            if sites.gradient_lasts:
                self._bytes += sites.nbytes
            if self._bytes > MOST_BYTES:
                # Gradients come in reverse order: those of the outputs before this one come later.
                self._bytes = 0
                hook = partial(_arrived_last, self._reference, arrived, len(awaited))
            elif sites.gradient_lasts:
                hook = partial(arrived.append)
            else:
                hook = partial(_arrived, self._reference, sites, token)
            # As `unserializable_hook`: a tensor with the hook can be saved without a warning.
            vars(hook)["__torch_unserializable__"] = True
            awaited.append(_Awaited(sites, token, arrived, output.register_hook(hook)))

    def copy(self) -> None:
        """Copy the gradients that have arrived; the backward pass is over."""
        self._copied.judge()
        self._copy_what_arrived(0, len(self._awaited))

    def leave(self) -> None:
        """The sample is closed. What its outputs still get may belong to the next step.

        A GAN's discriminator, for one, is given the generator's output in its own step, before the
        generator's.
        """
        self.copy()
        kept = self.current.token if self.current is not None else None
        self.current = None
        self._take_off(kept)

    def forget(self) -> None:
        """Stop waiting for gradients."""
        self._take_off(None)

    def _take_off(self, kept: int | None) -> None:
        for awaited in self._awaited:
            awaited.arrived.clear()
            if awaited.token != kept:
                awaited.handle.remove()
        self._awaited = [awaited for awaited in self._awaited if awaited.token == kept]
        self._first_copied = 0
        self._bytes = 0

    def _copy_what_arrived(self, start: int, end: int) -> None:
        """Copy what some of the hooks have seen; nearly all is laid out as the outputs are."""
        sample = self.current
        token = sample.token if sample is not None and sample.is_open else None
        found = []
        self._first_copied = start
        for sites, hooked, arrived, _ in self._awaited[start:end]:
            if not arrived:
                continue
            gradient = arrived[0]
            arrived.clear()
            # As `_is_wanted`, but without a call for each.
            if sample is None or token is None or sites.gradient_token == token:
                continue
            if hooked not in (token, sites.token):
                continue
            sites.gradient_token = token
            plan = sites.gradients_plan
            if (
                plan is not None
                and type(gradient) is torch.Tensor
                and gradient.is_cpu
                and gradient.dtype is sites.dtype
                and not gradient.is_nested
                and gradient.layout is torch.strided
                and gradient.shape == sites.shape
                and gradient.stride() == sites.strides
                and gradient.nbytes <= LARGE_BYTES
                and not gradient.is_inference()
                and not _is_wrapped(gradient)
            ):
                found.append((sites.gradient, plan, gradient))
                continue
            sites.gradient_lasts = can_wait(gradient)
            if (part := sampled_part(gradient)) is not None:
                sample.add(sites.gradient, sites.gradient_plan(part, sample.limit), part)
        if sample is not None and found:
            with torch.no_grad():
                sample.add_each(found)

    def _copy_at_once(self, sites: ModuleSites, token: int, gradient: torch.Tensor) -> None:
        sample = self.current
        if sample is None or not _is_wanted(sites, token, sample):
            return
        part = sampled_part(gradient)
        if part is None:
            return
        if gradient.is_complex():
            part = part[..., 0]
        sites.gradient_token = sample.token
        sample.add(sites.gradient, sites.gradient_plan(part, sample.limit), part)
        if sites.gradient_lasts is None and can_wait(gradient):
            self._copied.add(Seen(sites, gradient, gradient._version))

    def _judge(self, copied: Sequence[Seen]) -> None:
        """Find out whether gradients that were copied at once have not been written to since."""
        for sites, gradient, version, *_ in copied:
            sites.gradient_lasts = gradient._version == version

    def arrived(self, sites: ModuleSites, token: int, gradient: torch.Tensor) -> None:
        """Note a gradient that has arrived."""
        if self.current is not None:  # else of an unsampled step
            self._at_once(sites, token, gradient)

    def arrived_last(self, number: int) -> None:
        """Copy what has arrived at the hooks from `number` on, as it is much by now.

        The gradients of later outputs have arrived, and were copied, before.
        """
        is_next = number < self._first_copied
        self._held_back(number, self._first_copied if is_next else len(self._awaited))


def _is_wanted(sites: ModuleSites, token: int, sample: StepSample) -> bool:
    """Whether what arrived at a hook that was put on in the step of `token` is of this sample.

    It is not where the program walks a kept graph again, or has called the module again since.
    """
    is_first = sample.is_open and sites.gradient_token != sample.token
    return is_first and (token == sample.token or token == sites.token)


def _arrived(
    sampler: weakref.ref[GradientSampler], sites: ModuleSites, token: int, gradient: torch.Tensor
) -> None:
    """The hook of an output whose gradient is copied at once."""
    if (held := sampler()) is not None:
        held.arrived(sites, token, gradient)


def _arrived_last(
    sampler: weakref.ref[GradientSampler],
    arrived: list[torch.Tensor],
    number: int,
    gradient: torch.Tensor,
) -> None:
    """The hook of an output whose gradient has those held back copied: they are enough."""
    arrived.append(gradient)
    if (held := sampler()) is not None:
        held.arrived_last(number)
