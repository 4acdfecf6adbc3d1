"""Why a weight is not finite when a step begins: what the steps before have done to it.

Either the program itself wrote the value, or the optimizer did: because of its learning rate or its
state, or because of a gradient that nobody looked at. That gradient is computed once more from what
is kept of earlier batches.
"""

import math
from collections.abc import Iterable
from types import FrameType
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from nntrace_torch.nonfinite.backwards import BackwardSearch
from nntrace_torch.nonfinite.context import SearchContext
from nntrace_torch.nonfinite.finder import OriginFinder
from nntrace_torch.nonfinite.found import Found, batch_facts
from nntrace_torch.nonfinite.reruns import Reruns, name_arguments
from nntrace_torch.nonfinite.statements import is_broken
from nntrace_torch.nonfinite.step_before import Past
from nntrace_torch.nonfinite.updates import broken_update
from nntrace_torch.patching import read_number
from nntrace_torch.program.containers import tensors_within
from nntrace_torch.program.frames import lines
from nntrace_torch.program.module_tree import named_parameters_of
from nntrace_torch.program.ranks import local_part
from nntrace_torch.replay.call import Call
from nntrace_torch.samples.modules import Models

_SUMMED = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_UNSEEN_GRADIENT = (
    "between sampled steps a part of the gradients is looked at: `nntrace run --every 1` looks at "
    "all, in the step itself, and finds the operation"
)


class WeightSearch:
    """The part of a search that looks at the weights.

    Args:
        notes: filled with what could not be found out.
        steps: the number of optimizer steps made before this one.
        moved: whether the optimizer has already changed the weights in this step.
    """

    def __init__(
        self, context: SearchContext, notes: list[str], *, steps: int, moved: bool
    ) -> None:
        self._context = context
        self._notes = notes
        self._steps = steps
        self._moved = moved

    def look(
        self, loss: torch.Tensor | None = None, frame: FrameType | None = None
    ) -> Found | None:
        """Why a parameter is not finite before this step; None if all are finite.

        Buffers are not looked at: the forward that broke has written to running statistics.

        Args:
            loss: the loss that has become non-finite.
            frame: where that was seen.
        """
        found = broken_weight(self._context.models)
        return None if found is None else self.why(*found, loss, frame)

    def why(
        self,
        path: str,
        weight: torch.Tensor,
        loss: torch.Tensor | None = None,
        frame: FrameType | None = None,
    ) -> Found:
        """Why a parameter, by its path, is not finite before this step."""
        finder = OriginFinder()
        finder.name(local_part(weight), path)
        origin = finder.origin_of(local_part(weight))
        facts: dict[str, Any] = {"parameter": path}
        optimizer = self._context.optimizers.holder(weight)
        if (self._steps == 0 and not self._moved) or optimizer is None:
            return Found("weights", origin, facts)
        rate = self._context.optimizers.entry(optimizer).rate
        verdict = broken_update(optimizer, weight, rate)
        facts["what"] = verdict.what
        if verdict.written:
            return Found("weights", origin, {**facts, "written": True})
        facts["step"] = self._steps - (not self._moved)
        if verdict.by_gradient:
            facts["parameters"] = [path]
            pasts = self._context.before.pasts(self._steps)
            if not self._moved and (found := self.once_more(pasts, loss, frame)) is not None:
                del facts["what"]
                return found._replace(facts={**found.facts, **facts})
            self._notes.append(_UNSEEN_GRADIENT)
            # Data that are broken now were likely so a step ago.
            return self._broken_input(self._context.calls.kept) or Found("backward", None, facts)
        facts |= {"op": type(optimizer).__name__, **lines(self._context.sources.of(optimizer))}
        return Found("update", origin, facts)

    def once_more(
        self, pasts: Iterable[Past], loss: torch.Tensor | None, frame: FrameType | None
    ) -> Found | None:
        """Compute the gradients of earlier micro-batches once more, to see what broke them."""
        for past in pasts:
            if (given := self._broken_input(past.kept)) is not None:
                return given
            reruns = Reruns(self._context.models, self._context.replayer, past)
            backwards = BackwardSearch(reruns, self._context.replayer, past)
            origin, call = backwards.of_calls() or (backwards.of_loss(loss, frame), past.kept[0])
            if origin is not None:
                if past.age:
                    self._notes.append(
                        f"computed with the weights of {past.age} steps before, for no gradient "
                        "was looked at in the step itself"
                    )
                return Found("backward", origin, batch_facts(self._context.calls, call))
        return None

    def _broken_input(self, calls: Iterable[Call]) -> Found | None:
        """A non-finite argument among calls of the model, unless it is meant."""
        for call in calls:
            finder = OriginFinder()
            name_arguments(call, finder)
            origin = finder.origin_of(tensors_within(call.arguments))
            if origin is not None and not origin.meant:
                return Found("data", origin, batch_facts(self._context.calls, call), call)
        return None


def broken_weight(models: Models, *, trained_only: bool = False) -> tuple[str, torch.Tensor] | None:
    """The first non-finite parameter of the models, after its recorded path.

    An infinity in a parameter that is not trained is taken to be meant, as in a mask.
    """
    for model in models.known:
        for name, parameter in named_parameters_of(model.root) if model.root is not None else ():
            has_values = not is_lazy(parameter) and not parameter.is_meta
            is_looked_at = has_values and (parameter.requires_grad or not trained_only)
            if not is_looked_at or _has_finite_sum(parameter):
                continue
            if is_broken(parameter) and (parameter.requires_grad or _has_nan(parameter)):
                known = model.parameter(parameter)  # of Keras, which has names of its own
                return model.join(name) if known is None else known[0], parameter
    return None


def _has_finite_sum(parameter: torch.Tensor) -> bool:
    """Whether the numbers have one, which shows that they all are; else each is to be looked at.

    A sum reads them once; to ask `isfinite` takes ten times as long, and memory of their size.
    """
    part = local_part(parameter.detach())
    can_be_summed = part.dtype in _SUMMED and part.layout is torch.strided
    return can_be_summed and math.isfinite(read_number(part.sum()))


def _has_nan(tensor: torch.Tensor) -> bool:
    return bool(local_part(tensor).isnan().any())
