"""Steps of programs that change their parameters themselves: `p.data -= rate * p.grad`.

Only while no optimizer was built. A step begins when a backward pass is over and ends when the
program goes on to the next forward, loss or backward pass and its parameters are no longer what
they were; where they are, the passes before are accumulated.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from nntrace.recorder import Recorder, is_landmark
from nntrace_torch.observers import Observers
from nntrace_torch.optimizer.optimizers import HandWritten
from nntrace_torch.patching import Undo, after, is_in_backward
from nntrace_torch.program.describe import can_sample
from nntrace_torch.program.graphs import leaves_of
from nntrace_torch.replay.guard import tensors_in

_NODES = 1 << 30  # a weight that is left out would be no weight of the step
_ELEMENTS = 65536  # of the parameter that is compared


class _Before(NamedTuple):
    """A parameter before it may change: how often it was written to, and what it held."""

    version: int
    values: torch.Tensor | None


class StepsByHand:
    """Sees that parameters change without an optimizer.

    Args:
        parts: the observers, some of which are then told first that training goes on.
        begin: a step begins: given what stands for the optimizer.
        end: it is over.
        abandon: it was none.
    """

    def __init__(
        self,
        recorder: Recorder,
        parts: Observers,
        *,
        begin: Callable[[Optimizer], object],
        end: Callable[[Optimizer], object],
        abandon: Callable[[], object],
    ) -> None:
        self._recorder = recorder
        self._parts = parts
        self._begin = begin
        self._end = end
        self._abandon = abandon
        self._optimizer: HandWritten | None = None
        self._watched: Callable[[], torch.Tensor | None] = lambda: None
        self._before: _Before | None = None
        self._is_counted = False  # whether the last change was counted by PyTorch
        self._passes = 0
        self._undos: list[Undo] = []

    def install(self) -> list[Undo]:
        """Watch the end of `backward`."""
        if self._recorder.experiment is not None or self._recorder.replays is not None:
            return []  # what changes the steps of an optimizer cannot change these
        self._look = self._recorder.guard(self._differentiated)
        self._look_again = self._recorder.guard(self._settle)
        self._recorder.hooks.on_end(self._go_on)
        self._undos.append(after(torch.autograd, "backward", self._backward_ended))
        return [self._stop]

    def _stop(self) -> None:
        """Take everything off; also from within one of the hooks."""
        while self._undos:
            self._undos.pop()()

    def _backward_ended(self, result: None, tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        if self._undos and not is_in_backward():
            several = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
            self._look([tensor for tensor in several if isinstance(tensor, torch.Tensor)])

    def _differentiated(self, tensors: Sequence[torch.Tensor]) -> None:
        if self._parts.replayer.active or self._before is not None or self._others():
            return
        self._passes += 1
        self._parts.calls.differentiated()
        if is_landmark(self._passes):
            self._find_parameters(tensors)
        optimizer = self._optimizer
        if optimizer is None:
            return
        is_candidate = _has_some_gradient if self._is_counted else _has_gradient
        changes = next(filter(is_candidate, optimizer.by_size()), None)
        if changes is not None:
            self._watched = weakref.ref(changes)
            values = None if self._is_counted else _elements(changes).clone()
            self._before = _Before(changes._version, values)
            self._begin(optimizer)

    def _go_on(self) -> None:
        """Training goes on, or is over: asked three times in every step."""
        if self._before is not None:
            self._look_again()

    def _settle(self) -> None:
        optimizer, before = self._optimizer, self._before
        if optimizer is None or before is None or self._parts.replayer.active:
            return
        now = self._watched()
        if now is None or self._others():
            self._before = None
            self._abandon()
        elif self._has_changed(now, before):
            self._before = None
            self._end(optimizer)

    def _has_changed(self, now: torch.Tensor, before: _Before) -> bool:
        """Programs that write to `.data` are not counted: of theirs the values are compared."""
        self._is_counted = now._version != before.version
        if self._is_counted:
            return True
        if before.values is None:
            self._before = _Before(before.version, _elements(now).clone())
            return False
        return not torch.equal(_elements(now), before.values)

    def _others(self) -> bool:
        """Whether the program has an optimizer, and nothing is to be seen here any more."""
        has_any = self._parts.optimizers.has_any()
        if has_any:
            self._stop()
        return has_any

    def _find_parameters(self, tensors: Iterable[torch.Tensor]) -> None:
        """Of what was differentiated all leaves but those that a model was called with."""
        given = {id(t) for call in self._parts.calls.kept for t in tensors_in(_arguments(call))}
        leaves = leaves_of(*tensors, most=_NODES)[::-1]  # those nearest to the input first
        found = [leaf for leaf in leaves if id(leaf) not in given and can_sample(leaf)]
        if not found:
            return
        if self._optimizer is None:
            self._optimizer = HandWritten()
            self._go_on_first()
        known = self._optimizer.param_groups[0]["params"]
        self._optimizer.hold({id(leaf): leaf for leaf in (*known, *found)}.values())

    def _go_on_first(self) -> None:
        """Have a step ended before anything of the next is seen."""
        parts, go_on = self._parts, self._go_on
        read, begins, is_called = parts.losses.read, parts.backward.begins, parts.calls.begins

        def computed(loss: torch.Tensor) -> float:
            go_on()
            return read(loss)

        def begun(*args: Any, **kwargs: Any) -> None:
            go_on()
            begins(*args, **kwargs)

        def undo() -> None:
            parts.calls.begins, parts.losses.read, parts.backward.begins = is_called, read, begins

        parts.calls.begins, parts.losses.read, parts.backward.begins = go_on, computed, begun
        self._undos.append(undo)


def _arguments(call: Any) -> tuple[Any, ...]:
    return (*call.args, *call.kwargs.values())


def _has_some_gradient(parameter: torch.Tensor) -> bool:
    return parameter.grad is not None


def _has_gradient(parameter: torch.Tensor) -> bool:
    gradient = parameter.grad
    if gradient is None or gradient.is_sparse:
        return gradient is not None
    return torch.count_nonzero(gradient).item() > 0  # half the time of `any`


def _elements(parameter: torch.Tensor) -> torch.Tensor:
    values = parameter.detach()
    elements = values.numel()
    return values if elements <= _ELEMENTS else values.reshape(-1)[:: elements // _ELEMENTS]
