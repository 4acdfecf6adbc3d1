"""Takes the sample of a step: begins it, fills it before and after the optimizer, and closes it.

Between samples no module has a hook.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.observers import Observers
from nntrace_torch.samples.buffer import Buffers, HostCopies, Number
from nntrace_torch.samples.modules import Model
from nntrace_torch.samples.parameters import SampledGradients
from nntrace_torch.samples.step import StepSample

_MAX_TURNS = 4
_PAIR_EVERY = 4  # one sample in so many takes two steps, so that these can be compared
_SILENT_SAMPLES = 3
_NO_CALLS = (
    "no module is called in the forward pass, so that no outputs are seen: "
    "`model.forward(x)` passes the hooks by that `model(x)` runs"
)


class SampledSteps:
    """The samples of one process, one at a time.

    Attributes:
        current: the open sample; None on steps that are not sampled.
        copies: samples on their way to the host.
    """

    def __init__(self, recorder: Recorder, parts: Observers) -> None:
        self._recorder = recorder
        self._parts = parts
        self._buffers = Buffers()
        self._tokens = 0
        self._without_modules: int | None = 0  # samples in which none was called; None once one was
        self._rounds = 0
        self.current: StepSample | None = None
        self.copies = HostCopies()

    def begin(self) -> None:
        """Sample the step that now begins."""
        self._parts.forward.start(self._made_current(self._recorder.steps))

    def called(
        self,
        sample: StepSample,
        model: Model,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """A model is called, in training or to be evaluated; `module` is without its wrappers."""
        if not sample.seen_models:
            sample.is_evaluation = not module.training
        elif sample.is_evaluation and module.training and model.prefix in sample.seen_models:
            sample = self._begin_anew(sample)
        if "input" not in sample.seen_roles:
            sample.limit = self._limit()  # until its first call the model was not known
        if model.prefix not in sample.seen_models:
            sample.seen_models.add(model.prefix)
            self._parts.modes.observe(model, module)
        if self._parts.optimizers.count > 1:
            self._parts.generated.called(model, module, args)
        if "input" in sample.seen_roles:
            self._parts.inputs.called_again(model, args, kwargs, sample)
        elif self._parts.inputs.observe(model, args, kwargs, sample):
            sample.seen_roles.add("input")
            sample.batch.describe(
                epoch=self._parts.loaders.epoch, delivered=self._parts.loaders.delivered()
            )

    def backward_begins(
        self,
        sample: StepSample,
        losses: Sequence[torch.Tensor],
        numbers: Sequence[Number],
        *,
        first: bool,
    ) -> None:
        """`backward` is about to be called on losses, the `first` time in this step or again."""
        parts = self._parts
        parts.clearing.look()
        parts.clearing.look_at_turns()
        if first:
            parts.attention.finish()
            sample.is_evaluation = False
            sample.has_backward = True
            if len(losses) == 1:
                self._look_at_graph(sample, losses[0], numbers[0])
        elif parts.calls.called_since_backward() and not parts.calls.begins_with_asking():
            parts.clearing.look_between()
        if parts.forward.flow.is_open:
            parts.forward.flow.read(losses)

    def _look_at_graph(self, sample: StepSample, loss: torch.Tensor, number: Number) -> None:
        """What the graph tells of a step's first loss, and so of what it was computed from."""
        parts = self._parts
        kept = parts.calls.kept
        last = kept[-1] if kept else None
        parts.kept_graphs.look(loss)
        parts.padded_ends.look(loss)
        parts.attention.masks.compare(last)
        parts.shifts.look(last, sample)
        ahead = parts.attention.looks_ahead is True
        parts.future.look(last, sample, number, attends_ahead=ahead)
        examples = parts.losses.batch_size
        # Those of a GAN, which take turns, may compare the examples of a batch on purpose.
        call = last if parts.optimizers.count == 1 else None
        from_loader, stacked = parts.loaders.delivers(examples), parts.loaders.stacks
        parts.axes.look(loss, call, examples, number, from_loader=from_loader, stacked=stacked)
        if not parts.backward.asks:  # the tensor may be there for a derivative by it
            parts.loose.look(loss, parts.optimizers.holder_names)
            parts.attached.look(loss, parts.optimizers.holder_names)
        parts.vain_freezing.look(parts.optimizers.holder_names)
        if examples is None:
            parts.signs.look(loss)
            if parts.optimizers.count == 1:
                parts.direction.look(loss)
        is_scaled = parts.scaling.scale is not None
        parts.objective.look(loss, sample, kept, is_scaled=is_scaled)

    def _begin_anew(self, evaluation: StepSample) -> StepSample:
        """Drop what an evaluation with gradients on has left in the sample: training begins."""
        evaluation.close()
        self._parts.modes.forget()
        sample = self._made_current(evaluation.step)
        sample.take_kept(evaluation)
        self._parts.forward.start_anew(sample)
        return sample

    def _limit(self) -> int:
        """The most elements to take of one tensor."""
        known = self._parts.models.known
        return self._recorder.sampling.limit(sum(model.sites for model in known))

    def before_step(
        self, sample: StepSample, optimizer: Optimizer, name: str, *, has_closure: bool
    ) -> SampledGradients | None:
        """The optimizer is about to act on these gradients; a closure's are yet to come."""
        parts = self._parts
        parts.forward.gradients.copy()
        parts.attention.finish()  # of a closure's optimizer, or one without a backward pass
        parts.attributes.look(optimizer, name)
        parts.parameters.before_step(optimizer, name, sample)
        parts.parameters.frozen(sample)
        if has_closure:
            return None
        gradients = parts.parameters.gradients(sample, parts.orphans())
        # A fused optimizer divides by the scale itself.
        scale = getattr(optimizer, "grad_scale", None)
        if isinstance(scale, torch.Tensor):
            sample.unscale(parts.parameters.gradient_sites(), scale)
        return gradients

    def after_step(self, sample: StepSample, examples: int | None, *, has_closure: bool) -> None:
        """The optimizer has acted: send the sample on its way."""
        parts = self._parts
        if has_closure:
            parts.parameters.gradients(sample, parts.orphans())
        parts.parameters.after_step(sample)
        scale = parts.scaling.scale
        if scale is not None:
            sample.unscale(parts.forward.declarations.gradient_sites, scale)
        parts.forward.stop()
        self.leave()
        if self._without_modules is not None:
            self._look_for_modules(sample)
        parts.modes.record()
        sample.count_examples(examples)
        sample.finish(self.copies, self._recorder.add_sample)

    def _look_for_modules(self, sample: StepSample) -> None:
        """Say once that no module is called, if modules hold the program's parameters."""
        if sample.seen_models or self._parts.compiled.has_unseen:  # the latter has been said
            self._without_modules = None
        elif self._without_modules is not None and self._parts.models.known:
            self._without_modules += 1
            if self._without_modules == _SILENT_SAMPLES:
                payload = {"what": "activation", "reason": _NO_CALLS}
                self._recorder.add_event(EventKind.UNSEEN, payload)

    def discard(self) -> None:
        """Give up a sample whose gradients overflowed: they say nothing about the training."""
        if self.current is not None:
            self._parts.forward.stop()
            self._parts.forward.gradients.forget()
            self.current.close()
            self.leave()

    def begin_again(self) -> None:
        """Drop the sample and begin it again with the same step's next forward."""
        if self.current is not None:
            self.discard()
            self.begin()

    def leave(self) -> None:
        """Nothing is sampled from now on."""
        self.current = self._parts.losses.sample = self._parts.attention.sample = None

    def begin_round(self) -> None:
        """Ask for as many steps in a row as the sample that now begins takes.

        If optimizers take turns, each gets a step: an even interval would always meet the same one
        of a GAN's two. Now and then each gets two, to be compared, unless the interval is set.
        """
        cadence = self._recorder.cadence
        turns = min(self._parts.optimizers.taking_turns, _MAX_TURNS)
        is_pair = self._rounds % _PAIR_EVERY == 0 and cadence.every is None
        cadence.burst((2 * turns if is_pair else turns) - 1)
        self._rounds += 1

    def _made_current(self, step: int) -> StepSample:
        self._tokens += 1
        sample = StepSample(step, self._tokens, self._limit(), self._buffers)
        self.current = self._parts.losses.sample = self._parts.attention.sample = sample
        return sample
