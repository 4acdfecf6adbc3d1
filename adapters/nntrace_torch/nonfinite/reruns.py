"""The replays of one search: of calls of the model, and of statements of the program.

A replay that fails is noted and never raises. Where statements call the model again, it gets the
arguments and the random state that it had in the step: with data drawn anew it would be another
step.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from torch import nn

from nntrace_torch.nonfinite.expressions import expressions_holding
from nntrace_torch.nonfinite.finder import BUFFER, OriginFinder
from nntrace_torch.nonfinite.repeats import Repeats
from nntrace_torch.nonfinite.statements import differentiated, recomputation
from nntrace_torch.nonfinite.step_before import Past
from nntrace_torch.program.containers import named_tensors
from nntrace_torch.program.module_tree import named_buffers_of
from nntrace_torch.replay.call import Call, autocasting
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.replay.guard import ReplayRefusedError
from nntrace_torch.samples.modules import Models

Compute = Callable[..., Any]


class Reruns:
    """Replays parts of the current step, or of the one before.

    Args:
        calls: the calls of the current step, or what is known of an earlier micro-batch.

    Attributes:
        notes: what the replays could not do.
        remarks: what may differ between a replay and the step, each once.
        raised: the error that the last replay raised, if any.
    """

    def __init__(self, models: Models, replayer: Replayer, calls: RootCalls | Past) -> None:
        self._models = models
        self._replayer = replayer
        self._calls = calls
        self._past = calls if isinstance(calls, Past) else None
        self.notes: list[str] = []
        self.remarks: dict[str, None] = {}
        self.raised: BaseException | None = None

    def call(self, call: Call, finder: OriginFinder) -> Any:
        """Make a call of the model again, having named its arguments and the models' buffers."""
        with autocasting(call):
            name_arguments(call, finder)
            for model in self._models.known:
                for name, buffer in named_buffers_of(model.root) if model.root is not None else ():
                    finder.name(buffer, BUFFER + model.join(name))
            output = self.run(call.compute, call.args, call.kwargs, finder, call=call)
        for generator in self._replayer.drew:
            self.remarks[f"the model draws from {generator}, whose state was not kept"] = None
        return output

    def statements(
        self,
        value: torch.Tensor | None,
        frame: FrameType | None,
        again: Callable[[Any], bool],
        *,
        nearby: bool = False,
    ) -> Iterator[tuple[FrameType, Compute]]:
        """Functions that compute a value again, one for each of the program's frames that hold it.

        Args:
            value: a value of the program.
            frame: the innermost frame.
            again: whether another value that enters must be computed again, too.
            nearby: use only statements of the loop, or the function, that the frame is in.
        """
        if value is None:
            return
        for holder, expression in expressions_holding(value, frame, again):
            compute = self._recomputation(holder, expression, again, nearby=nearby)
            if compute is not None:
                yield holder, compute

    def objectives(
        self, frame: FrameType | None, again: Callable[[Any], bool]
    ) -> Iterator[tuple[FrameType, Compute]]:
        """Functions that compute again what the program's frames have called `backward` on.

        Args:
            frame: the innermost frame.
            again: whether another value that enters must be computed again, too.
        """
        for holder, expression in differentiated(frame):
            compute = self._recomputation(holder, expression, again, nearby=False)
            if compute is not None:
                yield holder, compute

    def _recomputation(
        self, holder: FrameType, expression: Any, again: Callable[[Any], bool], *, nearby: bool
    ) -> Compute | None:
        then = {} if self._past is None else {"then": self._past.then}
        return recomputation(holder, expression, again, nearby=nearby, **then)

    def compute(
        self, holder: FrameType, compute: Compute, *, gradients: bool = False
    ) -> tuple[Any, OriginFinder]:
        """Compute something of a frame again: its result, and the finder that watched it.

        Gradients are recorded if asked for, or if the program's own code turns out to need them.
        """
        noted = len(self.notes)
        modules = [root for model in self._models.known if (root := model.root) is not None]
        for recording in (True,) if gradients else (False, True):
            del self.notes[noted:]
            finder = OriginFinder()
            for name, value in {**holder.f_globals, **holder.f_locals}.items():
                for own, tensor in named_tensors(name, value):
                    finder.name(tensor, own)
            repeats = Repeats(self._calls.of_last_micro_batch(), finder)
            result = self.run(
                compute, (), {}, finder, modules=modules, gradients=recording, repeats=repeats
            )
            if finder.first is not None or not isinstance(self.raised, RuntimeError):
                break
        return result, finder

    def run(
        self,
        compute: Compute,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        finder: OriginFinder,
        *,
        modules: Sequence[nn.Module] = (),
        call: Call | None = None,
        gradients: bool = False,
        repeats: Repeats | None = None,
    ) -> Any:
        """Replay a call; if that fails, note the reason and return None."""
        self.raised = None
        try:
            with warnings.catch_warnings(), torch.autograd.set_detect_anomaly(True, False):
                warnings.simplefilter("ignore")
                return self._replayer.run(
                    compute,
                    args,
                    kwargs,
                    finder,
                    modules=modules,
                    gradients=gradients,
                    random_state=None if call is None else call.random,
                    devices=None if call is None else call.devices,
                    given=None if repeats is None else repeats.given,
                    weights=None if self._past is None else self._past.weights,
                )
        except (Exception, ReplayRefusedError) as error:
            self.raised = error
            self.notes.append(f"the replay ended early: {type(error).__name__}: {error}"[:300])
            return None


def name_arguments(call: Call, finder: OriginFinder) -> None:
    """Name the tensors of a call by their place among its arguments."""
    for place, value in (*enumerate(call.args), *call.kwargs.items()):
        for name, tensor in named_tensors(f"input.{place}", value):
            finder.name(tensor, name)
