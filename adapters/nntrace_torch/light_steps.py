"""Light steps: steps so short that recording all plain facts of each would exceed the budget.

`nntrace.recorder.plain_facts` decides when they begin and end. Of a light step only this is
recorded: that it was made and when it ended, its loss and learning rate, and the calls of the
models, which finding the origin of a NaN needs. A loss that is far above those before or not
finite, an optimizer that has not stepped before, or one with a closure ends light steps at once.
Evaluations in between are observed in full. Of the five places that a step passes (`tracer`), the
loss function and the time before the optimizer are left alone.
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
from nntrace_torch.late_steps import LONGEST_NS, LateSteps
from nntrace_torch.observers import Observers
from nntrace_torch.optimizer.optimizers import Known, is_given_closure, is_inside
from nntrace_torch.optimizer.step_hooks import StepHooks
from nntrace_torch.patching import outside_graphs, read_number

_LARGEST = sys.float_info.max  # an infinite loss is never usual
# Called in every step, so looked up as global names, not as chains of attributes.
_tracing_state = torch._C._get_tracing_state
_graph_task = torch._C._current_graph_task_id
_clock = time.perf_counter_ns
_reference = weakref.ref
_UNKNOWN = None, None


class LightSteps:
    """The light steps of one process.

    Args:
        recorder: where steps go.
        parts: the observers, whose work is cut short.
        late: where steps wait to be recorded.
        hooks: the optimizer hooks, which light steps exchange for cheaper ones.
        model_of: finds the model whose parameters an optimizer steps, as a weak reference.
        ended: called when light steps end, with the time at which the last one ended.
        unforeseen: called with an unwatched optimizer that has stepped, and its arguments.
        wanted: called with the last optimizer when the next step is to be sampled.

    Attributes:
        are_on: whether the current step is a light one.
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
        self._look_closer = recorder.guard(self._differentiated)
        self._before_step = outside_graphs(recorder.guard(self._look))
        self._record = recorder.guard(self._recorded)
        self._another_stepped = recorder.guard(self._stepped_unforeseen)
        self._rate = recorder.guard(parts.optimizers.stepped_with)
        self.are_on = False
        self._known: dict[int, tuple[Known, Callable[[], nn.Module | None]]] = {}
        # Kept as attributes of this object: a step should touch as few objects as it can.
        self._calls, self._watch, self._loaders = parts.calls, parts.watch, parts.loaders
        self._stepping: Known  # the optimizer that stepped last, and the model it trains
        self._model: Callable[[], nn.Module | None]
        self._last_loss: Callable[[], torch.Tensor | None] = lambda: None
        self._losses: list[float] = []  # not yet passed on to the watch for jumps
        self._earlier = 0  # how many of them belong to steps that are over
        self._is_due = False
        self._highest = math.inf
        self._steps = 0
        self._step_ended_ns = self._settled_ns = self._latest_ns = 0
        self._spent_ns = 0  # not yet charged to the account

    def begin(self, now: int) -> None:
        """Make light steps from the next one on; the last full step has ended `now`."""
        parts = self._parts
        self._known = {
            id(optimizer): (known, self._model_of(optimizer))
            for known in parts.optimizers.stepped()
            if (optimizer := known.reference()) is not None
        }
        if not self._known:
            return
        self.are_on = parts.calls.is_light = parts.losses.is_light = parts.clipping.is_light = True
        parts.backward.light = self._differentiates
        parts.calls.steps_are_long = False
        parts.losses.batch_size = None
        self._last_loss = parts.watch.last_loss
        parts.watch.last_loss = lambda: self._last_loss()
        parts.clipping.unusual = self._give_up
        self._stepping, self._model = next(iter(self._known.values()))
        self._step_ended_ns = self._settled_ns = now
        self._latest_ns = now + LONGEST_NS
        self._highest = min(parts.watch.highest_usual(), _LARGEST)
        self._hooks.exchange(self._before_step if parts.watch.is_due else None, self._stepped)

    def end(self) -> None:
        """Make full steps again; the rest of the current step is observed in full, too."""
        parts = self._parts
        self.are_on = parts.calls.is_light = parts.losses.is_light = parts.clipping.is_light = False
        parts.backward.light = None
        parts.watch.last_loss = self._last_loss
        for number in self._losses[self._earlier :]:
            parts.backward.noted(number)
        self._charge()
        self._settle()
        self._hooks.put_back()
        self._ended(self._step_ended_ns)

    def end_if_on(self) -> None:
        """End light steps if they are on."""
        if self.are_on:
            self.end()

    def _differentiates(self, loss: Any) -> bool:
        """`backward` is about to be called on `loss`; whether that was dealt with here.

        Runs without a guard, so nothing in it may raise.
        """
        if type(loss) is torch.Tensor and loss.is_cpu and not self._is_due:
            began = _clock()
            if _graph_task() == -1 and _tracing_state() is None:
                try:
                    is_usual = -math.inf < (number := read_number(loss)) <= self._highest
                except (RuntimeError, TypeError):  # it is no number, or no real one
                    is_usual = False
                if is_usual:
                    self._last_loss = _reference(loss)
                    self._losses.append(number)
                    self._calls.micro_batch += 1
                    self._spent_ns += _clock() - began
                    return True
        return bool(self._look_closer(loss))

    def _differentiated(self, loss: Any) -> bool:
        """As `_differentiates`, for a loss that is not usual; ends light steps if need be."""
        if _graph_task() != -1:
            return False  # called by a checkpoint within a backward pass that was noted
        if self._is_due:
            self._is_due = False
            is_noted = self._differentiates(loss)
            if is_noted:
                self._catch_up()
            return is_noted
        self._give_up()
        return False

    def _catch_up(self) -> None:
        """Look at what light steps look at only now and then."""
        self._is_due = False
        parts = self._parts
        if parts.evaluations.open:
            parts.evaluations.end()
        parts.schedules.look()
        parts.watch.weights_are_well()

    def _look(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Runs before `optimizer.step` when it is time to look at some of the gradients."""
        if id(optimizer) in self._known and getattr(optimizer, "found_inf", None) is None:
            self._watch.before_step(optimizer)
            if self.are_on and not self._watch.is_still_due:
                self._hooks.exchange(None, self._stepped)

    def _stepped(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Runs after `optimizer.step`, without a guard, so nothing in it may raise."""
        now = _clock()
        if (self._stepping.reference() is not optimizer and not self._turns_to(optimizer)) or (
            (len(args) > 1 or kwargs) and is_given_closure(args, kwargs)
        ):
            self._another_stepped(optimizer, args, kwargs)
            return
        losses, wait_ns = self._losses, self._loaders.wait_ns
        passes = len(losses) - self._earlier
        if passes == 1:
            self._earlier += 1
            loss: float | None = losses[-1]
        else:
            loss = sum(losses[self._earlier :]) if passes else None
            self._earlier = len(losses)
        if wait_ns:
            self._loaders.wait_ns = 0
        try:
            rate = optimizer.param_groups[0]["lr"]
            module = self._model()
            phase = "train" if module is None or module.training else "eval"
        except (AttributeError, LookupError, TypeError):
            rate, phase = None, "train"
        known, late, calls = self._stepping, self._late, self._calls
        if type(rate) is not float:
            rate = self._rate(optimizer, known)
        known.rate = rate
        name, waiting = known.name, late.waiting
        waiting.append((now, wait_ns, loss, rate, None, name, phase, None, passes, None, None))
        self._step_ended_ns = now
        self._steps += 1
        calls.clear()
        self._spent_ns += _clock() - now
        if len(waiting) >= late.room or now >= self._latest_ns:
            self._record(optimizer)

    def _recorded(self, optimizer: Optimizer) -> None:
        """Record the waiting steps, and decide whether light steps go on."""
        self._latest_ns = self._step_ended_ns + LONGEST_NS
        self._charge()
        if self._late.record(light=True):
            self.end()
            self._wanted(optimizer)
        elif self._recorder.wants_light:
            self._settle()
        else:
            self.end()

    def _turns_to(self, optimizer: Optimizer) -> bool:
        """Make `optimizer` the one that steps now; False if it is not among the known ones."""
        known, model = self._known.get(id(optimizer), _UNKNOWN)
        if known is None or model is None or known.reference() is not optimizer:
            return False
        self._stepping, self._model = known, model
        return True

    def _stepped_unforeseen(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not any(is_inside(one.reference(), optimizer) for one, _ in self._known.values()):
            self._give_up()
            self._unforeseen(optimizer, args, kwargs)

    def _charge(self) -> None:
        spent_ns, self._spent_ns = self._spent_ns, 0
        self._recorder.account.hooks_ns += spent_ns

    def look_again(self) -> None:
        """Have the next `backward` look at what light steps look at only now and then."""
        self._is_due = True

    def _give_up(self) -> None:
        self._recorder.pace.facts.look_closer()
        self.end()

    def _settle(self) -> None:
        """Pass on the losses and the time of the steps since the last call."""
        parts = self._parts
        losses, self._losses, self._earlier = self._losses, [], 0
        steps, self._steps = self._steps, 0
        self._is_due = True
        parts.watch.steps_took(steps, self._step_ended_ns - self._settled_ns, losses)
        self._highest = min(parts.watch.highest_usual(), _LARGEST)
        self._settled_ns = self._step_ended_ns
        if parts.watch.is_due and self.are_on:
            self._hooks.exchange(self._before_step, self._stepped)
