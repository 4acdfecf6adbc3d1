"""The PyTorch adapter: wires the observers together and follows the program from step to step.

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
from nntrace.schema import EventKind
from nntrace_torch.attention import AttentionObserver
from nntrace_torch.backward import BackwardObserver
from nntrace_torch.batches import InputSampler
from nntrace_torch.buffer import HostCopies, Number, SampleBuffer
from nntrace_torch.clearing import GradientClearing
from nntrace_torch.clipping import GradientClipping
from nntrace_torch.devices import DeviceObserver, allocated_bytes
from nntrace_torch.evaluations import EvaluationObserver
from nntrace_torch.forward import ForwardSampler
from nntrace_torch.idling import IdleWatch
from nntrace_torch.loaders import LoaderObserver
from nntrace_torch.losses import LossObserver
from nntrace_torch.modes import ModeObserver
from nntrace_torch.modules import Model, Models, unwrapped
from nntrace_torch.objective import ObjectiveReader
from nntrace_torch.optimizers import Optimizers, is_given_closure, is_inside, with_closure
from nntrace_torch.parameters import ParameterSampler
from nntrace_torch.patching import Undo, before, outside_graphs, remove_hook
from nntrace_torch.ranks import RankObserver
from nntrace_torch.replay import (
    Call,
    CompiledCalls,
    Investigator,
    NonfiniteWatch,
    ReplayEndedError,
    Replayer,
    RootCalls,
    play,
)
from nntrace_torch.scaling import LossScaling
from nntrace_torch.schedules import ScheduleObserver
from nntrace_torch.sources import Sources
from nntrace_torch.step import StepSample
from nntrace_torch.successive import SuccessiveSteps

_MAX_TURNS = 4
_MANY_SEEDS = 64
_WORTH_HOOKS_NS = 3_000_000  # a step shorter than this has no room for more than references


class TorchAdapter:
    """The entry point `torch` of group `nntrace.adapters`."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def install(self, recorder: Recorder) -> Undo:
        """Hook into PyTorch; return what takes everything off again."""
        self._tracer = Tracer(recorder)
        return self._tracer.install()

    def nothing_recorded(self) -> str:
        """Why there is no record."""
        if self._tracer is not None and self._tracer.backward.seen:
            return "torch computed gradients, but no optimizer of torch.optim made a step"
        return "torch was imported, but no optimizer step happened"


class Tracer:
    """Follows one process's training from optimizer step to optimizer step."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._copies = HostCopies()
        self._buffers: dict[Any, SampleBuffer] = {}
        self._sources = Sources(recorder)
        self._models = Models()
        self._inputs = InputSampler(recorder)
        self._losses = LossObserver(recorder)
        self._loaders = LoaderObserver(recorder)
        self._modes = ModeObserver(recorder)
        self._loaders.is_sampled = lambda: self._sample is not None
        self._evaluations = EvaluationObserver(recorder, self._models, self._loaders)
        self._objective = ObjectiveReader(recorder)
        self._idle = IdleWatch(recorder, self._models)
        self._devices = DeviceObserver(recorder)
        self._clearing = GradientClearing()
        self._ranks = RankObserver(recorder)
        self._scaling = LossScaling(recorder, self._skipped)
        self.backward = BackwardObserver(recorder, self._scaling, self._backward_begins)
        self._optimizers = Optimizers(recorder, self._sources)
        self._schedules = ScheduleObserver(recorder, self._optimizers)
        self._parameters = ParameterSampler(recorder, self._models, self._sources)
        self._forward = ForwardSampler(
            recorder, self._models, self._sources, self._root_called, self._parameters.declare
        )
        self._attention = AttentionObserver(recorder, self._sources, self._forward.innermost)
        self._clipping = GradientClipping(recorder)
        self._successive = SuccessiveSteps()
        self._sample: StepSample | None = None
        self._tokens = 0
        self._stepping: list[Callable[[], Optimizer | None]] = []
        self._roots: dict[str, Callable[[], nn.Module | None]] = {}
        self._replayer = Replayer()
        self._calls = RootCalls(recorder, self._replayer)
        self._compiled = CompiledCalls(
            recorder, self._forward, self._losses, self._replayer, self._calls, self._compiles
        )
        self._investigator = Investigator(
            recorder,
            self._models,
            self._sources,
            self._optimizers,
            self._forward,
            self._replayer,
            self._calls,
        )
        self._watch = NonfiniteWatch(self._investigator, recorder.guard)
        self._losses.watch = self._watch.loss_function
        self._losses.evaluated = self._evaluations.loss
        self._calls.on_evaluation = recorder.guard(self._evaluated)
        self._compiles_graphs = False
        self._step_handles: list[Any] = []
        self._step_ended_ns: int | None = None
        self._backward_began_ns = 0
        self._seeds = 0
        self._turns_left = 0

    def install(self) -> Undo:
        """Put on everything that stays for the whole run, and begin the first sampled step."""
        guard = self._recorder.guard
        self._watch_steps(outside_graphs)
        undos: list[Undo] = [
            before(torch, "manual_seed", guard(self._seeded)),
            before(torch.random, "manual_seed", guard(self._seeded)),
            *self._scaling.install(),
            *self.backward.install(),
            *self._optimizers.install(),
            *self._losses.install(),
            *self._clipping.install(),
            *self._attention.install(),
            *self._loaders.install(),
            *self._schedules.install(),
            *self._sources.install(),
            *self._compiled.install(),
            *self._interposed(),
        ]
        guard(self._begin_sample)()
        if self._recorder.replays is not None:
            self._watch.is_thorough = True
            undos += play(self._recorder, self._calls, self._investigator)

        def undo() -> None:
            for one in reversed(undos):
                one()
            for handle in self._step_handles:
                remove_hook(handle)
            self._forward.abandon()
            self._calls.stop()
            self._evaluations.end()
            self._schedules.finish()
            self._sample = self._losses.sample = self._attention.sample = None
            self._copies.flush()

        return undo

    def _interposed(self) -> list[Undo]:
        """What an experiment of `nntrace check` puts on."""
        experiment = self._recorder.experiment
        if experiment is None:
            return []
        from nntrace_torch.probes import Interposer

        return Interposer(self._recorder, experiment, self._replayer).install()

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
        self._losses.sample = self._attention.sample = self._sample
        self._forward.start(self._sample)

    def _begin_anew(self, evaluation: StepSample) -> StepSample:
        """Give up what an evaluation that did not switch gradients off left in the sample."""
        evaluation.close()
        self._modes.forget()
        self._tokens += 1
        sample = StepSample(evaluation.step, self._tokens, self._limit(), self._buffers)
        sample.take_kept(evaluation)
        self._sample = self._losses.sample = self._attention.sample = sample
        self._forward.start_anew(sample)
        return sample

    def _limit(self) -> int:
        """The most elements to take of one tensor."""
        return self._recorder.sampling.limit(sum(model.sites for model in self._models.known))

    def _root_called(
        self, model: Model, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        module = unwrapped(module)  # the wrapper's mode may lag behind: nobody calls its `train`
        self._recorder.training_begins()
        self._roots.pop(model.prefix, None)  # the one called last is at the end
        self._roots[model.prefix] = weakref.ref(module)
        if not self._replayer.active:
            self._calls.first_seen(module, args, kwargs)
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
            self._modes.observe(model, module)
        if "input" not in sample.seen_roles and self._inputs.observe(model, args, kwargs, sample):
            sample.seen_roles.add("input")
            sample.describe_batch(epoch=self._loaders.epoch, delivered=self._loaders.delivered())

    def _backward_begins(
        self, losses: Sequence[torch.Tensor], numbers: Sequence[Number], *, first: bool
    ) -> None:
        self._end_replay()
        self._idle.backward(self._calls.kept[-1] if self._calls.kept else None)
        if first:
            self._evaluations.end()
            self._backward_began_ns = time.perf_counter_ns()
            self._clearing.look()
            if self._sample is not None:
                self._sample.is_evaluation = False
            if len(losses) == 1 and self._sample is not None:
                self._objective.look(
                    losses[0], self._sample, is_scaled=self._scaling.scale is not None
                )
        if self._forward.flow.is_open and self._sample is not None:
            self._forward.flow.read(losses)
        for loss, number in zip(losses, numbers, strict=True):
            self._watch.loss(loss, number)
        self._calls.micro_batch += 1

    def _evaluated(self, call: Call, output: Any) -> None:
        self._evaluations.called(call)
        self._watch.output(call, output)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """The arguments to step with in place of those given, if other ones are needed."""
        self._end_replay()
        # An optimizer that steps another one inside its own step counts as one step. One that
        # raised never came to its post hook and is still in the list.
        if self._stepping and not is_inside(self._stepping[0](), optimizer):
            self._stepping.clear()
        self._stepping.append(weakref.ref(optimizer))
        if len(self._stepping) > 1:
            return None
        self._ranks.look(optimizer)
        self._devices.look(optimizer)
        self._schedules.look()
        self._optimizers.observe(optimizer)
        has_closure = is_given_closure(args, kwargs)
        self._investigator.stepping = has_closure
        # A fused optimizer that finds an overflow of a loss scaler's skips its step itself.
        if not has_closure and getattr(optimizer, "found_inf", None) is None:
            self._watch.before_step(optimizer)
        if not is_given_closure(args, kwargs):
            self._successive.before_step(optimizer, sampled=self._sample is not None)
        if self._sample is not None:
            self._parameters.before_step(optimizer, self._optimizers.name(optimizer), self._sample)
            self._parameters.frozen(self._sample)
            if not has_closure:
                self._parameters.gradients(self._sample, self._orphans())
                # A fused optimizer divides by the scale itself.
                scale = getattr(optimizer, "grad_scale", None)
                if isinstance(scale, torch.Tensor):
                    self._sample.unscale(self._parameters.gradient_sites(), scale)
        if has_closure:
            return with_closure(args, kwargs, lambda given: self._watched(optimizer, given))
        return None

    def _watched(self, optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        watched = self._watch.closure(optimizer, closure)
        if watched is not closure:
            # When the gradients are looked at, the loss is no name of any frame any more: a
            # replay then needs what arrived at the model's output.
            self._calls.steps_are_long = True
        return watched

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._stepping or self._stepping[0]() is not optimizer:
            return
        self._stepping.clear()
        self._investigator.stepping = False
        has_closure = is_given_closure(args, kwargs)
        if self._scaling.has_stepped(optimizer):
            self._successive.forget()
            self._discard_sample()
            self._end_step(optimizer, skipped=True)
            return
        sample = self._sample
        self._successive.after_step(optimizer, sampled=sample is not None)
        if sample is not None:
            if has_closure:
                self._parameters.gradients(sample, self._orphans())
            self._parameters.after_step(sample)
            scale = self._scaling.scale
            if scale is not None:
                sample.unscale(self._forward.gradient_sites, scale)
            self._forward.stop()
            self._losses.sample = self._attention.sample = self._sample = None
            self._modes.record()
            sample.finish(self._copies, self._recorder.add_sample)
        self._end_step(optimizer, is_sampled=sample is not None, has_closure=has_closure)

    def _skipped(self, optimizer: Optimizer) -> None:
        """A scaler found gradients that are not finite and did not call the optimizer."""
        self._optimizers.observe(optimizer)
        self._discard_sample()
        self._end_step(optimizer, skipped=True)

    def _discard_sample(self) -> None:
        """Give a sample up whose gradients overflowed: they say nothing about the training."""
        if self._sample is not None:
            self._forward.stop()
            self._sample.close()
            self._losses.sample = self._attention.sample = self._sample = None

    def _end_step(
        self,
        optimizer: Optimizer,
        *,
        is_sampled: bool = False,
        has_closure: bool = False,
        skipped: bool = False,
    ) -> None:
        self._copies.poll()
        self._evaluations.end()
        self._calls.clear()
        self._watch.after_step()
        self._calls.steps_are_long = self._watch.step_ns > _WORTH_HOOKS_NS
        loss, backwards = self.backward.take(first_only=has_closure)
        clip_norm, clip_limit = self._clipping.take()
        gradient_cosine, update_cosine = self._successive.take()
        wants_next = self._recorder.add_step(
            data_wait_ns=self._loaders.take_wait_ns(),
            loss=loss,
            lr=self._optimizers.learning_rate(optimizer),
            grad_norm=None,
            batch_size=self._losses.batch_size,
            optimizer=self._optimizers.name(optimizer),
            phase=self._phase(optimizer),
            sampled=is_sampled,
            gradients_cleared=self._clearing.take(),
            before_backward_ns=self._take_before_backward_ns(),
            backwards=backwards,
            skipped=skipped,
            loss_scale=self._scaling.take_scale(),
            memory_bytes=allocated_bytes() if is_sampled else None,
            clip_norm=clip_norm,
            clip_limit=clip_limit,
            gradient_cosine=gradient_cosine,
            update_cosine=update_cosine,
        )
        self._step_ended_ns = time.perf_counter_ns()
        if self._next_in_turn(wants_next):
            self._clearing.remember(optimizer, alone=self._optimizers.count == 1)
            self._begin_sample()

    def _end_replay(self) -> None:
        """A replay that comes to the backward pass has seen the forward it was for."""
        if self._replayer.active:
            raise ReplayEndedError("the forward is over")

    def _take_before_backward_ns(self) -> int | None:
        """From the end of the last step to the first backward: what no other rank delays."""
        began, ended = self._backward_began_ns, self._step_ended_ns
        self._backward_began_ns = 0
        return began - ended if began and ended is not None else None

    def _phase(self, optimizer: Optimizer) -> str:
        """The mode of the model whose parameters were stepped, as it was called last."""
        first = next((group["params"] for group in optimizer.param_groups if group["params"]), None)
        model = self._models.model_of(first[0]) if first else None
        if model is not None and model.prefix in self._roots:
            root = self._roots[model.prefix]()
        else:
            root = next((called() for called in reversed(self._roots.values())), None)
        return "eval" if root is not None and not root.training else "train"

    def _next_in_turn(self, wants_next: bool) -> bool:
        """Whether to sample the next step; of optimizers that take turns each gets its own.

        An even interval would for ever see the same one of a GAN's two.
        """
        if self._turns_left > 0:
            self._turns_left -= 1
            return True
        if wants_next:
            self._turns_left = min(self._optimizers.taking_turns, _MAX_TURNS) - 1
        return wants_next

    def _compiles(self) -> None:
        """A compiled step breaks its graph for the hooks, as it does for PyTorch's own purposes."""
        if not self._compiles_graphs:
            self._compiles_graphs = True
            self._watch_steps(torch.compiler.disable)  # not done before: it imports the compiler

    def _orphans(self) -> list[torch.Tensor]:
        """Trainable parameters of the models that no optimizer has been given."""
        orphans = []
        for model in self._models.known:
            for parameter in model.parameters():
                if parameter.requires_grad:
                    holder = self._optimizers.holder_name(parameter)
                    if holder is None:
                        orphans.append(parameter)
                    else:
                        self._parameters.is_held(parameter, holder)
        return orphans

    def _seeded(self, seed: Any = None, *args: Any, **kwargs: Any) -> None:
        self._seeds += 1
        if self._seeds > _MANY_SEEDS:
            return
        self._recorder.add_event(
            EventKind.SEED, {"function": "torch.manual_seed", "seed": str(seed)}
        )
