"""Finds `backbone.requires_grad = False`, which freezes nothing: modules have no such switch.

Theirs is the method `requires_grad_`; the statement adds an attribute that nothing reads. So does
one that misspells the attribute of a parameter.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from nntrace.adapter.statements import assignments
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.optimizer.lasting import Lasting
from nntrace_torch.program.module_tree import named_parameters_of
from nntrace_torch.program.sources import Source, Sources, caller
from nntrace_torch.samples.modules import Models

_MEANT = "requires_grad"
_ALIKE = 0.85  # `require_grad`, `requires_grads` and `requires_gard` are; `is_shared` is not


class _Switch(NamedTuple):
    """An attribute that was set False, and the parameters that it was to freeze."""

    attribute: str
    parameters: dict[str, torch.Tensor]
    source: Source


class VainFreezing:
    """Looks at the attributes of modules and parameters, and at what is trained all the same."""

    def __init__(self, recorder: Recorder, models: Models, sources: Sources) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._lasting = Lasting()

    def look(self, holders: Callable[[Sequence[torch.Tensor]], Sequence[str | None]]) -> None:
        """Before the first backward of a sampled step.

        Args:
            holders: gives the names of the optimizers that hold tensors, None for those of none.
        """
        lasting = self._lasting.look(lambda: {path: s.attribute for path, s in self._set().items()})
        for path, switch in self._set().items() if lasting else ():
            held = holders(list(switch.parameters.values()))
            trained = [name for name, holder in zip(switch.parameters, held, strict=True) if holder]
            if path in lasting and trained:
                self._tell(path, switch, trained)
                return

    def _set(self) -> dict[str, _Switch]:
        """The switches that are False while all that they were to freeze is not, by their paths."""
        found: dict[str, _Switch] = {}
        for model in self._models.known:
            for path, module in model.parts():
                if vars(module).get(_MEANT) is False:
                    inside: dict[str, torch.Tensor] = {
                        f"{path}.{name}".lstrip("."): parameter
                        for name, parameter in named_parameters_of(module)
                    }
                    found[path] = _Switch(_MEANT, inside, self._sources.of(module))
            for parameter in model.parameters():
                name = next((name for name in vars(parameter) if _is_misspelled(name)), None)
                if name is not None and getattr(parameter, name) is False:
                    own = model.parameter(parameter)
                    if own is not None:
                        source = self._sources.of(own[1])
                        found[own[0]] = _Switch(name, {own[0]: parameter}, source)
        return {
            path: switch
            for path, switch in found.items()
            if switch.parameters and all(one.requires_grad for one in switch.parameters.values())
        }

    def _tell(self, path: str, switch: _Switch, trained: list[str]) -> None:
        source = _statement(path, switch.attribute, [caller(), switch.source]) or switch.source
        payload = {
            "still_trained": trained,
            "never_trained": [],
            "switch": f"{path}.{switch.attribute}".lstrip("."),
            **source.place,
        }
        self._recorder.add_event(EventKind.TRAINABLE, payload, severity="warning")


def _is_misspelled(name: str) -> bool:
    return name != _MEANT and difflib.SequenceMatcher(None, name, _MEANT).ratio() > _ALIKE


def _statement(path: str, attribute: str, near: Sequence[Source]) -> Source | None:
    """The only line of these files that sets the attribute, or the only one that names the part."""
    for found in assignments(attribute, near):
        named = [line for line, owner in found.items() if owner == path.rpartition(".")[2]]
        for lines in (named, list(found)):
            if len(lines) == 1:
                return lines[0]
    return None
