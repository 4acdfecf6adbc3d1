"""Looks for operations over a wrong axis in a few sampled steps, and says each once."""

from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.axes.examples import ExamplesWatch
from nntrace_torch.axes.scales import enlarged_scores
from nntrace_torch.axes.softmaxes import WrongAxis
from nntrace_torch.axes.wrong_axes import wrong_axes
from nntrace_torch.data.batches import examples_in
from nntrace_torch.probes.dependencies import Answer
from nntrace_torch.probes.mixing import sequence_first
from nntrace_torch.program.graphs import nearest_leaf
from nntrace_torch.program.module_tree import modules_of
from nntrace_torch.program.sources import UNKNOWN, Source, Sources, caller
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.samples.modules import Models

_LOOKS = 64  # samples, of which some are looked at: a program may train several models in turn
_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)  # hand `batch_first` on
_MANY = 16  # softmaxes of a step whose lines are noted


class AxesWatch:
    """Asks the graph of a loss, and now and then its model."""

    def __init__(
        self, recorder: Recorder, models: Models, sources: Sources, replayer: Replayer
    ) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._examples = ExamplesWatch(replayer)
        self._looks = 0
        self._told: set[Any] = set()
        # By the sequence numbers of nodes: a reference would keep the graph alive.
        self._lines: dict[int, Source] = {}

    def normalised(self, rows: torch.Tensor) -> None:
        """A softmax ran over another axis than the last, or over one of a single value."""
        if self._looks < _LOOKS and len(self._lines) < _MANY and rows.grad_fn is not None:
            self._lines[rows.grad_fn._sequence_nr()] = caller()

    def look(
        self,
        loss: torch.Tensor,
        call: Call | None,
        examples: int | None,
        number: Any,
        *,
        from_loader: bool,
        stacked: bool,
    ) -> None:
        """Before the first backward of a sampled step.

        Args:
            loss: what is differentiated.
            call: the last of a model.
            examples: the first axis of the targets that its loss function was given.
            number: the value of the loss, if it is known already.
            from_loader: whether a loader delivers batches of that size.
            stacked: whether PyTorch put the last batch together.
        """
        self._looks += 1
        is_due = is_landmark(self._looks)
        if is_due and self._looks <= _LOOKS:
            for found in wrong_axes(loss, examples or _examples_of(call)):
                self._tell(
                    found.what,
                    self._line_of(found),
                    shape=list(found.shape),
                    axis=found.axis,
                    right=found.right,
                    result=list(found.result),
                )
            for scores in enlarged_scores(loss):
                source = self._built_behind(scores.node)
                self._tell("scale", source, factor=scores.factor, width=scores.width)
        self._lines.clear()
        if is_due and not self._examples.is_done and call is not None:
            self._examples.samples = self._looks
            with self._recorder.setting_up():  # a replay, at most once
                answer = self._examples.look(
                    call, examples, number, from_loader=from_loader, stacked=stacked
                )
            if answer is not None:
                self._tell_mixed(call.compute, answer)

    def _line_of(self, found: WrongAxis) -> Source:
        """Where a softmax was called, or the layer was built whose output was laid out anew."""
        if found.what != "heads":
            return self._lines.get(found.node._sequence_nr(), UNKNOWN)
        return self._built_behind(found.node)

    def _built_behind(self, node: Any) -> Source:
        weight = nearest_leaf(node)
        owner = None if weight is None else self._models.parameter(weight)
        return UNKNOWN if owner is None else self._sources.of(owner[1])

    def _tell_mixed(self, module: Any, answer: Answer) -> None:
        by_place = bool(answer.evidence.get("by_place"))
        layer = None if by_place else sequence_first(module)
        if layer is None:
            around, name = [module], ""
        else:
            around = [one for one in modules_of(module) if _holds(one, layer)]
            above = around[-2] if len(around) > 1 else layer
            name = type(above if isinstance(above, _LAYERS) else layer).__name__
        # Copies, as an encoder makes them of its layer, were built nowhere.
        sources = [self._sources.of(one) for one in reversed(around)]
        source = next((one for one in sources if one != UNKNOWN), UNKNOWN)
        self._tell("examples", source, text=answer.text, layer=name, by_place=by_place)

    def _tell(self, what: str, source: Source, **facts: Any) -> None:
        if (what, source) in self._told:
            return
        self._told.add((what, source))
        payload = {"what": what, **facts, **source.place}
        self._recorder.add_event(EventKind.AXES, payload, severity="warning")


def _examples_of(call: Call | None) -> int | None:
    """The size of the batch that a model was called with."""
    if call is None:
        return None
    return examples_in(call.args, call.kwargs, outputs=call.outputs, targets=None)


def _holds(module: nn.Module, layer: nn.Module) -> bool:
    return any(part is layer for part in modules_of(module))
