"""Builds all observers of a training and wires them together: which notifies which of what."""

from collections.abc import Callable

import torch

from nntrace.recorder import Recorder
from nntrace_torch.axes.laid_out import LaidOutAnew
from nntrace_torch.axes.watch import AxesWatch
from nntrace_torch.backward import BackwardObserver
from nntrace_torch.capsules.player import CapsulePlayer
from nntrace_torch.data.batches import InputSampler
from nntrace_torch.data.carried import CarriedStates
from nntrace_torch.data.evaluations import EvaluationObserver
from nntrace_torch.data.generated import GeneratedRanges
from nntrace_torch.data.loaders import LoaderObserver
from nntrace_torch.data.padded_ends import PaddedEnds
from nntrace_torch.loss.alignment import AlignmentWatch
from nntrace_torch.loss.asking import FinitenessObserver
from nntrace_torch.loss.attached import AttachedWatch
from nntrace_torch.loss.direction import DirectionWatch
from nntrace_torch.loss.future import FutureWatch
from nntrace_torch.loss.kept_graphs import KeptGraphs
from nntrace_torch.loss.losses import LossObserver
from nntrace_torch.loss.objective import ObjectiveReader
from nntrace_torch.loss.shifts import ShiftWatch
from nntrace_torch.loss.signs import SignsWatch
from nntrace_torch.nonfinite.context import SearchContext
from nntrace_torch.nonfinite.origin import Investigator
from nntrace_torch.nonfinite.step_before import StepBefore
from nntrace_torch.nonfinite.watch import NonfiniteWatch
from nntrace_torch.optimizer.clearing import GradientClearing
from nntrace_torch.optimizer.clipping import GradientClipping
from nntrace_torch.optimizer.idling import IdleWatch
from nntrace_torch.optimizer.loose import LooseTensors
from nntrace_torch.optimizer.optimizers import Optimizers
from nntrace_torch.optimizer.scaling import LossScaling
from nntrace_torch.optimizer.schedules import ScheduleObserver
from nntrace_torch.optimizer.vain_freezing import VainFreezing
from nntrace_torch.optimizer.vain_settings import OptimizerAttributes
from nntrace_torch.patching import Undo
from nntrace_torch.program.devices import DeviceObserver
from nntrace_torch.program.loading import LoadObserver
from nntrace_torch.program.modes import ModeObserver
from nntrace_torch.program.pipelines import PipelineStages
from nntrace_torch.program.ranks import RankObserver
from nntrace_torch.program.seeds import SeedObserver
from nntrace_torch.program.sources import Sources
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.compiled import CompiledCalls
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.samples.attention import AttentionObserver
from nntrace_torch.samples.forward import ForwardSampler
from nntrace_torch.samples.modules import Models
from nntrace_torch.samples.parameters import ParameterSampler

_WAITED = 16  # steps, after which an optimizer that has made none is no longer waited for


class Observers:
    """The observers of one process. The tracer calls them; what they notice comes back to it.

    Args:
        recorder: where records go.
        root_called: called for each call of an outermost module while module hooks are on.
        backward_begins: called with the losses that a backward pass begins with.
        evaluated: called with each forward without gradients and its output.
        skipped: called with the optimizer whose step a loss scaler skipped.
        compiles: called when the program compiles a model.
        is_sampled: returns whether the current step is sampled.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        root_called: Callable[..., None],
        backward_begins: Callable[..., None],
        evaluated: Callable[..., None],
        skipped: Callable[..., None],
        compiles: Callable[[], None],
        is_sampled: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self.sources = Sources(recorder)
        self.models = Models()
        self.seeds = SeedObserver(recorder)
        self.inputs = InputSampler(recorder)
        self.losses = LossObserver(recorder)
        self.loaders = LoaderObserver(recorder)
        self.loaders.is_sampled = is_sampled
        self.modes = ModeObserver(recorder)
        self.evaluations = EvaluationObserver(recorder, self.models, self.loaders)
        self.objective = ObjectiveReader(recorder)
        self.direction = DirectionWatch(recorder)
        self.attached = AttachedWatch(recorder)
        self.shifts = ShiftWatch(recorder)
        self.signs = SignsWatch(recorder)
        self.signs.is_sampled = is_sampled
        self.alignment = AlignmentWatch(recorder)
        self.alignment.is_sampled = is_sampled
        self.kept_graphs = KeptGraphs(recorder)
        self.idle = IdleWatch(recorder, self.models)
        self.loose = LooseTensors(recorder, self.models, self.sources)
        self.vain_freezing = VainFreezing(recorder, self.models, self.sources)
        self.attributes = OptimizerAttributes(recorder, self.sources)
        self.devices = DeviceObserver(recorder)
        self.clearing = GradientClearing(recorder)
        self.loading = LoadObserver(recorder)
        self.clipping = GradientClipping(recorder)
        self.ranks = RankObserver(recorder)
        self.scaling = LossScaling(recorder, skipped)
        self.backward = BackwardObserver(recorder, self.scaling, backward_begins)
        self.optimizers = Optimizers(recorder, self.sources)
        self.schedules = ScheduleObserver(recorder, self.optimizers)
        self.parameters = ParameterSampler(recorder, self.models, self.sources)
        self.forward = ForwardSampler(
            recorder, self.models, self.sources, root_called, self.parameters.declare
        )
        self.generated = GeneratedRanges(recorder)
        self.padded_ends = PaddedEnds(recorder, self.sources)
        self.forward.recurred = [
            CarriedStates(recorder, self.loaders, self.sources).called,
            self.padded_ends.called,
        ]
        self.forward.entered = LaidOutAnew(recorder).entered
        self.attention = AttentionObserver(recorder, self.sources, self.forward.innermost)
        self.replayer = Replayer()
        self.future = FutureWatch(recorder, self.replayer)
        self.axes = AxesWatch(recorder, self.models, self.sources, self.replayer)
        self.attention.over_another_axis = self.axes.normalised
        self.calls = RootCalls(recorder, self.replayer)
        self.loaders.are_for_nothing = self.calls.were_for_nothing
        self.evaluations.calls = lambda: self.calls.kept
        self.calls.on_evaluation = recorder.guard(evaluated)
        self.calls.before_evaluation = recorder.guard(self.evaluations.begins)
        self.compiled = CompiledCalls(
            recorder, self.forward, self.losses, self.replayer, self.calls, compiles
        )
        context = SearchContext(
            self.models,
            self.sources,
            self.optimizers,
            self.replayer,
            self.calls,
            StepBefore(self.models, self.calls, self.loaders),
        )
        self.investigator = Investigator(recorder, self.forward, context)
        self.watch = NonfiniteWatch(self.investigator, recorder.guard)
        self.asking = FinitenessObserver(recorder)
        self.asking.asked = self.watch.asked
        self.clipping.broke = self._norm_broke
        self.clipping.is_sampled = is_sampled
        self.clipping.has_scaled = lambda: self.scaling.is_in_gradients
        recorder.hooks.on_error(recorder.guard(self.investigator.raised))
        recorder.hooks.on_end(recorder.guard(self.investigator.ended))
        self.backward.number_of = self.losses.number_of
        self.clearing.afterwards = self.backward.call_afterwards
        self.losses.broke = self.watch.loss_function
        self.losses.evaluated = self.evaluations.loss
        self.losses.is_replaying = lambda: self.replayer.active

    def install(self) -> list[Undo]:
        """Install every patch and hook that stays for the whole run."""
        return [
            *self.seeds.install(),
            *self.loading.install(),
            *self.scaling.install(),
            *self.backward.install(),
            *self.optimizers.install(),
            *self.losses.install(),
            *self.alignment.install(),
            *self.signs.install(),
            *self.clipping.install(),
            *self.asking.install(),
            *self.attention.install(),
            *self.loaders.install(),
            *self.schedules.install(),
            *self.sources.install(),
            *PipelineStages(self._recorder).install(),
            *self.compiled.install(),
            *self._interposed(),
        ]

    def play(self) -> list[Undo]:
        """Play the capsule that the recorder names, if the process is to replay one."""
        capsule = self._recorder.replays
        if capsule is None:
            return []
        self.watch.is_thorough = True
        return CapsulePlayer(self._recorder, self.calls, self.investigator, capsule).install()

    def orphans(self) -> list[torch.Tensor]:
        """Trainable parameters of the models that no optimizer steps: it was not given them, or has
        made no step though others have made many.
        """
        orphans = []
        stepped = self.parameters.stepped()  # nearly all parameters
        others = [
            parameter
            for model in self.models.known
            for parameter in model.parameters()
            if parameter.requires_grad and id(parameter) not in stepped
        ]
        waited = self._recorder.steps >= _WAITED
        for parameter, holder in zip(others, self.optimizers.holder_names(others), strict=True):
            if holder is not None:
                self.parameters.is_held(parameter, holder)
            if holder is None or (waited and not self.optimizers.has_stepped(holder)):
                orphans.append(parameter)
        return orphans

    def _norm_broke(self) -> None:
        """The norm of clipped gradients is not finite. A loss scaler's overflows are expected."""
        if self.scaling.scale is None:
            self.watch.norm_broke(p for model in self.models.known for p in model.parameters())

    def _interposed(self) -> list[Undo]:
        """Install what an experiment of `nntrace check` needs."""
        experiment = self._recorder.experiment
        if experiment is None:
            return []
        from nntrace_torch.probes.interposer import Interposer

        return Interposer(self._recorder, experiment, self.replayer).install()
