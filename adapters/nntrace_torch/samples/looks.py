"""Which outputs of a sampled forward are recorded, found out anew or as in the last sample.

An output is recorded as it is when its module returns. One that is looked at later is recorded only
if nothing has written to it since, which its version tells.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace_torch.program.sources import Sources
from nntrace_torch.program.tensors import main_tensor, sampled_part
from nntrace_torch.samples.declarations import Declarations
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.modules import Model
from nntrace_torch.samples.outputs import OutputSampler
from nntrace_torch.samples.step import StepSample
from nntrace_torch.samples.waiting import MOST_BYTES, can_wait

_MOST_LEFT = 16

# A call that is over, of a module that is still to be looked at, and the versions of its output
# and of what entered a norm.
_Left = tuple[ModuleSites, nn.Module, tuple[Any, ...], torch.Tensor, int, int | None]

_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


@dataclass(slots=True)
class Forward:
    """The outermost call under way, or the last one.

    Attributes:
        model: the model whose parameters it uses; None where it is not followed.
        stack: the modules that are being called, the outermost first.
        is_recomputing: whether it is part of a backward pass, which recomputes checkpointed
            activations.
        number: the number of outermost calls so far.
        units_before: the number of axes, and the axis of units, of the output before.
    """

    model: Model | None = None
    stack: list[nn.Module] = field(default_factory=list)
    is_recomputing: bool = False
    number: int = 0
    units_before: tuple[int, int] | None = None

    def begin(self, *, is_recomputing: bool) -> None:
        """An outermost module is called."""
        self.model = None
        self.units_before = None
        self.is_recomputing = is_recomputing
        self.number += 1


class Looks:
    """Looks at outputs of modules, at once or at several together.

    Attributes:
        sites: what is known of modules, by their ids.
        gradients: what arrives at the outputs.
    """

    def __init__(
        self, recorder: Recorder, sources: Sources, declarations: Declarations, forward: Forward
    ) -> None:
        self._declarations = declarations
        self._forward = forward
        self.sites: dict[int, ModuleSites] = {}
        self._sample: StepSample | None = None
        self._left: list[_Left] = []
        self._left_bytes = 0
        self._last_output: Callable[[], object] = lambda: None
        self._last_version = -1
        self._samples = OutputSampler(recorder, sources)
        self.gradients = self._samples.gradients
        self.copy = self._samples.copy

    def begin(self, sample: StepSample) -> None:
        """Record outputs for this sample from now on."""
        self._sample = sample
        self._forget()
        self._samples.begin(sample)

    def drop(self) -> None:
        """Forget the outputs that wait to be looked at or copied."""
        self._forget()
        self._samples.drop()

    def leave(self) -> None:
        """Record nothing more for the current sample."""
        self._forget()
        self._samples.leave()
        self._sample = None

    def later(
        self,
        sites: ModuleSites,
        module: nn.Module,
        args: tuple[Any, ...],
        output: torch.Tensor,
        version_before: int | None,
    ) -> bool:
        """Put an output off, to be looked at with others; return whether there is room for more."""
        left = self._left
        left.append((sites, module, args, output, output._version, version_before))
        self._left_bytes += sites.nbytes
        return self._left_bytes <= MOST_BYTES and len(left) < _MOST_LEFT

    def left_last(self, output: object) -> bool:
        """Whether this is the output that was put off last, and nothing was written to it since."""
        left = self._left
        return bool(left) and left[-1][3] is output and left[-1][3]._version == left[-1][4]

    def _forget(self) -> None:
        self._left.clear()
        self._left_bytes = 0

    def back(self) -> None:
        """Look at the outputs of the modules that have returned since.

        Nearly all are laid out as they were in the last sample, from modules called once in a pass:
        of those only what can have changed is checked, and they are copied together.
        """
        left, self._left, self._left_bytes = self._left, [], 0
        sample, forward = self._sample, self._forward
        model = forward.model
        if not left or sample is None or model is None:
            return
        token, call, found = sample.token, forward.number, []
        last, last_version = self._last_output(), self._last_version
        looked_at: ModuleSites | None = None
        for sites, module, args, output, version, before in left:
            if (
                sites.module() is not module
                or sites.root_call == call
                or sites.calls != 1
                or sites.token == token
                or output._version != version
                or output.is_nested
                or not output.is_cpu
                or output.dtype is not sites.dtype
                or output.layout is not torch.strided
                or output.shape != sites.shape
                or output.stride() != sites.strides
                or _is_wrapped(output)
            ):
                self._has_looked_at(looked_at, last, last_version)
                self.at(module, args, output, sample, version, before)
                last, last_version, looked_at = self._last_output(), self._last_version, None
                continue
            sites.root_call, sites.calls_before = call, 1
            if output is last and version == last_version:
                continue
            sites.token = token
            sites.turn += 1
            found.append((sites, output))
            if sites.is_norm:
                path = model.path_of(module) or ""
                self._samples.norm(path, module, args, sample, before)
            last, last_version, looked_at = output, version, sites
        self._has_looked_at(looked_at, last, last_version)
        if found:
            self._samples.outputs(found, sample)

    def _has_looked_at(self, sites: ModuleSites | None, output: object, version: int) -> None:
        if sites is not None and sites.shape is not None:
            self._last_output, self._last_version = weakref.ref(output), version
            self._forward.units_before = (len(sites.shape), sites.axis)

    def at(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        output: Any,
        sample: StepSample,
        version: int | None = None,
        version_before: int | None = None,
    ) -> None:
        """Sample the output of a module, if this call of it is the one to be recorded.

        The versions are those of the output and of what entered a norm when it returned, if that
        was some time ago.
        """
        forward = self._forward
        model = forward.model
        sites = self.sites.get(id(module))
        if sites is not None and sites.module() is not module:
            sites = None
        if sites is not None and sites.is_unwanted:
            return
        due = sites is None or forward.is_recomputing
        if sites is not None and not forward.is_recomputing:
            due = sites.is_due(forward.number, sample.token)
            if sites.calls > 1 and model is not None:
                self._declarations.note_reuse(module, model)
        tensor = main_tensor(output)
        part = None if tensor is None else sampled_part(tensor)
        if tensor is None or part is None:
            return
        is_late = version is not None
        is_changed = is_late and tensor._version != version
        if version is None:
            version = -1 if tensor.is_inference() else tensor._version
        if self._last_output() is tensor and self._last_version == version:
            return  # a container handing on what its last child returned
        self._last_output, self._last_version = weakref.ref(tensor), version
        if not due:
            return
        if tensor.is_complex():
            part = part[..., 0]
        if sites is None:
            assert model is not None
            if self._declarations.is_new_stranger(module, model):
                return
            sites = self._declarations.declare(module, model, forward.stack, tensor, part)
            self.sites[id(module)] = sites
            if sites.is_unwanted:
                return
            sites.is_due(forward.number, sample.token)
        is_first = sites.token != sample.token
        if is_changed:  # its value then is lost; from now on it is copied at once
            sites.lasts, sites.token = False, sample.token
            sites.turn += 1
        else:
            if is_late:
                sites.lasts = can_wait(tensor)
            before, may_wait = forward.units_before, not forward.is_recomputing
            self._samples.output(sites, sample, tensor, part, before, may_wait=may_wait)
        forward.units_before = (tensor.dim(), sites.axis)
        if is_first and sites.is_norm and model is not None:
            path = model.path_of(module) or ""
            self._samples.norm(path, module, args, sample, version_before)
