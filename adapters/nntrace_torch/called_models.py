"""Which models the program calls and which optimizer trains which of them."""

import weakref
from collections.abc import Callable

from torch import nn
from torch.optim import Optimizer

from nntrace_torch.samples.modules import Model, Models


class CalledModels:
    """The outermost modules that were called in sampled steps, the last one at the end."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._roots: dict[str, Callable[[], nn.Module | None]] = {}
        self._last: Callable[[], nn.Module | None] = lambda: None

    def add(self, model: Model, module: nn.Module) -> None:
        """A model was called by `module`."""
        self._roots.pop(model.prefix, None)
        self._roots[model.prefix] = self._last = weakref.ref(module)

    def of(self, optimizer: Optimizer) -> Callable[[], nn.Module | None]:
        """The last called model that holds the parameters an optimizer steps, as a reference."""
        if len(self._roots) > 1:
            groups = optimizer.param_groups
            first = next((group["params"] for group in groups if group["params"]), None)
            model = self._models.model_of(first[0]) if first else None
            if model is not None and model.prefix in self._roots:
                return self._roots[model.prefix]
        return self._last


def phase_of(module: nn.Module | None) -> str:
    """`train` or `eval`, by the module's mode; `train` without a module."""
    return "eval" if module is not None and not module.training else "train"
