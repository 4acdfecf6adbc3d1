"""Remembers how the outermost modules were called in the current step, by reference only.

Between sampled steps modules have no hooks. Only the classes of the outermost modules are patched,
and each of their calls passes through here, in about two microseconds.
"""

import threading
import types
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import unserializable_hook

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, wrap
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.module_tree import modules_of
from nntrace_torch.replay.call import Call, autocast_now
from nntrace_torch.replay.engine import Replayer, device_states
from nntrace_torch.replay.mersenne import cpu_state

_MAX_OUTPUTS = 4
_KEPT = 64  # calls of one step: micro-batches, time steps, the parts of a GAN


_transforms = torch._C._functorch.peek_interpreter_stack
_compiler = torch.compiler
_is_dynamo = torch.compiler.is_dynamo_compiling
_is_autocasting = torch._C._is_any_autocast_enabled
_are_recorded = torch.is_grad_enabled
_thread = threading.get_ident
_Tensor, _reference = torch.Tensor, weakref.ref


class RootCalls:
    """The calls of the current step, oldest first.

    Attributes:
        is_light: whether calls with gradients are noted in `brief`, with what a replay needs only.
        brief: calls noted in brief since the last call in `kept`, as lists: making a `Call` of
            each would take too long.
    """

    def __init__(self, recorder: Recorder, replayer: Replayer) -> None:
        self._replayer = replayer
        self._note = recorder.guard(self.add)
        self._keep = recorder.guard(_keep_gradients)
        self._arrived = recorder.guard(_arrived)
        self._kept: deque[Call] = deque(maxlen=_KEPT)
        self.brief: deque[list[Any]] = deque(maxlen=_KEPT)
        # The calls of the step before, with weak references in place of what was called.
        self._before: deque[Call] = deque(maxlen=_KEPT)
        self._brief_before: deque[list[Any]] = deque(maxlen=_KEPT)
        self.keeps_before = False
        self.active = True
        self.micro_batch = 0
        # Whether a step has room for what costs some ten microseconds: reading the random state,
        # keeping the gradients that arrive.
        self.steps_are_long = False
        self.on_evaluation: Callable[[Call, Any], object] = lambda call, output: None
        self.is_light = False
        self.begins: Callable[[], object] | None = None  # runs before each call
        # Runs before a call without gradients; what it returns is called after that call.
        self.before_evaluation: Callable[[Call], Undo | None] = lambda call: None
        self._inside = False
        # A module whose call was under way when its class became watched.
        self._unwatched: nn.Module | None = None
        self._thread = threading.get_ident()
        self._watched: dict[type[nn.Module], Undo] = {}
        self._never: weakref.WeakSet[type[nn.Module]] = weakref.WeakSet()

    @property
    def kept(self) -> deque[Call]:
        """All calls of the step, those noted in brief included."""
        return _whole(self._kept, self.brief) if self.brief else self._kept

    @property
    def before(self) -> list[Call]:
        """The calls of the step before, as far as their models are still alive."""
        calls = [(call.compute(), call) for call in _whole(self._before, self._brief_before)]
        return [replace(call, compute=called) for called, call in calls if called is not None]

    def clear(self, *, gradients_are_well: bool = False) -> None:
        """Forget the calls of a step that is over, or keep them as those of the step before.

        Args:
            gradients_are_well: all gradients were seen to be finite, so that the step will not be
                computed again.
        """
        if self.keeps_before and not gradients_are_well:
            self._before, self._kept = self._kept, self._before
            self._brief_before, self.brief = self.brief, self._brief_before
            for call in self._before:
                call.compute, call.gradients = _weakly(call.compute), None
            for note in self._brief_before:
                note[0] = _weakly(note[0])
        elif self._before or self._brief_before:
            self._before.clear()
            self._brief_before.clear()
        self.brief.clear()
        self._kept.clear()
        self.micro_batch = 0
        self._unwatched = None

    def differentiated(self) -> None:
        """A backward pass is over, and so any call that was under way is."""
        self._unwatched = None

    def called_since_backward(self) -> bool:
        """Whether a model was called since the last backward pass."""
        return bool(self.kept) and self.kept[-1].micro_batch == self.micro_batch

    def were_for_nothing(self) -> bool:
        """Whether this step's calls with gradients were in training mode, none differentiated."""
        called = [] if self.micro_batch else [call.compute for call in self.kept]
        modes = [model.training for model in called if isinstance(model, nn.Module)]
        return bool(modes) and all(modes)

    def begins_with_asking(self) -> bool:
        """Whether the step's first call asks for a gradient.

        A later call may take what another model returned.
        """
        return bool(self.kept) and self.kept[0].asks_for_gradient

    def of_micro_batch(self, number: int) -> list[Call]:
        """The calls of the step after so many backward passes."""
        return [call for call in self.kept if call.micro_batch == number]

    def of_last_micro_batch(self) -> list[Call]:
        """The calls of the last micro-batch: those between the last two backward passes."""
        return self.of_micro_batch(self.kept[-1].micro_batch) if self.kept else []

    def first_seen(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """An outermost module was called while hooks were on; watch its class from now on."""
        kind = type(module)
        last = self.kept[-1] if self.kept else None
        if kwargs and last is not None and last.compute is module and not last.kwargs:
            last.kwargs = kwargs  # known only once the first call is over
        if kind in self._watched or kind in self._never or issubclass(kind, torch.jit.ScriptModule):
            if self._unwatched is not None and not kwargs:
                # The call under way is over: this is the next one, not a part of it.
                is_part, self._unwatched = self._is_part(module), None
                if is_part:
                    self.add(module, args, kwargs)
            return
        self._watched[kind] = wrap(kind, "__call__", self._patched(kind))
        if not self._inside and torch._C._functorch.peek_interpreter_stack() is None:
            self.add(module, args, kwargs)
            self._unwatched = module

    def release(self, kind: type[nn.Module]) -> None:
        """Stop watching a class for good, as its modules are compiled now."""
        self._never.add(kind)
        if (undo := self._watched.pop(kind, None)) is not None:
            undo()

    def stop(self) -> None:
        """Stop watching every class."""
        self.active = self.keeps_before = False
        self.clear()
        for kind in list(self._watched):
            self.release(kind)

    def add(
        self, compute: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call:
        """Note a call that is about to be made."""
        if self.begins is not None:
            self.begins()
        with_gradients = torch.is_grad_enabled()
        autocast = autocast_now() if _is_autocasting() else ()
        call = Call(compute, args, kwargs, None, autocast, self.micro_batch)
        call.gradients_enabled = with_gradients
        if self.steps_are_long and with_gradients:
            call.random, call.devices = cpu_state(), device_states()
        self.kept.append(call)
        return call

    def around(
        self,
        run: Callable[..., Any],
        compute: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call `run`, and note the call if it is an outermost one of `compute`."""
        if (
            self._inside
            or not self.active
            or self._replayer.active
            or _thread() != self._thread
            or _is_dynamo()
            or _compiler._is_compiling_flag
            or _transforms() is not None
            or (self._unwatched is not None and self._is_part(compute))
        ):
            return run(*args, **kwargs)
        if self.is_light and _are_recorded():
            # Without a guard, so nothing here may raise.
            autocast = autocast_now() if _is_autocasting() else ()
            note: list[Any] = [compute, args, kwargs, autocast, self.micro_batch, None]
            self.brief.append(note)
            self._inside = True
            try:
                output = run(*args, **kwargs)
            finally:
                self._inside = False
            if type(output) is _Tensor or isinstance(output, _Tensor):
                note[-1] = _reference(output)
                if self._kept and not self.brief:  # `kept` was read meanwhile and holds the call
                    self._kept[-1].returned = note[-1]
            return output
        noted = self._note(compute, args, kwargs)
        undo = None
        if noted is not None and not noted.gradients_enabled:
            undo = self.before_evaluation(noted)
        self._inside = True
        try:
            output = run(*args, **kwargs)
        finally:
            self._inside = False
            if undo is not None:
                undo()
        if noted is None:
            return output
        if args and type(args[0]) is torch.Tensor and args[0].dim() == 1:
            rows = tensors_in(output)
            noted.outputs = int(rows[0].shape[0]) if rows and rows[0].dim() else 0
        if isinstance(output, torch.Tensor):
            noted.returned = weakref.ref(output)
        if not noted.gradients_enabled:
            if self.kept and self.kept[-1] is noted:
                self.kept.pop()
            self.on_evaluation(noted, output)
        elif self.steps_are_long:
            self._keep(noted, output, self._arrived)
        return output

    def _is_part(self, compute: Callable[..., Any]) -> bool:
        """Whether `compute` is part of the module whose call was under way (`_unwatched`)."""
        whole = self._unwatched
        return whole is not None and any(compute is part for part in modules_of(whole))

    def _patched(self, kind: type[nn.Module]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        inherited = "__call__" not in vars(kind)

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
                # Looked up at each call: graph tracers replace `nn.Module.__call__` for a while.
                above: Any = super(kind, module)
                run = above.__call__ if inherited else original.__get__(module)
                return self.around(run, module, args, kwargs)

            return __call__

        return make


def _weakly(compute: Callable[..., Any]) -> Callable[[], Callable[..., Any] | None]:
    """A weak reference to a function or bound method, so that its model can be freed."""
    try:
        is_method = isinstance(compute, types.MethodType)
        return weakref.WeakMethod(compute) if is_method else weakref.ref(compute)
    except TypeError:
        return lambda: None


def _whole(calls: deque[Call], brief: deque[list[Any]]) -> deque[Call]:
    """Move the calls noted in brief to `calls`, as `Call` objects, and return those."""
    for compute, args, kwargs, autocast, number, returned in brief:
        calls.append(Call(compute, args, kwargs, None, autocast, number, returned=returned))
    brief.clear()
    return calls


def _keep_gradients(call: Call, output: Any, arrived: Callable[..., Any]) -> None:
    """Keep the gradient of each tensor of an output, as long as the call itself is kept."""
    if isinstance(output, dict):
        output = tuple(output.values())
    reference = weakref.ref(call)
    tensors = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
    for place, tensor in enumerate(tensors[:_MAX_OUTPUTS]):
        # `arrived` is guarded once for all: guarding each hook would cost time in every step.
        tensor.register_hook(unserializable_hook(partial(arrived, reference, place)))


def _arrived(reference: "weakref.ref[Call]", place: int, gradient: torch.Tensor) -> None:
    if (call := reference()) is not None:
        call.gradients = {**(call.gradients or {}), place: gradient}
