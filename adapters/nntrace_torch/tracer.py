"""Follows training from one optimizer step to the next, whether a step is sampled or not.

Module hooks exist only during sampled steps (`sampled_steps`). In all other steps the program
passes through nntrace at five places, each of which notes a fact or two: the call of the model
(`replay.calls`), of the loss function (`losses`) and of `backward` (`backward`), and, in this
module, before and after the optimizer's step. Right after a step's computation the processor's
caches hold nothing of ours, so the cost is the number of functions and objects touched: what is
rare (scalers, schedulers, clipping, evaluations, several models) is behind an attribute that is
tested first. Measured costs: `docs/performance.md`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace_torch.by_hand import StepsByHand
from nntrace_torch.called_models import CalledModels, phase_of
from nntrace_torch.late_steps import LateSteps
from nntrace_torch.light_steps import LightSteps
from nntrace_torch.observers import Observers
from nntrace_torch.optimizer.optimizers import (
    HandWritten,
    Known,
    is_given_closure,
    is_inside,
    with_closure,
)
from nntrace_torch.optimizer.step_hooks import StepHooks
from nntrace_torch.patching import Undo, outside_graphs
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.guard import ReplayEndedError
from nntrace_torch.sampled_steps import SampledSteps
from nntrace_torch.samples.buffer import Number
from nntrace_torch.samples.modules import Model, unwrapped
from nntrace_torch.step_facts import StepFacts

_WORTH_HOOKS_NS = 3_000_000  # in a shorter step, calls are kept by reference and nothing else


class Tracer:
    """Follows one process's training from optimizer step to optimizer step.

    Attributes:
        parts: the observers, which the tracer calls and which call it back.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.parts = Observers(
            recorder,
            root_called=self._root_called,
            backward_begins=self._backward_begins,
            evaluated=self._evaluated,
            skipped=self._skipped,
            compiles=self._compiles,
            is_sampled=lambda: self._samples.current is not None,
        )
        self._samples = SampledSteps(recorder, self.parts)
        self._by_hand = StepsByHand(
            recorder,
            self.parts,
            begin=self._begin_by_hand,
            end=lambda optimizer: self._after_step(optimizer, (), {}),
            abandon=self._samples.begin_again,
        )
        self._stepping: Known | None = None  # the optimizer whose step is under way
        self._stepped: Known | None = None  # the optimizer that stepped last
        self._late = LateSteps(recorder)
        self._step_hooks = StepHooks()
        self._models = CalledModels(self.parts.models)
        self._facts = StepFacts(recorder, self.parts, self._models.of)
        self._light = LightSteps(
            recorder,
            self.parts,
            self._late,
            self._step_hooks,
            model_of=self._models.of,
            ended=self._light_ended,
            unforeseen=self._stepped_unforeseen,
            wanted=self._sample_next,
        )
        self.parts.scaling.used = self._light.end_if_on
        self.parts.schedules.built = self._light.look_again
        self._has_closure = False
        self._compiles_graphs = False

    @property
    def has_left_out_functions(self) -> bool:
        """Whether `torch.func` computed gradients by what is no parameter of a module."""
        return self._by_hand.functional.left_out

    def install(self) -> Undo:
        """Install the hooks that stay for the whole run, and begin the first sampled step."""
        self._watch_steps(outside_graphs)
        self._recorder.hooks.on_gathering(self._recorder.guard(self._gathered))
        undos = self.parts.install()
        self._recorder.guard(self._samples.begin)()
        undos += self.parts.play() + self._by_hand.install()

        def undo() -> None:
            for one in reversed(undos):
                one()
            self._step_hooks.take_off()
            self.parts.forward.abandon()
            self.parts.calls.stop()
            self.parts.evaluations.end()
            self.parts.schedules.finish()
            self.parts.loaders.finish()
            self._samples.leave()
            self._samples.copies.flush()

        return undo

    def _watch_steps(self, outside: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Install the optimizer hooks; `outside` keeps the compiler from tracing into them."""
        self._light.end_if_on()
        guard = self._recorder.guard
        self._step_hooks.put_on(outside(guard(self._before_step)), outside(guard(self._after_step)))

    def _light_ended(self, step_ended_ns: int) -> None:
        self._facts.ended_ns = step_ended_ns

    def _stepped_unforeseen(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """During light steps, an optimizer has stepped whose pre-step hook did not run."""
        known = self._stepped = self.parts.optimizers.entry(optimizer)
        given = is_given_closure(args, kwargs)
        self._end_step(optimizer, known, has_closure=given)

    def _root_called(
        self, model: Model, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        module = unwrapped(module)  # the wrapper's mode may lag behind: nobody calls its `train`
        self._recorder.training_begins()
        self._models.add(model, module)
        if not self.parts.replayer.active:
            self.parts.calls.first_seen(module, args, kwargs)
        sample = self._samples.current
        if sample is not None:
            self._samples.called(sample, model, module, args, kwargs)

    def _backward_begins(
        self, losses: Sequence[torch.Tensor], numbers: Sequence[Number], *, first: bool
    ) -> None:
        parts, sample = self.parts, self._samples.current
        if parts.replayer.active:
            self._end_replay()
        if not self._recorder.steps:
            parts.idle.backward(parts.calls.kept[-1] if parts.calls.kept else None)
        if first:
            if parts.evaluations.open:
                parts.evaluations.end()
            if parts.clipping.calls:
                parts.clipping.backward_begins()
            self._facts.backward_began_ns = time.perf_counter_ns()
        if sample is not None:
            self._samples.backward_begins(sample, losses, numbers, first=first)
        for loss, number in zip(losses, numbers, strict=True):
            parts.watch.loss(loss, number)
        parts.calls.micro_batch += 1

    def _evaluated(self, call: Call, output: Any) -> None:
        self.parts.evaluations.called(call)
        self._light.look_again()
        self.parts.watch.output(call, output)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Runs before `optimizer.step`; the arguments to step with, if they must be replaced."""
        parts, sample = self.parts, self._samples.current
        if parts.replayer.active:
            self._end_replay()
        # An optimizer that steps another one inside its own step counts as one step. If a step
        # raised, its post hook never ran and `_stepping` still holds that optimizer.
        if self._stepping is not None and is_inside(self._stepping.reference(), optimizer):
            return None
        known = self._stepped
        if known is None or known.reference() is not optimizer:
            known = self._stepped = parts.optimizers.entry(optimizer)
        self._stepping = known
        if parts.schedules.known:
            parts.schedules.look()
        has_closure = (len(args) > 1 or bool(kwargs)) and is_given_closure(args, kwargs)
        self._has_closure = has_closure
        norm = parts.clipping.norm if parts.clipping.calls else None
        gradients = None
        if sample is not None:
            parts.ranks.look(optimizer)
            parts.devices.look(optimizer)
            name = known.name
            gradients = self._samples.before_step(sample, optimizer, name, has_closure=has_closure)
        # A fused optimizer that is given `found_inf` by a loss scaler skips its step itself. Before
        # a step by hand scaled gradients may overflow, as they may before any scaler's.
        if (
            (parts.watch.is_due or sample is not None or norm is not None)
            and not has_closure
            and getattr(optimizer, "found_inf", None) is None
            and not (type(optimizer) is HandWritten and parts.scaling.is_in_gradients)
        ):
            parts.watch.before_step(optimizer, norm, gradients)
        if has_closure:
            parts.investigator.stepping = True
            return with_closure(args, kwargs, lambda given: self._watched(optimizer, given))
        return None

    def _begin_by_hand(self, optimizer: Optimizer) -> None:
        self._before_step(optimizer, (), {})
        self._facts.phase_before = phase_of(self._models.of(optimizer)())

    def _watched(self, optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        is_sampled = self._samples.current is not None
        watched = self.parts.watch.closure(optimizer, closure, sampled=is_sampled)
        if watched is not closure:
            # By the time the gradients are looked at, no frame holds the loss any more: a replay
            # then needs the gradient that arrived at the model's output.
            self.parts.calls.steps_are_long = True
        return watched

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        known = self._stepping
        if known is None or known.reference() is not optimizer:
            return
        self._stepping = None
        has_closure, parts = self._has_closure, self.parts
        if has_closure:
            parts.investigator.stepping = False
        if parts.scaling.is_used and parts.scaling.has_stepped(optimizer):
            self._samples.discard()
            self._end_step(optimizer, known, skipped=True)
            return
        sample = self._samples.current
        if sample is not None:
            examples = self._facts.count_examples()
            self._samples.after_step(sample, examples, has_closure=has_closure)
        self._end_step(optimizer, known, is_sampled=sample is not None, has_closure=has_closure)

    def _skipped(self, optimizer: Optimizer) -> None:
        """A loss scaler found non-finite gradients and did not call the optimizer."""
        self._samples.discard()
        self._end_step(optimizer, self.parts.optimizers.entry(optimizer), skipped=True)

    def _gathered(self) -> None:
        """An optimizer of another framework keeps gradients for a step to come."""
        self._light.end_if_on()
        self._facts.gather()
        self.parts.clearing.gathered()

    def _end_step(
        self,
        optimizer: Optimizer,
        known: Known,
        *,
        is_sampled: bool = False,
        has_closure: bool = False,
        skipped: bool = False,
    ) -> None:
        parts, facts = self.parts, self._facts
        if self._samples.copies.waiting:
            self._samples.copies.poll()
        if not known.announced or parts.optimizers.count > 1:
            parts.optimizers.observe(optimizer, known)
        if parts.evaluations.open:
            parts.evaluations.end()
        before_ns, now = facts.ended_ns, time.perf_counter_ns()
        is_gathered = facts.is_gathered
        step = facts.take(optimizer, known, now, has_closure=has_closure)
        may_turn_light = False
        if is_sampled or skipped or facts.is_remarkable(step):
            more = facts.take_more(optimizer, is_sampled=is_sampled, skipped=skipped)
            wants_next = self._late.add_now(step, **more)
            facts.ended_ns = time.perf_counter_ns()  # when the recorder's next step begins
        else:
            wants_next = self._late.add(step)
            facts.ended_ns = now
            may_turn_light = not (
                has_closure or facts.phase_before or is_gathered or self._compiles_graphs
            )
        parts.calls.clear(gradients_are_well=is_sampled)
        parts.watch.step_took(now - before_ns)
        parts.calls.steps_are_long = now - before_ns > _WORTH_HOOKS_NS
        if wants_next:
            self._sample_next(optimizer, goes_on=is_sampled)
        elif is_sampled:
            parts.forward.gradients.forget()
        elif may_turn_light and not self._late.waiting and self._recorder.wants_light:
            self._light.begin(facts.ended_ns)

    def _sample_next(self, optimizer: Optimizer, *, goes_on: bool = False) -> None:
        if not goes_on:
            self._samples.begin_round()
        alone = self.parts.optimizers.count == 1
        self.parts.clearing.remember(optimizer, alone=alone, goes_on=goes_on)
        self._samples.begin()

    def _end_replay(self) -> None:
        """Leave a replay that has reached the backward pass: it was for the forward only."""
        raise ReplayEndedError("the forward is over")

    def _compiles(self) -> None:
        """The program compiles code: from now on a compiled step breaks its graph at our optimizer
        hooks, as it does for PyTorch's own purposes.
        """
        if not self._compiles_graphs:
            self._compiles_graphs = self.parts.evaluations.compiles = True
            self._watch_steps(torch.compiler.disable)  # not done before: it imports the compiler
