"""Hooks of a sampled step's forward and backward passes: activations and their gradients.

The hooks are PyTorch's global module hooks, present only while a step is sampled. A hook makes
one strided copy per tensor and returns nothing, so that the user's tensors stay the very same.
Right after a layer's computation the processor's caches hold nothing of ours: a hook does as
little as it can, and what can wait is done for many modules at once.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nntrace.adapter import described
from nntrace.recorder import Recorder
from nntrace_torch.patching import is_captured, is_in_backward, outside_modes
from nntrace_torch.program.dataflow import DataFlow
from nntrace_torch.program.sources import Sources
from nntrace_torch.samples.declarations import Declarations, makes_weights
from nntrace_torch.samples.left_out import LeftOut
from nntrace_torch.samples.looks import Forward, Looks
from nntrace_torch.samples.module_hooks import ModuleHooks
from nntrace_torch.samples.modules import Model, Models
from nntrace_torch.samples.outputs import version_entered
from nntrace_torch.samples.step import StepSample

_clock = time.perf_counter_ns
_thread_id = threading.get_ident

RootCalled = Callable[[Model, nn.Module, tuple[Any, ...], dict[str, Any]], None]


class ForwardSampler:
    """Samples the outputs of every module called in a training forward.

    Attributes:
        declarations: which sites there are, and those of all gradients of outputs.
        flow: which module's output enters which.
        gradients: what arrives at the outputs.
        recurred: are told of each call of a recurrent layer: its arguments and its output.
        entered: told of each call that `flow` follows: its depth, the module and its arguments.
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
        self.declarations = Declarations(recorder, models, sources, first_called)
        self.flow = DataFlow(recorder)
        self._forward = Forward()
        self._stack = self._forward.stack
        self._looks = Looks(recorder, sources, self.declarations, self._forward)
        self._sample: StepSample | None = None
        self._thread = 0
        self._pauses = 0
        self._replays = False
        self._outermost: list[nn.Module] = []
        self._account = recorder.account
        self._pre = recorder.guard(self._enter)
        self._post = recorder.guard(self._leave)
        self._hooks = ModuleHooks(self._entered, self._called)
        self._left_out = LeftOut(recorder, self._resume)
        self._many_left = recorder.guard(self._looks.back)
        self.gradients = self._looks.gradients
        self.recurred: Sequence[Callable[..., object]] = ()
        self.entered: Callable[..., object] = lambda depth, module, args: None

    def start(self, sample: StepSample) -> None:
        """Install the hooks for a step."""
        self._sample = sample
        self._looks.begin(sample)
        self._thread = _thread_id()
        self._left_out.end()
        self._stack.clear()
        self._forward.model = None
        self.flow.begin()
        if not self._pauses:
            self._hooks.put_on()

    def start_anew(self, sample: StepSample) -> None:
        """Discard what the step's forwards gave so far; the hooks stay on."""
        self._looks.drop()
        self._sample = sample
        self._looks.begin(sample)

    def stop(self) -> None:
        """Remove the hooks."""
        self._hooks.take_off()
        self._looks.leave()
        self._sample = None
        self._stack.clear()
        self._forward.model = None

    @property
    def is_open(self) -> bool:
        """Whether a step is being sampled."""
        return self._sample is not None

    @property
    def has_hooks_on(self) -> bool:
        """Whether modules that are called now are looked at."""
        return self._sample is not None and not self._pauses

    def innermost(self) -> tuple[str, nn.Module] | None:
        """Path and module of the innermost call of a sampled training forward, if there is one."""
        model = self._forward.model
        if model is None or not self._stack or self._forward.is_recomputing or self._is_elsewhere():
            return None
        path = model.path_of(self._stack[-1])
        return None if path is None else (path, self._stack[-1])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context without hooks, for code into whose graph they would be compiled."""
        self._pause()
        try:
            yield
        finally:
            self._resume()

    @contextmanager
    def replaying(self) -> Iterator[list[nn.Module]]:
        """A context that samples forwards without gradients, too; yields the outermost modules."""
        stack, model, pauses = list(self._stack), self._forward.model, self._pauses
        outermost: list[nn.Module] = []
        self._hooks.take_off()
        self._looks.back()
        self._outermost, self._replays, self._pauses = outermost, True, 0
        self._hooks.put_on(outside_modes(self._pre), outside_modes(self._post))
        try:
            yield outermost
        finally:
            self._hooks.take_off()
            self._replays, self._pauses = False, pauses
            self._stack[:], self._forward.model = stack, model
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
        """Remove the hooks at any time, even from within one of them."""
        self._hooks.abandon()
        self.stop()
        self._left_out.end()
        self.gradients.forget()

    def _entered(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A module is called; nothing else needs to be noted of a part of a model."""
        if self._stack and not self.flow.is_open and _thread_id() == self._thread:
            self._stack.append(module)
        else:
            self._pre(module, args)

    def _called(self, module: nn.Module, args: tuple[Any, ...], *keywords_and_output: Any) -> None:
        """A module returns; its output is looked at with others, if it stays unchanged so long.

        Not guarded, as the guard would take half of the time.
        """
        started = _clock()
        stack, output = self._stack, keywords_and_output[-1]
        sites = self._looks.sites.get(id(module))
        can_wait = self._looks.left_last(output) if sites is None else sites.lasts
        if (
            not can_wait
            or len(stack) < 2
            or stack[-1] is not module
            or type(output) is not torch.Tensor
            or self._forward.is_recomputing
            or self.flow.is_open
            or _thread_id() != self._thread
            or output.is_inference()
        ):
            self._post(module, args, *keywords_and_output)
            return
        stack.pop()
        if sites is None:  # a container handing on what its last child returned
            self._account.hooks_ns += _clock() - started
            return
        before = None
        if sites.is_norm:
            before = version_entered(args)
        else:
            args = ()
        has_room = self._looks.later(sites, module, args, output, before)
        self._account.hooks_ns += _clock() - started
        if not has_room:
            self._many_left()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._sample is None or self._is_elsewhere():
            return
        if not self._stack:
            self._looks.drop()  # of a forward that raised
            forward = self._forward
            forward.begin(is_recomputing=is_in_backward())
            if self._replays:
                self._outermost.append(module)
            is_training = self._replays or torch.is_grad_enabled()
            if not is_training and self._left_out.begin(module):
                self._pause()
                return
            is_forward = is_training and not is_captured() and not makes_weights(module)
            if is_forward and not _is_symbolic(module, args):
                forward.model = self._models.owner_of(module)
                if forward.model is not None and not forward.is_recomputing:
                    self._root_called(forward.model, module, args, {})
        self._stack.append(module)
        if self.flow.is_open:
            self.flow.enter(len(self._stack))
            self.entered(len(self._stack), module, args)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], *keywords_and_output: Any) -> None:
        if self._sample is None or self._is_elsewhere():
            return
        self._looks.back()
        while self._stack and self._stack.pop() is not module:
            pass  # a module that raised left its callees on the stack
        model, is_recomputing = self._forward.model, self._forward.is_recomputing
        if model is None:
            return
        *keywords, output = keywords_and_output  # when the forward raised there are no keywords
        if self.flow.is_open and not is_recomputing:
            self.flow.leave(len(self._stack) + 1, module, model.path_of(module), output)
        if not self._stack and keywords and keywords[0] and not is_recomputing:
            self._root_called(model, module, args, keywords[0])
        self._looks.at(module, args, output, self._sample)
        if isinstance(module, nn.RNNBase) and keywords and not is_recomputing:
            for told in self.recurred:
                told(module, (*args, *keywords[0].values()), output)
        if not self._stack:
            self._looks.copy()

    def _is_elsewhere(self) -> bool:
        """Whether this thread is not one of the training's; the backward pass may have its own."""
        return _thread_id() != self._thread and not is_in_backward()


def _is_symbolic(module: nn.Module, args: tuple[Any, ...]) -> bool:
    """Whether the framework that is built on PyTorch asks for shapes: it builds a model."""
    description = described(module)
    return description is not None and description.is_symbolic(args)
