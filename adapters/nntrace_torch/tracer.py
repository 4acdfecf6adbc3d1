"""Follows the program from optimizer step to optimizer step.

A step ends when an optimizer steps. Module hooks exist only during sampled steps; on the others
the program runs untouched but for the optimizer hooks, which note the step's plain facts.
"""

import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from nntrace.recorder import Recorder
from nntrace_torch.batches import examples_in
from nntrace_torch.buffer import HostCopies, Number, SampleBuffer
from nntrace_torch.by_hand import StepsByHand
from nntrace_torch.devices import allocated_bytes
from nntrace_torch.modules import Model, unwrapped
from nntrace_torch.observers import Observers
from nntrace_torch.optimizers import is_given_closure, is_inside, with_closure
from nntrace_torch.patching import Undo, outside_graphs, remove_hook
from nntrace_torch.replay import Call, ReplayEndedError
from nntrace_torch.step import StepSample

_MAX_TURNS = 4
_PAIR_EVERY = 4  # samples: of that many one goes on for a second step, to compare the two
_WORTH_HOOKS_NS = 3_000_000  # a step shorter than this has no room for more than references


class Tracer:
    """Follows one process's training from optimizer step to optimizer step.

    Attributes:
        parts: the observers, which it calls and which call it back.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._copies = HostCopies()
        self._buffers: dict[Any, SampleBuffer] = {}
        self.parts = Observers(
            recorder,
            root_called=self._root_called,
            backward_begins=self._backward_begins,
            evaluated=self._evaluated,
            skipped=self._skipped,
            compiles=self._compiles,
            is_sampled=lambda: self._sample is not None,
        )
        self._by_hand = StepsByHand(
            recorder,
            self.parts,
            begin=self._begin_by_hand,
            end=lambda optimizer: self._after_step(optimizer, (), {}),
            abandon=self._sample_anew,
        )
        self._sample: StepSample | None = None
        self._tokens = 0
        self._stepping: list[Callable[[], Optimizer | None]] = []
        self._stepping_name = ""
        self._phase_before: str | None = None  # of a step by hand, which is seen to end later
        self._roots: dict[str, Callable[[], nn.Module | None]] = {}
        self._compiles_graphs = False
        self._step_handles: list[Any] = []
        self._step_ended_ns: int | None = None
        self._backward_began_ns = 0
        self._rounds = 0

    def install(self) -> Undo:
        """Put on everything that stays for the whole run, and begin the first sampled step."""
        self._watch_steps(outside_graphs)
        undos = self.parts.install()
        self._recorder.guard(self._begin_sample)()
        undos += self.parts.play() + self._by_hand.install()

        def undo() -> None:
            for one in reversed(undos):
                one()
            for handle in self._step_handles:
                remove_hook(handle)
            self.parts.forward.abandon()
            self.parts.calls.stop()
            self.parts.evaluations.end()
            self.parts.schedules.finish()
            self._sample = self.parts.losses.sample = self.parts.attention.sample = None
            self._copies.flush()

        return undo

    def _watch_steps(self, outside: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Put the optimizer hooks on; `outside` keeps them out of graphs."""
        for handle in self._step_handles:
            handle.remove()
        guard = self._recorder.guard
        self._step_handles = [
            register_optimizer_step_pre_hook(outside(guard(self._before_step))),
            register_optimizer_step_post_hook(outside(guard(self._after_step))),
        ]

    def _begin_sample(self) -> None:
        self._tokens += 1
        self._sample = StepSample(self._recorder.steps, self._tokens, self._limit(), self._buffers)
        self.parts.losses.sample = self.parts.attention.sample = self._sample
        self.parts.forward.start(self._sample)

    def _begin_anew(self, evaluation: StepSample) -> StepSample:
        """Give up what an evaluation that did not switch gradients off left in the sample."""
        evaluation.close()
        self.parts.modes.forget()
        self._tokens += 1
        sample = StepSample(evaluation.step, self._tokens, self._limit(), self._buffers)
        sample.take_kept(evaluation)
        self._sample = self.parts.losses.sample = self.parts.attention.sample = sample
        self.parts.forward.start_anew(sample)
        return sample

    def _limit(self) -> int:
        """The most elements to take of one tensor."""
        return self._recorder.sampling.limit(sum(model.sites for model in self.parts.models.known))

    def _root_called(
        self, model: Model, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        module = unwrapped(module)  # the wrapper's mode may lag behind: nobody calls its `train`
        self._recorder.training_begins()
        self._roots.pop(model.prefix, None)  # the one called last is at the end
        self._roots[model.prefix] = weakref.ref(module)
        if not self.parts.replayer.active:
            self.parts.calls.first_seen(module, args, kwargs)
        sample = self._sample
        if sample is None:
            return
        if not sample.seen_models:
            sample.is_evaluation = not module.training
        elif sample.is_evaluation and module.training and model.prefix in sample.seen_models:
            sample = self._begin_anew(sample)
        if "input" not in sample.seen_roles:
            sample.limit = self._limit()  # until its first call the model was not known
        if model.prefix not in sample.seen_models:
            sample.seen_models.add(model.prefix)
            self.parts.modes.observe(model, module)
        if "input" in sample.seen_roles:
            self.parts.inputs.called_again(model, args, kwargs, sample)
        elif self.parts.inputs.observe(model, args, kwargs, sample):
            sample.seen_roles.add("input")
            sample.describe_batch(
                epoch=self.parts.loaders.epoch, delivered=self.parts.loaders.delivered()
            )

    def _backward_begins(
        self, losses: Sequence[torch.Tensor], numbers: Sequence[Number], *, first: bool
    ) -> None:
        parts, sample = self.parts, self._sample
        if parts.replayer.active:
            self._end_replay()
        if not self._recorder.steps:
            parts.idle.backward(parts.calls.kept[-1] if parts.calls.kept else None)
        if first:
            parts.evaluations.end()
            self._backward_began_ns = time.perf_counter_ns()
            if sample is not None:
                parts.attention.finish()
                parts.clearing.look()
                sample.is_evaluation = False
                if len(losses) == 1:
                    is_scaled = parts.scaling.scale is not None
                    parts.objective.look(losses[0], sample, is_scaled=is_scaled)
        if sample is not None and parts.forward.flow.is_open:
            parts.forward.flow.read(losses)
        for loss, number in zip(losses, numbers, strict=True):
            parts.watch.loss(loss, number)
        parts.calls.micro_batch += 1

    def _evaluated(self, call: Call, output: Any) -> None:
        self.parts.evaluations.called(call)
        self.parts.watch.output(call, output)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """The arguments to step with in place of those given, if other ones are needed."""
        parts, sample = self.parts, self._sample
        if parts.replayer.active:
            self._end_replay()
        # An optimizer that steps another one inside its own step counts as one step. One that
        # raised never came to its post hook and is still in the list.
        if self._stepping and not is_inside(self._stepping[0](), optimizer):
            self._stepping.clear()
        self._stepping.append(weakref.ref(optimizer))
        if len(self._stepping) > 1:
            return None
        parts.ranks.look(optimizer)
        parts.devices.look(optimizer)
        parts.schedules.look()
        self._stepping_name = parts.optimizers.name(optimizer)
        has_closure = parts.investigator.stepping = is_given_closure(args, kwargs)
        # A fused optimizer that finds an overflow of a loss scaler's skips its step itself.
        if not has_closure and getattr(optimizer, "found_inf", None) is None:
            parts.watch.before_step(optimizer, parts.clipping.norm, sampled=sample is not None)
        if sample is not None:
            parts.forward.settle()
            parts.attention.finish()  # of a closure's optimizer, or one without a backward pass
            parts.parameters.before_step(optimizer, self._stepping_name, sample)
            parts.parameters.frozen(sample)
            if not has_closure:
                parts.parameters.gradients(sample, parts.orphans())
                # A fused optimizer divides by the scale itself.
                scale = getattr(optimizer, "grad_scale", None)
                if isinstance(scale, torch.Tensor):
                    sample.unscale(parts.parameters.gradient_sites(), scale)
        if has_closure:
            return with_closure(args, kwargs, lambda given: self._watched(optimizer, given))
        return None

    def _begin_by_hand(self, optimizer: Optimizer) -> None:
        self._before_step(optimizer, (), {})
        self._phase_before = self._phase(optimizer)

    def _watched(self, optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        watched = self.parts.watch.closure(optimizer, closure, sampled=self._sample is not None)
        if watched is not closure:
            # When the gradients are looked at, the loss is no name of any frame any more: a
            # replay then needs what arrived at the model's output.
            self.parts.calls.steps_are_long = True
        return watched

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._stepping or self._stepping[0]() is not optimizer:
            return
        self._stepping.clear()
        has_closure = self.parts.investigator.stepping
        self.parts.investigator.stepping = False
        if self.parts.scaling.has_stepped(optimizer):
            self._discard_sample()
            self._end_step(optimizer, skipped=True)
            return
        sample = self._sample
        if sample is not None:
            if has_closure:
                self.parts.parameters.gradients(sample, self.parts.orphans())
            self.parts.parameters.after_step(sample)
            scale = self.parts.scaling.scale
            if scale is not None:
                sample.unscale(self.parts.forward.gradient_sites, scale)
            self.parts.forward.stop()
            self.parts.losses.sample = self.parts.attention.sample = self._sample = None
            self.parts.modes.record()
            sample.count_examples(self._count_examples())
            sample.finish(self._copies, self._recorder.add_sample)
        self._end_step(optimizer, is_sampled=sample is not None, has_closure=has_closure)

    def _skipped(self, optimizer: Optimizer) -> None:
        """A scaler found gradients that are not finite and did not call the optimizer."""
        self._stepping_name = self.parts.optimizers.name(optimizer)
        self._discard_sample()
        self._end_step(optimizer, skipped=True)

    def _discard_sample(self) -> None:
        """Give a sample up whose gradients overflowed: they say nothing about the training."""
        if self._sample is not None:
            self.parts.forward.stop()
            self._sample.close()
            self.parts.losses.sample = self.parts.attention.sample = self._sample = None

    def _sample_anew(self) -> None:
        """Give a sample up for the same step's next forward."""
        if self._sample is not None:
            self._discard_sample()
            self._begin_sample()

    def _end_step(
        self,
        optimizer: Optimizer,
        *,
        is_sampled: bool = False,
        has_closure: bool = False,
        skipped: bool = False,
    ) -> None:
        parts = self.parts
        self._copies.poll()
        parts.optimizers.observe(optimizer)
        parts.evaluations.end()
        examples = self._count_examples()
        parts.calls.clear()
        parts.calls.steps_are_long = parts.watch.after_step() > _WORTH_HOOKS_NS
        loss, backwards = parts.backward.take(first_only=has_closure)
        clip_norm, clip_limit = parts.clipping.take()
        wants_next = self._recorder.add_step(
            data_wait_ns=parts.loaders.take_wait_ns(),
            loss=loss,
            lr=parts.optimizers.stepped_with(optimizer),
            grad_norm=None,
            batch_size=examples,
            optimizer=self._stepping_name,
            phase=self._phase_before or self._phase(optimizer),
            sampled=is_sampled,
            gradients_cleared=parts.clearing.take(),
            before_backward_ns=self._take_before_backward_ns(),
            backwards=backwards,
            skipped=skipped,
            loss_scale=parts.scaling.take_scale(),
            memory_bytes=allocated_bytes() if is_sampled else None,
            clip_norm=clip_norm,
            clip_limit=clip_limit,
            jumped=parts.watch.take_jump(),
        )
        self._step_ended_ns = time.perf_counter_ns()
        if wants_next:
            if not is_sampled:
                self._begin_round()
            parts.clearing.remember(optimizer, alone=parts.optimizers.count == 1)
            self._begin_sample()

    def _end_replay(self) -> None:
        """A replay that comes to the backward pass has seen the forward it was for."""
        raise ReplayEndedError("the forward is over")

    def _count_examples(self) -> int | None:
        """How many the last forward with gradients was given; of language models the sequences."""
        targets = self.parts.losses.batch_size
        for call in reversed(self.parts.calls.kept):
            if call.gradients_enabled:
                found = examples_in(call.args, call.kwargs, outputs=call.outputs, targets=targets)
                return targets if found is None else found
        return targets

    def _take_before_backward_ns(self) -> int | None:
        """From the end of the last step to the first backward: what no other rank delays."""
        began, ended = self._backward_began_ns, self._step_ended_ns
        self._backward_began_ns = 0
        return began - ended if began and ended is not None else None

    def _phase(self, optimizer: Optimizer) -> str:
        """The mode of the model whose parameters were stepped, as it was called last."""
        roots = self._roots
        if len(roots) > 1:
            groups = optimizer.param_groups
            first = next((group["params"] for group in groups if group["params"]), None)
            model = self.parts.models.model_of(first[0]) if first else None
            if model is not None and model.prefix in roots:
                root = roots[model.prefix]()
                return "eval" if root is not None and not root.training else "train"
        root = None
        for called in roots.values():  # the one called last is at the end
            root = called()
        return "eval" if root is not None and not root.training else "train"

    def _begin_round(self) -> None:
        """Ask for as many steps in a row as the sample that now begins takes.

        Of optimizers that take turns each gets its own: an even interval would for ever see the
        same one of a GAN's two. Where the interval is ours, each gets two of them now and then.
        """
        cadence = self._recorder.cadence
        turns = min(self.parts.optimizers.taking_turns, _MAX_TURNS)
        is_pair = self._rounds % _PAIR_EVERY == 0 and cadence.every is None
        cadence.burst((2 * turns if is_pair else turns) - 1)
        self._rounds += 1

    def _compiles(self) -> None:
        """A compiled step breaks its graph for the hooks, as it does for PyTorch's own purposes."""
        if not self._compiles_graphs:
            self._compiles_graphs = True
            self._watch_steps(torch.compiler.disable)  # not done before: it imports the compiler
