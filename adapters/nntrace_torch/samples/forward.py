"""Hooks of a sampled step's forward and backward passes: activations and their gradients.

The hooks are PyTorch's global module hooks, present only while a step is sampled. A hook makes
one strided copy per tensor and returns nothing, so that the user's tensors stay the very same.
Right after a layer's computation the processor's caches hold nothing of ours: a hook does as
little as it can, and what can wait is done for many modules at once.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace_torch.patching import is_captured, is_in_backward, outside_modes
from nntrace_torch.program.dataflow import DataFlow
from nntrace_torch.program.describe import main_tensor, sampled_part
from nntrace_torch.program.sources import Sources
from nntrace_torch.samples.declarations import Declarations, makes_weights
from nntrace_torch.samples.left_out import LeftOut
from nntrace_torch.samples.module_hooks import ModuleHooks
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.modules import Model, Models
from nntrace_torch.samples.outputs import OutputSampler, version_entered
from nntrace_torch.samples.step import StepSample
from nntrace_torch.samples.waiting import MOST_BYTES, can_wait

_MOST_LEFT = 16

# A call that is over, of a module that is still to be looked at, and the versions of its output
# and of what entered a norm.
_Left = tuple[ModuleSites, nn.Module, tuple[Any, ...], torch.Tensor, int, int | None]

_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor
_clock = time.perf_counter_ns
_thread = threading.get_ident

RootCalled = Callable[[Model, nn.Module, tuple[Any, ...], dict[str, Any]], None]


class ForwardSampler:
    """Samples the outputs of every module called in a training forward.

    Attributes:
        declarations: which sites there are, and those of all gradients of outputs.
        flow: which module's output enters which.
        gradients: what arrives at the outputs.
    """

    def __init__(
        self,
        recorder: Recorder,
        models: Models,
        sources: Sources,
        root_called: RootCalled,
        first_called: Callable[[nn.Module], None],
    ) -> None:
        self._models = models
        self._root_called = root_called
        self._sites: dict[int, ModuleSites] = {}
        self.declarations = Declarations(recorder, models, sources, first_called)
        self.flow = DataFlow(recorder)
        self._stack: list[nn.Module] = []
        self._model: Model | None = None
        self._is_recomputing = False
        self._last_output: Callable[[], object] = lambda: None
        self._last_version = -1
        self._units_before: tuple[int, int] | None = None  # axes and unit axis of the last output
        self._sample: StepSample | None = None
        self._thread = 0
        self._pauses = 0
        self._replays = False
        self._outermost: list[nn.Module] = []
        self._root_calls = 0
        self._account = recorder.account
        self._pre = recorder.guard(self._enter)
        self._post = recorder.guard(self._leave)
        self._hooks = ModuleHooks(self._entered, self._called)
        self._left_out = LeftOut(recorder, self._resume)
        self._left: list[_Left] = []
        self._left_bytes = 0
        self._many_left = recorder.guard(self._look_back)
        self._samples = OutputSampler(recorder, sources)
        self.gradients = self._samples.gradients

    def start(self, sample: StepSample) -> None:
        """Put the hooks on for a step."""
        self._sample = sample
        self._samples.begin(sample)
        self._thread = threading.get_ident()
        self._left_out.end()
        self._left.clear()
        self._left_bytes = 0
        self._stack.clear()
        self._model = None
        self.flow.begin()
        if not self._pauses:
            self._hooks.put_on()

    def start_anew(self, sample: StepSample) -> None:
        """Give up what the step's forwards gave so far; the hooks stay on."""
        self._left.clear()
        self._samples.drop()
        self._sample = sample
        self._samples.begin(sample)

    def stop(self) -> None:
        """Take the hooks off."""
        self._hooks.take_off()
        self._left.clear()
        self._samples.leave()
        self._sample = None
        self._stack.clear()
        self._model = None

    @property
    def is_open(self) -> bool:
        """Whether a step is being sampled."""
        return self._sample is not None

    def innermost(self) -> tuple[str, nn.Module] | None:
        """Path and module of the innermost call of a sampled training forward, if there is one."""
        if self._model is None or not self._stack or self._is_recomputing or self._is_elsewhere():
            return None
        path = self._model.path_of(self._stack[-1])
        return None if path is None else (path, self._stack[-1])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Without hooks, for code into whose graph they would be compiled."""
        self._pause()
        try:
            yield
        finally:
            self._resume()

    @contextmanager
    def replaying(self) -> Iterator[list[nn.Module]]:
        """Sample forwards without gradients, too; gives the list of the outermost modules."""
        stack, model, pauses = list(self._stack), self._model, self._pauses
        outermost: list[nn.Module] = []
        self._hooks.take_off()
        self._look_back()
        self._outermost, self._replays, self._pauses = outermost, True, 0
        self._hooks.put_on(outside_modes(self._pre), outside_modes(self._post))
        try:
            yield outermost
        finally:
            self._hooks.take_off()
            self._replays, self._pauses = False, pauses
            self._stack[:], self._model = stack, model
            if not pauses:
                self._hooks.put_on()

    def _pause(self) -> None:
        self._hooks.take_off()
        self._pauses += 1

    def _resume(self) -> None:
        self._pauses -= 1
        if self._sample is not None and not self._pauses:
            self._hooks.put_on()

    def abandon(self) -> None:
        """Take the hooks off at any time, also from within one of them."""
        self._hooks.abandon()
        self.stop()
        self._left_out.end()
        self.gradients.forget()

    def _entered(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A module is called; of a part of a model that is all there is to know."""
        if self._stack and not self.flow.is_open and _thread() == self._thread:
            self._stack.append(module)
        else:
            self._pre(module, args)

    def _called(self, module: nn.Module, args: tuple[Any, ...], *keywords_and_output: Any) -> None:
        """A module returns; what it gave is looked at with others', if it stays what it is.

        Without a guard, which would be half of what that costs.
        """
        started = _clock()
        stack, output = self._stack, keywords_and_output[-1]
        sites = self._sites.get(id(module))
        if (
            sites is None
            or not sites.lasts
            or len(stack) < 2
            or stack[-1] is not module
            or type(output) is not torch.Tensor
            or self._is_recomputing
            or self.flow.is_open
            or _thread() != self._thread
            or output.is_inference()
        ):
            self._post(module, args, *keywords_and_output)
            return
        stack.pop()
        before = None
        if sites.is_norm:
            before = version_entered(args)
        else:
            args = ()
        self._left.append((sites, module, args, output, output._version, before))
        self._left_bytes += sites.nbytes
        self._account.hooks_ns += _clock() - started
        if self._left_bytes > MOST_BYTES or len(self._left) >= _MOST_LEFT:
            self._many_left()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._sample is None or self._is_elsewhere():
            return
        if not self._stack:
            self._left.clear()
            self._samples.drop()  # of a forward that raised
            self._model = None
            self._units_before = None
            self._is_recomputing = is_in_backward()
            self._root_calls += 1
            if self._replays:
                self._outermost.append(module)
            is_training = self._replays or torch.is_grad_enabled()
            if not is_training and self._left_out.begin(module):
                self._pause()
                return
            if is_training and not is_captured() and not makes_weights(module):
                self._model = self._models.owner_of(module)
                if self._model is not None and not self._is_recomputing:
                    self._root_called(self._model, module, args, {})
        self._stack.append(module)
        if self.flow.is_open:
            self.flow.enter(len(self._stack))

    def _leave(self, module: nn.Module, args: tuple[Any, ...], *keywords_and_output: Any) -> None:
        if self._sample is None or self._is_elsewhere():
            return
        self._look_back()
        while self._stack and self._stack.pop() is not module:
            pass  # a module that raised left its callees on the stack
        if self._model is None:
            return
        if self.flow.is_open and not self._is_recomputing:
            self.flow.leave(len(self._stack) + 1, module, self._model.path_of(module))
        *keywords, output = keywords_and_output  # when the forward raised there are no keywords
        if not self._stack and keywords and keywords[0] and not self._is_recomputing:
            self._root_called(self._model, module, args, keywords[0])
        self._look(module, args, output, self._sample)
        if not self._stack:
            self._samples.copy()

    def _look_back(self) -> None:
        """Look at the outputs of the modules that have returned since.

        Nearly all are laid out as they were in the last sample, from modules called once in a pass:
        of those only what can have changed is asked for, and they are copied together.
        """
        left, self._left, self._left_bytes = self._left, [], 0
        sample, call = self._sample, self._root_calls
        if not left or sample is None or self._model is None:
            return
        token, found = sample.token, []
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
                self._look(module, args, output, sample, version, before)
                last, last_version, looked_at = self._last_output(), self._last_version, None
                continue
            sites.root_call, sites.calls_before = call, 1
            if output is last and version == last_version:
                continue
            sites.token = token
            sites.turn += 1
            found.append((sites, output))
            if sites.is_norm:
                path = self._model.path_of(module) or ""
                self._samples.norm(path, module, args, sample, before)
            last, last_version, looked_at = output, version, sites
        self._has_looked_at(looked_at, last, last_version)
        if found:
            self._samples.outputs(found, sample)

    def _has_looked_at(self, sites: ModuleSites | None, output: object, version: int) -> None:
        if sites is not None and sites.shape is not None:
            self._last_output, self._last_version = weakref.ref(output), version
            self._units_before = (len(sites.shape), sites.axis)

    def _look(
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
        sites = self._sites.get(id(module))
        if sites is not None and sites.module() is not module:
            sites = None
        if sites is not None and sites.is_unwanted:
            return
        due = sites is None or self._is_recomputing
        if sites is not None and not self._is_recomputing:
            due = sites.is_due(self._root_calls, sample.token)
            if sites.calls > 1 and self._model is not None:
                self.declarations.note_reuse(module, self._model)
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
            assert self._model is not None
            if self.declarations.is_new_stranger(module, self._model):
                return
            sites = self.declarations.declare(module, self._model, self._stack, tensor, part)
            self._sites[id(module)] = sites
            if sites.is_unwanted:
                return
            sites.is_due(self._root_calls, sample.token)
        is_first = sites.token != sample.token
        if is_changed:  # what was is not recorded; from now on it is copied at once
            sites.lasts, sites.token = False, sample.token
            sites.turn += 1
        else:
            if is_late:
                sites.lasts = can_wait(tensor)
            before, may_wait = self._units_before, not self._is_recomputing
            self._samples.output(sites, sample, tensor, part, before, may_wait=may_wait)
        self._units_before = (tensor.dim(), sites.axis)
        if is_first and sites.is_norm and self._model is not None:
            path = self._model.path_of(module) or ""
            self._samples.norm(path, module, args, sample, version_before)

    def _is_elsewhere(self) -> bool:
        """Whether this is a thread that is none of the training's; backward may have its own."""
        return threading.get_ident() != self._thread and not is_in_backward()
