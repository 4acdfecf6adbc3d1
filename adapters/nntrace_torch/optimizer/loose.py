"""Finds tensors that a module holds as plain attributes or in lists, and gradients reach in vain.

`self.weight = torch.randn(…, requires_grad=True)` is no parameter: `parameters()` leaves it out,
and with it the optimizer. What the program changes by itself is left alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.optimizer.lasting import Lasting
from nntrace_torch.program.graphs import leaves_of
from nntrace_torch.program.sources import Sources
from nntrace_torch.samples.modules import Models

_LISTED = 64  # values of an attribute that is a list


class LooseTensors:
    """Looks at the modules of the models, and at what a loss was computed from."""

    def __init__(self, recorder: Recorder, models: Models, sources: Sources) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._lasting = Lasting()

    def look(
        self, loss: torch.Tensor, holders: Callable[[Sequence[torch.Tensor]], Sequence[str | None]]
    ) -> None:
        """Before the first backward of a sampled step.

        Args:
            loss: what is differentiated.
            holders: gives the names of the optimizers that hold tensors, None for those of none.
        """
        if lasting := self._lasting.look(self._marks):
            loose = {path: one for path, one in self._loose().items() if path in lasting}
            self._tell(loose, loss, holders)

    def _marks(self) -> dict[str, object]:
        """Another object, or another content, is the program's own update."""
        return {path: (id(one), one._version) for path, (_, one) in self._loose().items()}

    def _tell(
        self,
        loose: dict[str, tuple[nn.Module, torch.Tensor]],
        loss: torch.Tensor,
        holders: Callable[[Sequence[torch.Tensor]], Sequence[str | None]],
    ) -> None:
        reached = {id(leaf) for leaf in leaves_of(loss)}
        held = holders([tensor for _, tensor in loose.values()])
        found = [
            (path, module)
            for (path, (module, tensor)), holder in zip(loose.items(), held, strict=True)
            if holder is None and id(tensor) in reached
        ]
        if not found:
            return
        source = self._sources.of(found[0][1])
        payload = {
            "tensors": [path for path, _ in found],
            "class": type(found[0][1]).__name__,
            **source.place,
        }
        self._recorder.add_event(EventKind.LOOSE, payload, severity="warning")

    def _loose(self) -> dict[str, tuple[nn.Module, torch.Tensor]]:
        """Leaves that want gradients and are neither parameters nor buffers, by their paths."""
        found: dict[str, tuple[nn.Module, torch.Tensor]] = {}
        for path, module in chain.from_iterable(model.parts() for model in self._models.known):
            for name, value in _tensors(vars(module)):
                if value.requires_grad and value.is_leaf:
                    found[f"{path}.{name}" if path else name] = module, value
        return found


def _tensors(attributes: Mapping[str, object]) -> Iterator[tuple[str, torch.Tensor]]:
    """The plain tensors among the attributes, or in a list or tuple of these, by their names."""
    for name, value in attributes.items():
        if type(value) is torch.Tensor:
            yield name, value
        elif isinstance(value, (list, tuple)) and len(value) <= _LISTED:
            for number, one in enumerate(value):
                if type(one) is torch.Tensor:
                    yield f"{name}.{number}", one
