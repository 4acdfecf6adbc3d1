"""Notices non-finite losses, gradients and outputs as they appear, before the optimizer acts.

On a CPU a loss is read when it is computed. Reading every gradient would cost several per cent of a
step. Where the program computes the gradients' norm for clipping, that norm is enough; in sampled
steps all gradients are looked at; in other steps as many as `_SHARE` of the time pays for. Those
furthest from the loss come first, as a value that breaks on the way back arrives there, and of a
matrix one column stands for its rows. On an accelerator nothing waits: a loss is copied to the host
asynchronously and looked at once it has arrived. Each rank looks at its own time and at its own
shard of a tensor; there is no communication.
"""

import math
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from nntrace.recorder import LossLevel
from nntrace_torch.nonfinite.gradient_pieces import (
    ALL,
    first_is_finite,
    pieces_of,
    total,
    upstream,
)
from nntrace_torch.nonfinite.origin import Investigator
from nntrace_torch.nonfinite.statements import is_broken
from nntrace_torch.optimizer.optimizers import parameters_of
from nntrace_torch.patching import read_number
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.ranks import local_part
from nntrace_torch.replay.call import Call
from nntrace_torch.samples.buffer import Number, SentNumber
from nntrace_torch.samples.parameters import SampledGradients

_SHARE = 0.001
_FIRST_NS = 8_000  # cost of looking at the gradient furthest from the loss
_GLANCE_NS = 25_000  # fixed cost of looking at several gradients,
_LOOK_NS = 4_000  # and the cost of each
_SEVERAL = 4
_MAX_LOOKS = 256
_LARGE = 1 << 18  # elements; of a larger output only a part is looked at
_EARLY_STEPS = 100
_PENDING = 16
_OWN_INFINITIES = 4  # that a program asked about and that were meant; then they are left alone


class NonfiniteWatch:
    """Watches one process's training.

    Attributes:
        last_loss: returns the loss `backward` was called on last, if it is still alive.
        has_jumped: whether a loss since the last step was far above those before.
        is_thorough: look at every element of every gradient, whatever it costs.
        is_due: whether there is anything to look at before the next optimizer step.
    """

    def __init__(self, investigator: Investigator, guard: Callable[..., Any]) -> None:
        self._guard = guard
        self._investigator = investigator
        self.last_loss: Callable[[], torch.Tensor | None] = lambda: None
        self._turn = 0
        self._steps = 0
        self._credit_ns = 0.0  # the time that may be spent on looking
        self._level = LossLevel()
        self._is_high = False
        self.has_jumped = False
        self.is_thorough = False
        self.is_due = True
        self._pending: deque[_Sent] = deque(maxlen=_PENDING)
        self._own_infinities = 0  # that the program asked about and that were meant
        self._infinite: set[int] = set()  # ids of models whose evaluations return infinities

    def loss(self, loss: torch.Tensor, number: Number) -> None:
        """`backward` is about to be called on a loss, whose value may still be on its way."""
        self.last_loss = weakref.ref(loss)
        if type(number) is float:
            if math.isfinite(number):
                if not self._investigator.was_well:
                    self._investigator.all_is_well()
                self._investigator.weights_are_well()
                is_high = self._level.leaves(number)
                if is_high or self._is_high:
                    self._settle(number, 2, is_high=is_high)
            else:
                self._investigator.loss_broke(loss, sys._getframe(1))
        elif isinstance(number, SentNumber):
            self._pending.append(_Sent(number, weakref.ref(loss), self._steps))
            self.is_due = True

    def weights_are_well(self) -> None:
        """A finite loss was seen that was not passed to `loss`."""
        self._investigator.weights_are_well()

    def _settle(self, loss: float, depth: int, *, is_high: bool) -> None:
        """Note that a finite loss is far above those before; the first such makes a capsule.

        Args:
            loss: its value, unscaled.
            depth: how many frames above this one it was seen.
            is_high: False where the loss has come back to its level.
        """
        before, self._is_high = self._is_high, is_high
        if is_high:
            self.has_jumped = True
            if not before:
                self._investigator.loss_jumped(loss, sys._getframe(depth))

    def loss_function(
        self,
        function: Callable[..., Any],
        loss: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """A loss function has returned a non-finite number."""
        self._investigator.function_broke(function, loss, args, kwargs, sys._getframe(1))

    def before_step(
        self,
        optimizer: Optimizer,
        norm: float | None = None,
        sampled: SampledGradients | None = None,
    ) -> None:
        """The optimizer is about to act on the gradients.

        Args:
            optimizer: the optimizer.
            norm: the norm by which the program clipped the gradients, if it is on the host.
            sampled: a sample's copies of gradients, in sampled steps; all gradients are looked at
                then, which the budget of samples pays for.
        """
        if self._pending:
            self._arrived()
        if sampled is not None:
            if self.is_thorough:
                self.gradients(optimizer, ALL)
            else:
                self._samples(optimizer, sampled)
            return
        if norm is not None and not math.isfinite(norm):
            self._look(optimizer, ALL)
        elif looks := self._looks():
            self._look(optimizer, looks)

    def closure(
        self, optimizer: Optimizer, closure: Callable[[], Any], *, sampled: bool
    ) -> Callable[[], Any]:
        """A closure that looks at the gradients after its first evaluation; the same closure if
        it is not time to.

        Lightning gives a closure to every optimizer; LBFGS evaluates it many times.
        """
        looks = ALL if sampled else self._looks()
        if not looks:
            return closure
        reference = weakref.ref(optimizer)
        look = self._guard(self.gradients if sampled else self._look)
        waits = True

        def evaluate(*args: Any, **kwargs: Any) -> Any:
            nonlocal waits
            result = closure(*args, **kwargs)
            held = reference()
            if waits and held is not None:
                waits = False
                look(held, looks)
            return result

        return evaluate

    def norm_broke(self, parameters: Iterable[torch.Tensor]) -> None:
        """The norm of these parameters' gradients is not finite: find which of them broke."""
        broken = [p for p in parameters if p.grad is not None and is_broken(p.grad)]
        if broken:
            self._arrived()  # reading the gradients has waited for all earlier losses
            names = [self._investigator.name_of(parameter) for parameter in broken]
            self._investigator.gradients_broke(names, self.last_loss(), sys._getframe(1))

    def asked(self, value: torch.Tensor) -> None:
        """The program has asked whether a value with a graph is finite, and it is not.

        The program may skip its step then, so that `backward` is never called on the value.
        """
        may_be_meant = not bool(value.detach().isnan().any())
        self._arrived()  # asking has waited for all earlier losses
        if may_be_meant and self._own_infinities >= _OWN_INFINITIES:
            return
        if not self._investigator.asked(value, sys._getframe(1), may_be_meant=may_be_meant):
            self._own_infinities += 1

    def _look(self, optimizer: Optimizer, looks: int) -> None:
        started = time.perf_counter_ns()
        self.gradients(optimizer, looks)
        if self._steps >= _EARLY_STEPS:
            self._credit_ns -= time.perf_counter_ns() - started

    def gradients(self, optimizer: Optimizer, looks: int) -> None:
        """Look at `looks` gradients, and at all of them if one of these is not finite."""
        is_well = first_is_finite(optimizer) if looks == 1 else None
        if is_well is None:
            looked_at = self._gradients(optimizer, looks)
            is_well = all(math.isfinite(total(g)) for g in looked_at.values())
        if not is_well:
            self.norm_broke(parameters_of(optimizer))

    def _samples(self, optimizer: Optimizer, sampled: SampledGradients) -> None:
        """Look at the gradients that were sampled, and at those that were not."""
        pieces = pieces_of(sampled.others, ALL, is_whole=self.is_thorough) if sampled.others else {}
        looked_at = [*map(total, pieces.values())]
        looked_at += [read_number(room.sum()) for room in sampled.samples if room.is_cpu]
        if not all(map(math.isfinite, looked_at)):
            self.norm_broke(parameters_of(optimizer))

    def step_took(self, duration_ns: int) -> None:
        """The step is over."""
        self._steps += 1
        credit_ns = self._credit_ns = min(
            self._credit_ns + _SHARE * duration_ns, _MAX_LOOKS * _LOOK_NS
        )
        self.is_due = (
            credit_ns >= _FIRST_NS
            or self._steps < _EARLY_STEPS
            or self.is_thorough
            or bool(self._pending)
        )

    @property
    def is_still_due(self) -> bool:
        """Whether there is time left to look at more gradients."""
        return self._looks() > 0

    def steps_took(self, steps: int, duration_ns: int, losses: Iterable[float]) -> None:
        """Steps are over of which only the losses were seen, none of them far above the others.

        Args:
            steps: their number.
            duration_ns: their duration, all together.
            losses: their losses.
        """
        self._level.follow(losses)
        if steps:
            self._steps += steps - 1
            self._credit_ns += _SHARE * duration_ns * (1 - 1 / steps)
            self.step_took(duration_ns // steps)

    def highest_usual(self) -> float:
        """The highest loss that is no jump."""
        return self._level.highest

    def output(self, call: Call, output: Any) -> None:
        """A forward without gradients is over. −∞ alone is not reported: programs mask with it."""
        for whole in tensors_in(output if not isinstance(output, dict) else (*output.values(),)):
            tensor = local_part(whole)
            if tensor.is_floating_point() and tensor.device.type == "cpu" and tensor.numel():
                flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor
                if flat.dim() == 1 and flat.numel() > _LARGE:
                    flat = flat[:: flat.numel() // _LARGE]
                added = read_number(flat.sum())
                if not math.isfinite(added) and id(call.compute) not in self._infinite:
                    has_nan = bool(flat.isnan().any())
                    if (has_nan or bool(flat.isposinf().any())) and not (
                        self._investigator.output_broke(call) or has_nan
                    ):
                        self._infinite.add(id(call.compute))
            return

    def _looks(self) -> int:
        """How many gradients to look at; in the first steps at least one."""
        if self.is_thorough:
            return ALL
        if self._credit_ns >= _GLANCE_NS + _SEVERAL * _LOOK_NS:
            return int((self._credit_ns - _GLANCE_NS) / _LOOK_NS)
        return 1 if self._credit_ns >= _FIRST_NS or self._steps < _EARLY_STEPS else 0

    def _gradients(self, optimizer: Optimizer, looks: int) -> dict[torch.dtype, list[torch.Tensor]]:
        """A piece of each gradient that is to be looked at, by dtype."""
        parameters = parameters_of(optimizer)
        if looks < len(parameters):
            self._turn = (self._turn + looks - 1) % len(parameters)
            turned = parameters[self._turn : self._turn + looks - 1]
            parameters = [*upstream(parameters), *turned]
        gradients = [p.grad for p in parameters if p.grad is not None]
        return pieces_of(gradients, looks, is_whole=self.is_thorough)

    def _arrived(self) -> None:
        """Look at the losses that have arrived from an accelerator since; never waits."""
        while self._pending and self._pending[0].number.has_arrived:
            number, loss, step = self._pending.popleft()
            if not math.isfinite(float(number)):
                ago = self._steps - step
                self._investigator.loss_broke(loss(), sys._getframe(1), steps_ago=ago)
                continue
            self._investigator.all_is_well()
            if step == self._steps:
                self._settle(float(number), 2, is_high=self._level.leaves(float(number)))


class _Sent(NamedTuple):
    """A loss on its way from an accelerator, and the number of its step."""

    number: SentNumber
    loss: Callable[[], torch.Tensor | None]
    step: int
