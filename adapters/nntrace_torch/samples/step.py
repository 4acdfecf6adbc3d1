"""Collects one sampled step, until it goes to the host in one copy."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nntrace.recorder import NO_SITE, NO_TENSOR, KeptTensor, Sample, SiteSample
from nntrace_torch.loss.graph import LossCall
from nntrace_torch.samples.batch_values import BatchValues
from nntrace_torch.samples.buffer import Buffers, HostCopies, SampleBuffer
from nntrace_torch.samples.plans import Plan

_MOST_LOSS_CALLS = 64


class StepSample:
    """One sampled step. Hooks add to it while it is open.

    Attributes:
        token: grows with every sampled step; tells "already recorded in this step".
        turn: moves the offsets of the sampled rows from step to step.
        limit: the most elements taken of one tensor.
        is_evaluation: whether all forwards so far were in evaluation mode: perhaps of an
            evaluation without `no_grad`, which comes before the training forward.
        has_backward: whether the step's first backward pass has begun.
        batch: what is said of the batch, and of what the first loss function was given.
        further_losses: what each of the others was given.
        loss_paths: the paths of the loss functions' sites, by what tells their calls apart.
    """

    def __init__(self, step: int, token: int, limit: int, buffers: Buffers) -> None:
        self.step = step
        self.token = token
        self.turn = token
        self.limit = limit
        self.is_open = True
        self.is_evaluation = self.has_backward = False
        self.seen_roles: set[str] = set()
        self.seen_models: set[str] = set()
        self._buffers = buffers
        self._missing: list[int] = []
        self._kept: list[KeptTensor] = []
        self.batch = BatchValues(buffers)
        self.further_losses: list[BatchValues] = []
        self.loss_paths: dict[tuple[Any, ...], str] = {}
        self._loss_calls: list[LossCall] = []
        self._scaled: list[tuple[frozenset[int], torch.device, int]] = []
        self.labels: torch.Tensor | None = None
        self.classes = 0
        for buffer in buffers.values():
            buffer.clear()

    def buffer(self, device: torch.device) -> SampleBuffer:
        """The buffer for tensors of a device."""
        return self._buffers[device]

    def add(self, site: int, plan: Plan, tensor: torch.Tensor) -> torch.Tensor | None:
        """Copy a site's sampled elements of a detached tensor; the copy, if they are wanted."""
        if site == NO_SITE:
            return None
        return self._buffers[tensor.device].add(site, plan, tensor, self.turn)

    def add_each(self, seen: Sequence[tuple[int, Plan, torch.Tensor]]) -> None:
        """Copy sampled elements of tensors on one device, each with its site and plan.

        To be called without gradient recording.
        """
        if seen:
            self._buffers[seen[0][2].device].add_each(seen, self.turn)

    def take_kept(self, other: "StepSample") -> None:
        """Take over the tensors that another sample was to send: they are kept once in a run."""
        self._kept = other._kept

    def add_missing(self, site: int) -> None:
        """Record that the site was looked at and had no tensor."""
        if site != NO_SITE:
            self._missing.append(site)

    def keep(self, tensor: KeptTensor | None) -> None:
        """Send a tensor along as it is, if there is one."""
        if tensor is not None:
            self._kept.append(tensor)

    def add_further_loss(self) -> BatchValues:
        """An object for the arguments of a further loss function of the step."""
        self.further_losses.append(self.batch.further())
        return self.further_losses[-1]

    def add_loss_call(self, call: LossCall) -> None:
        """Remember a loss function's result until the step is differentiated."""
        if len(self._loss_calls) < _MOST_LOSS_CALLS:
            self._loss_calls.append(call)

    @property
    def loss_calls(self) -> int:
        """How many loss functions were called since the last were taken."""
        return len(self._loss_calls)

    def take_loss_calls(self) -> list[LossCall]:
        """The loss calls since the last time; their graphs must not outlive the step."""
        calls, self._loss_calls = self._loss_calls, []
        return calls

    def count_examples(self, examples: int | None) -> None:
        """Set the number of examples, if it was not clear when the batch came in."""
        if "input" not in self.seen_roles or self.batch.says("batch_size"):
            return
        self.batch.describe(batch_size=examples)
        if examples is None or examples == 1 or examples < self.batch.hashed:
            self.batch.drop_hashes()

    def unscale(self, sites: Iterable[int], scale: torch.Tensor) -> None:
        """Divide the samples of these sites by the loss scale, once they are on the host."""
        offset, _ = self._buffers[scale.device].put(scale.detach())
        self._scaled.append((frozenset(sites), scale.device, offset))

    def close(self) -> None:
        """Accept nothing more."""
        self.is_open = False
        self.labels = None
        self.take_loss_calls()

    def finish(self, copies: HostCopies, deliver: Callable[[Sample], None]) -> None:
        """Close the step and send it to the host; `deliver` is called when it has arrived."""
        self.close()
        buffers = [buffer for buffer in self._buffers.values() if buffer.parts]
        arrived: dict[torch.device, npt.NDArray[np.float32]] = {}

        def collect(buffer: SampleBuffer, values: npt.NDArray[np.float32]) -> None:
            arrived[buffer.device] = values
            if len(arrived) == len(buffers):
                deliver(self._assemble(parts, arrived))

        parts = {buffer.device: buffer.parts for buffer in buffers}
        for buffer in buffers:
            copies.fetch(buffer, partial(collect, buffer))

    def _assemble(
        self,
        parts: dict[torch.device, list[SiteSample]],
        arrived: dict[torch.device, npt.NDArray[np.float32]],
    ) -> Sample:
        start = 0
        starts: dict[torch.device, int] = {}
        sites: list[SiteSample] = []
        for device, values in arrived.items():
            starts[device] = start
            sites += (
                [part._replace(offset=part.offset + start) for part in parts[device]]
                if start
                else parts[device]
            )
            start += len(values)
        sites += [SiteSample(site, 0, NO_TENSOR) for site in self._missing]
        values = (
            next(iter(arrived.values()))
            if len(arrived) == 1
            else np.concatenate(list(arrived.values()))
        )
        for scaled, device, offset in self._scaled:
            if device not in starts:
                continue
            scale = values[starts[device] + offset]
            for part in sites:
                if part.site in scaled:
                    values[part.offset : part.offset + part.layout.size] /= scale
        batch = self.batch.assemble(self.step, values, starts)
        further = (loss.assemble(self.step, values, starts) for loss in self.further_losses)
        return Sample(
            self.step,
            values,
            tuple(sites),
            batch,
            tuple(self._kept),
            further_losses=tuple(loss for loss in further if loss is not None),
        )
