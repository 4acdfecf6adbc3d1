"""Collects the losses on which `backward` is called between optimizer steps: a step's objective."""

from collections.abc import Callable
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace_torch.optimizer.scaling import LossScaling
from nntrace_torch.patching import Undo, after, is_captured, is_in_backward, read_number, wrap
from nntrace_torch.program.devices import queue
from nntrace_torch.program.tensors import as_plain, can_sample
from nntrace_torch.samples.buffer import Number, SentNumber

_MANY_LOSSES = 1024


class BackwardObserver:
    """Collects the scalars that are differentiated, unscaled, without waiting for their values.

    Attributes:
        seen: whether `backward` has been called at all.
        asks: whether the program has asked for gradients of its own choice, by `autograd.grad`.
        number_of: returns the value of a loss if it is known without reading the tensor again.
        begins: called with the losses that a backward pass begins with, and their values.
        light: called first, with the loss; True if it has noted the loss and nothing else is to
            be done. None while steps are not light.
    """

    def __init__(
        self, recorder: Recorder, scaling: LossScaling, begins: Callable[..., None]
    ) -> None:
        self._recorder = recorder
        self._scaling = scaling
        self.begins = begins
        self.number_of: Callable[[torch.Tensor], float | None] = lambda loss: None
        self._afterwards: Callable[[], object] | None = None
        self.light: Callable[[Any], object] | None = None
        self._losses: list[Number] = []
        self._by_hand: list[Number] = []
        self._backwards = 0
        self.seen = self.asks = False

    def install(self) -> list[Undo]:
        """Watch `backward` and `torch.autograd.grad`."""
        return [
            wrap(torch.autograd, "backward", self._watched),
            after(torch.autograd, "grad", self._recorder.guard(self._grad)),
        ]

    def noted(self, number: Number) -> None:
        """Count a backward pass from a loss whose value is known already."""
        self._losses.append(number)
        self._backwards += 1

    def call_afterwards(self, call: Callable[[], object]) -> None:
        """Have this called once, when the backward pass that begins is over."""
        self._afterwards = call

    def computed(self, loss: torch.Tensor) -> None:
        """Count a pass that is over, of a loss that has a value and no graph."""
        self.begins([], [], first=not self._backwards)
        self.noted(self._number(loss))

    def differentiates(self, losses: Any) -> None:
        """Count a pass of `torch.autograd.grad` in place of one of `backward`."""
        self._backward(losses)

    def take(
        self, *, first_only: bool, calls: int = 1
    ) -> tuple[float | Callable[[], float] | None, int]:
        """The objective since the last call, and the number of backward passes it took.

        The objective is the sum of the losses `backward` was called on or, if there were none, of
        those `autograd.grad` was called on. It is a function while a value is still on its way
        from an accelerator, and None without any loss.

        Args:
            first_only: take the first loss only: a closure evaluates the objective several times,
                the first time at the parameters with which the step began.
            calls: how many of an optimizer the losses are of, which averages their gradients.
        """
        losses = self._losses or self._by_hand
        backwards, self._backwards = self._backwards, 0
        self._losses, self._by_hand = [], []
        if not losses:
            return None, backwards
        if (len(losses) == 1 or first_only) and type(losses[0]) is float:  # nearly every step
            return losses[0], backwards
        if first_only:
            losses = losses[:1]

        def total() -> float:
            return float(sum(map(float, losses))) / calls

        on_its_way = any(isinstance(loss, SentNumber) for loss in losses)
        return (total if on_its_way else total()), backwards

    def _watched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        observe = self._recorder.guard(self._backward)
        ended = self._recorder.guard(self._ended)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            light = self.light
            if (light is not None and args and light(args[0])) or is_captured():
                return original(*args, **kwargs)
            observe(*args, **kwargs)
            result = original(*args, **kwargs)
            if self._afterwards is not None:
                ended()
            return result

        return wrapper

    def _backward(self, tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        if is_in_backward():
            return  # called by a checkpoint within a backward pass that was counted
        number = None if self._scaling.is_used else self.number_of(tensors)
        numbers: list[Number]
        if number is not None:  # the case of nearly every program
            losses, numbers = [tensors], [number]
        else:
            losses = _scalars(tensors)
            if not losses and isinstance(tensors, torch.Tensor) and tensors.is_meta:
                return  # it counts operations, on tensors without memory
            numbers = [self._number(loss) for loss in losses]
        self.begins(losses, numbers, first=not self._backwards)
        self.seen = True
        self._backwards += 1
        self._losses += numbers
        if self._backwards >= _MANY_LOSSES:
            self._losses = _shortened(self._losses)

    def _ended(self) -> None:
        afterwards = self._afterwards
        if afterwards is not None and not is_in_backward():
            self._afterwards = None
            afterwards()

    def _grad(
        self,
        result: Any,
        outputs: Any = None,
        inputs: Any = None,
        grad_outputs: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self.asks = True
        # With a graph of its own the gradient is part of a penalty, or of a loss yet to come.
        if not create_graph and grad_outputs is None and not is_in_backward():
            self._by_hand += [self._number(loss) for loss in _scalars(outputs)]
            if len(self._by_hand) >= _MANY_LOSSES:
                self._by_hand = _shortened(self._by_hand)

    def _number(self, loss: torch.Tensor) -> Number:
        """The unscaled loss, without waiting for it."""
        unscaled = self._scaling.unscaled(loss) if self._scaling.is_used else loss
        if unscaled.is_cpu:
            return float(read_number(unscaled))
        sends = queue(unscaled.device) is not None and not is_captured()
        return SentNumber(unscaled) if sends else unscaled.detach()


def _shortened(losses: list[Number]) -> list[Number]:
    """The first loss and the sum of the rest, for programs that never make a step."""
    return [losses[0], sum(float(loss) for loss in losses[1:])] if losses else losses


def _scalars(tensors: Any) -> list[torch.Tensor]:
    if type(tensors) is torch.Tensor:  # the case of nearly every program
        return [tensors] if can_sample(tensors) and tensors.numel() == 1 else []
    found = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
    return [tensor for tensor in map(as_plain, found) if can_sample(tensor) and tensor.numel() == 1]
