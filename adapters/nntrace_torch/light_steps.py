"""Steps of which only what cannot be given up is noted: where they are so short that noting all
plain facts of each would exceed the budget (`nntrace.recorder.plain_facts` decides).

That is: that there was a step and when it ended, its loss and learning rate, and what finding the
origin of a NaN needs, the calls of the models. A loss far above those before, or one that is not
finite, an optimizer that was not seen to step before, or one with a closure ends them at once, so
that what follows is noted as ever; evaluations are seen whole in between. Of the five places that a
step passes (`tracer`) the loss function and the time before the optimizer are left alone.
"""

import math
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace_torch.called_models import phase_of
from nntrace_torch.late_steps import LateSteps
from nntrace_torch.observers import Observers
from nntrace_torch.optimizer.optimizers import Known, is_given_closure, is_inside
from nntrace_torch.optimizer.step_hooks import StepHooks
from nntrace_torch.patching import outside_graphs, read_number

_LARGEST = sys.float_info.max  # an infinite loss is never usual
_tracing_state = torch._C._get_tracing_state


class LightSteps:
    """Those of one process.

    Args:
        recorder: where steps go.
        parts: the observers, whose work is cut short.
        late: where steps wait to be recorded.
        hooks: those of optimizers, in whose place others are put.
        model_of: finds the model whose parameters an optimizer steps, as a reference.
        ended: told when they end: when the last one did.
        unforeseen: given an optimizer that has stepped and was not watched, its arguments.
        wanted: told that the next step is to be sampled, and which optimizer stepped last.

    Attributes:
        are_on: whether the current step is one.
    """

    def __init__(
        self,
        recorder: Recorder,
        parts: Observers,
        late: LateSteps,
        hooks: StepHooks,
        *,
        model_of: Callable[[Optimizer], Callable[[], nn.Module | None]],
        ended: Callable[[int], object],
        unforeseen: Callable[..., object],
        wanted: Callable[[Optimizer], object],
    ) -> None:
        self._recorder = recorder
        self._parts = parts
        self._late = late
        self._hooks = hooks
        self._model_of = model_of
        self._ended = ended
        self._unforeseen = unforeseen
        self._wanted = wanted
        self._differentiates = recorder.guard(self._differentiated)
        self._before_step = outside_graphs(recorder.guard(self._look))
        self._after_step = recorder.guard(self._stepped)
        self.are_on = False
        self._known: dict[int, tuple[Known, Callable[[], nn.Module | None]]] = {}
        # Found at once: a step touches as few objects as it can.
        self._calls, self._watch, self._loaders = parts.calls, parts.watch, parts.loaders
        self._clipping = parts.clipping
        self._numbers: list[float] = []  # of the current step's losses
        self._losses: list[float] = []  # that are yet to be followed
        self._is_due = False
        self._highest = math.inf
        self._steps = 0
        self._step_ended_ns = self._settled_ns = 0

    def begin(self, now: int) -> None:
        """The next step is the first; the last one has ended `now`."""
        parts = self._parts
        self.are_on = parts.calls.is_light = parts.losses.is_light = parts.clipping.is_light = True
        parts.backward.light = self._differentiates
        parts.calls.steps_are_long = False
        parts.losses.batch_size = None
        self._known = {
            id(optimizer): (known, self._model_of(optimizer))
            for known in parts.optimizers.stepped()
            if (optimizer := known.reference()) is not None
        }
        self._step_ended_ns = self._settled_ns = now
        self._highest = min(parts.watch.highest_usual(), _LARGEST)
        self._hooks.exchange(self._before_step if parts.watch.is_due else None, self._after_step)

    def end(self) -> None:
        """What follows is noted as ever, the rest of the current step included."""
        parts = self._parts
        self.are_on = parts.calls.is_light = parts.losses.is_light = parts.clipping.is_light = False
        parts.backward.light = None
        for number in self._numbers:
            parts.backward.noted(number)
        self._losses += self._numbers
        self._numbers.clear()
        self._settle()
        self._hooks.put_back()
        self._ended(self._step_ended_ns)

    def end_if_on(self) -> None:
        """The same, where there are any."""
        if self.are_on:
            self.end()

    def _differentiated(self, loss: Any) -> bool:
        """`backward` is about to be called; whether everything needed of that was noted."""
        if type(loss) is torch.Tensor and loss.is_cpu and _tracing_state() is None:
            try:
                is_usual = -math.inf < (number := read_number(loss)) <= self._highest
            except (RuntimeError, TypeError):  # it is no number, or no real one
                is_usual = False
            if is_usual:
                if self._is_due:
                    self._catch_up()
                self._watch.last_loss = weakref.ref(loss)
                self._numbers.append(number)
                self._calls.micro_batch += 1
                return True
        self._give_up()
        return False

    def _catch_up(self) -> None:
        """What is not looked at in every step."""
        self._is_due = False
        parts = self._parts
        if parts.evaluations.open:
            parts.evaluations.end()
        parts.schedules.look()
        parts.watch.weights_are_well()

    def _look(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Look at some of the gradients, as it is time to."""
        if id(optimizer) in self._known and getattr(optimizer, "found_inf", None) is None:
            self._watch.before_step(optimizer)
            if self.are_on and not self._watch.is_still_due:
                self._hooks.exchange(None, self._after_step)

    def _stepped(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """An optimizer has stepped."""
        known, model = self._known.get(id(optimizer), (None, None))
        if (
            known is None
            or model is None
            or known.reference() is not optimizer
            or ((len(args) > 1 or kwargs) and is_given_closure(args, kwargs))
        ):
            if not any(is_inside(one.reference(), optimizer) for one, _ in self._known.values()):
                self._give_up()
                self._unforeseen(optimizer, args, kwargs)
            return
        now = time.perf_counter_ns()
        loaders, clipping, numbers = self._loaders, self._clipping, self._numbers
        groups = optimizer.param_groups
        rate = groups[0].get("lr") if groups else None
        if type(rate) is float:
            known.rate = rate
        else:
            rate = self._parts.optimizers.stepped_with(optimizer, known)
        backwards = len(numbers)
        loss = numbers[0] if backwards == 1 else sum(numbers) if backwards else None
        self._losses += numbers
        numbers.clear()
        wants_next = self._late.add(
            (
                now,
                loaders.take_wait_ns() if loaders.wait_ns else 0,
                loss,
                rate,
                None,
                known.name,
                phase_of(model()),
                None,
                backwards,
                *(clipping.take() if clipping.calls else (None, None)),
            ),
            light=True,
        )
        self._step_ended_ns = now
        self._steps += 1
        self._calls.clear()
        if wants_next:
            self.end()
            self._wanted(optimizer)
        elif not self._late.waiting:
            if self._recorder.wants_light:
                self._settle()
            else:
                self.end()

    def look_again(self) -> None:
        """There is something to be looked at when training goes on."""
        self._is_due = True

    def _give_up(self) -> None:
        self._recorder.pace.facts.look_closer()
        self.end()

    def _settle(self) -> None:
        """Catch up with what is followed from step to step."""
        parts = self._parts
        losses, self._losses = self._losses, []
        steps, self._steps = self._steps, 0
        self._is_due = True
        parts.watch.steps_took(steps, self._step_ended_ns - self._settled_ns, losses)
        self._highest = min(parts.watch.highest_usual(), _LARGEST)
        self._settled_ns = self._step_ended_ns
        if parts.watch.is_due and self.are_on:
            self._hooks.exchange(self._before_step, self._after_step)
