"""Searches the origin of a non-finite value; records an `origin` event and a capsule of the step.

Each time values turn bad this happens once, before the optimizer acts on them.
"""

import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.capsules.capsules import Capsules, Moment
from nntrace_torch.nonfinite.context import SearchContext
from nntrace_torch.nonfinite.finder import BUFFER, Origin
from nntrace_torch.nonfinite.found import Found
from nntrace_torch.nonfinite.operands import is_unwritten
from nntrace_torch.nonfinite.search import Search
from nntrace_torch.nonfinite.weights import broken_weight
from nntrace_torch.older import is_device_error
from nntrace_torch.program.containers import tensors_within
from nntrace_torch.program.frames import lines
from nntrace_torch.program.sources import UNKNOWN
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.recovery import recover_random_states
from nntrace_torch.samples.forward import ForwardSampler

_MAX_EPISODES = 8


class Investigator:
    """Receives non-finite values in the order in which they appear, and searches their origin.

    An *episode* begins with the first of them and lasts as long as values stay bad.

    Attributes:
        stepping: whether the optimizer is in its step, evaluating a closure.
        told: called with the payload of each origin.
    """

    def __init__(self, recorder: Recorder, forward: ForwardSampler, context: SearchContext) -> None:
        self._recorder = recorder
        self._forward = forward
        self._context = context
        self._capsules = Capsules(recorder, context.models)
        self._episodes = 0
        self._bad_step: int | None = None  # in which the last episode began
        self.was_well = False
        self.stepping = False
        self.told: Callable[[dict[str, Any]], object] = lambda payload: None

    def weights_are_well(self) -> None:
        """The weights may be copied now: a loss computed with them is finite."""
        self._context.before.look(self._recorder.steps_made)

    def all_is_well(self) -> None:
        """A finite loss ends the episode, unless weights are still broken."""
        if not self.was_well:
            self.was_well = self._bad_step is None or broken_weight(self._context.models) is None

    def loss_broke(
        self, loss: torch.Tensor | None, frame: FrameType | None, *, steps_ago: int = 0
    ) -> None:
        """A loss that `backward` is called on is not finite.

        Args:
            loss: the loss, if it is still alive.
            frame: where it was seen.
            steps_ago: optimizer steps made since; on an accelerator a loss is known late.
        """

        def look(search: Search) -> Found:
            if steps_ago:
                return search.late(loss, frame, steps_ago)
            return search.in_weights.look(loss, frame) or search.forward(loss, frame)

        self._episode("loss", frame, look)

    def asked(self, value: torch.Tensor, frame: FrameType | None, *, may_be_meant: bool) -> bool:
        """The program has asked whether a value is finite; False if there is nothing to report.

        With `may_be_meant` the value may be infinite on purpose, as the cost of a forbidden path.
        """

        def look(search: Search) -> Found:
            return search.in_weights.look(value, frame) or search.forward(value, frame)

        return self._episode("loss", frame, look, may_be_meant=may_be_meant)

    def loss_jumped(self, loss: float, frame: FrameType | None) -> None:
        """A finite loss is far above those before: keep a capsule of the step, judge nothing."""
        if not self._context.replayer.active and self._capsules.wants("loss_spike"):
            with self._forward.paused(), self._recorder.setting_up():
                recover_random_states(self._context.calls.kept, self._context.replayer)
                calls = self._context.calls.of_micro_batch(self._context.calls.micro_batch)
                self._capsules.keep(Moment("loss_spike", calls, frame, {"loss": loss}))

    def function_broke(
        self,
        function: Callable[..., Any],
        loss: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None,
    ) -> None:
        """A loss function of PyTorch returned a non-finite value."""
        in_evaluation = not torch.is_grad_enabled()

        def look(search: Search) -> Found:
            found = (
                search.in_weights.look(loss, frame)
                or search.loss_function(function, args, kwargs, frame)
                or search.forward(loss, frame, tensors_within((args, kwargs)))
            )
            phase = {"phase": "eval"} if in_evaluation else {}
            return found._replace(facts={**found.facts, **phase})

        self._episode("loss", frame, look)

    def gradients_broke(
        self, names: Sequence[str], loss: torch.Tensor | None, frame: FrameType | None
    ) -> None:
        """The loss is finite, these parameters' gradients are not; the optimizer has not acted."""

        def look(search: Search) -> Found:
            found = search.in_weights.look() or search.backward(loss, frame)
            return found._replace(facts={"parameters": list(names)[:8], **found.facts})

        self._episode("gradient", frame, look)

    def ended(self) -> None:
        """The program has ended without an error: look whether the last step broke the weights.

        No later loss would show it, and the program may have saved them.
        """
        if self._recorder.steps_made() and not self._is_told:
            found = broken_weight(self._context.models, trained_only=True)
            if found is not None and self._context.optimizers.holder(found[1]) is not None:
                self._episode("weights", None, lambda search: search.in_weights.why(*found))

    def raised(self, error: BaseException) -> None:
        """The program has ended with an error: some functions raise when they are given a NaN."""
        if is_device_error(error):
            return  # nothing can be computed on the device any more
        frame = _innermost(error)

        def look(search: Search) -> Found:
            return search.raised(error, frame) or Found("unknown", None, {})

        self._episode("error", frame, look)

    def output_broke(self, call: Call) -> bool:
        """An evaluation's output holds a NaN or an infinity; False if the program wrote it.

        Nothing is wrong with a model that is called to count its operations, on any memory.
        """
        if any(map(is_unwritten, tensors_within((call.args, call.kwargs)))):
            return True

        def look(search: Search) -> Found:
            found = search.in_weights.look() or search.of_call(call) or Found("unknown", None, {})
            return found._replace(facts={**found.facts, "phase": "eval"}, call=call)

        return self._episode("output", None, look, (call,))

    def name_of(self, parameter: torch.Tensor) -> str:
        """A parameter's recorded path, or a description by shape if no known model has it."""
        found = self._context.models.parameter(parameter)
        return found[0] if found is not None else f"a parameter of shape {tuple(parameter.shape)}"

    def _episode(
        self,
        seen_in: str,
        frame: FrameType | None,
        look: Callable[[Search], Found],
        calls: Sequence[Call] = (),
        *,
        may_be_meant: bool = False,
    ) -> bool:
        """Search, record the origin and keep a capsule; nothing within an episode under way.

        Args:
            seen_in: what is not finite.
            frame: where it was seen.
            look: does the search.
            calls: the calls that led to it, where they are not the current step's.
            may_be_meant: report it only if an operation is found that made it.

        Returns:
            False when there is nothing to report: the program itself wrote an infinity to an
            output, or ended with an error for which no non-finite value was found.
        """
        if self._is_told or self._episodes >= _MAX_EPISODES or self._context.replayer.active:
            return True
        started = time.perf_counter()
        steps = self._recorder.steps_made()
        search = Search(self._context, steps=steps, stepping=self.stepping)
        with self._forward.paused(), self._recorder.setting_up():
            recover_random_states(calls or self._context.calls.kept, self._context.replayer)
            found = look(search)
            if seen_in == "output" and found.is_meant:
                return False
            if seen_in == "error" and found.origin is None:
                return False  # the error has another cause
            if may_be_meant and (found.origin is None or found.is_meant):
                return False
            if self._bad_step is not None and found.facts.get("step") == self._bad_step:
                self.was_well = False  # the weights were broken by the step already reported
                return True
            self._bad_step, self.was_well = self._recorder.steps_made(), False
            self._episodes += 1
            is_known = found.origin is not None or bool(found.facts.get("parameter"))
            payload = {
                "where": found.where if is_known else "unknown",
                "seen_in": seen_in,
                **(self._told(found.origin) if found.origin is not None else {}),
                **found.facts,
                "notes": [*search.reruns.notes, *search.reruns.remarks],
                "replay_ms": round(1000 * (time.perf_counter() - started), 1),
            }
            self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")
            if "steps_ago" not in found.facts:
                self._keep(found, frame, payload)
        self.told(payload)
        return True

    @property
    def _is_told(self) -> bool:
        """Whether what breaks now belongs to the last episode, as a later micro-batch may."""
        if self._bad_step is None:
            return False
        return not self.was_well or self._recorder.steps_made() <= self._bad_step

    def _keep(self, found: Found, frame: FrameType | None, payload: dict[str, Any]) -> None:
        if found.call is None:
            calls = self._context.calls.of_last_micro_batch()
        elif found.call.gradients_enabled:
            calls = self._context.calls.of_micro_batch(found.call.micro_batch)
        else:
            calls = [found.call]
        culprit = found.origin.module if found.origin is not None else None
        self._capsules.keep(Moment("nonfinite", calls, frame, {"origin": payload}, culprit))

    def _told(self, origin: Origin) -> dict[str, Any]:
        """The keys of an `origin` event that tell of the operation."""
        source = origin.source
        path, module_type = "", ""
        if origin.module is not None:
            path = self._context.models.path_of(origin.module) or ""
            module_type = type(origin.module).__name__
            if source is UNKNOWN:
                source = self._context.sources.of(origin.module)
        return {
            "kind": origin.kind,
            "op": origin.op,
            "what": origin.what,
            "given": origin.given.removeprefix(BUFFER),
            "module": path,
            "module_type": module_type,
            **lines(source),
            "function": origin.function,
            "execution": origin.execution,
            "index": list(origin.index),
            "operands": list(origin.operands),
            "derivative": origin.node,
            **(origin.moment._asdict() if origin.moment is not None else {"time_step": None}),
        }


def _innermost(error: BaseException) -> FrameType | None:
    """The frame that raised the error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else trace.tb_frame
