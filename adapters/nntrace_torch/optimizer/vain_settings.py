"""Sees `optimizer.lr = 1e-4` and `optimizer.defaults["lr"] = 1e-4`, which change nothing.

PyTorch's optimizers read their `param_groups`; the defaults are for groups that are added later.
An optimizer of the program's own may read what it likes, and is not looked at.
"""

from typing import Any

from torch.optim import Optimizer

from nntrace.adapter.vain_settings import VainSettings
from nntrace.recorder import Recorder
from nntrace_torch.program.sources import Sources, caller

_SETTINGS = ("lr", "weight_decay", "momentum")
_ATTRIBUTES = {**{name: name for name in _SETTINGS}, "learning_rate": "lr"}


class OptimizerAttributes:
    """Looks at an optimizer's own attributes when it is about to step."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._vain = VainSettings(recorder)
        self._sources = sources
        self._defaults: dict[str, dict[str, Any]] = {}

    def look(self, optimizer: Optimizer, name: str) -> None:
        """Before a sampled step of the optimizer of this name."""
        if not type(optimizer).__module__.startswith("torch.optim"):
            return
        defaults, own = optimizer.defaults, vars(optimizer)
        first = self._defaults.get(name)
        if first is None:
            first = self._defaults[name] = dict(defaults)
        meant = {key: of for key, of in _ATTRIBUTES.items() if key in own and of in first}
        written = {key: own[key] for key in meant}
        for key in _SETTINGS:
            if key in first and defaults.get(key) is not first[key]:
                meant[setting := f"defaults['{key}']"] = key
                written[setting] = defaults.get(key)
        if written:
            in_force = {setting: _in_force(optimizer, first, key) for setting, key in meant.items()}
            self._vain.look(name, written, in_force, (caller(), self._sources.of(optimizer)))


def _in_force(optimizer: Optimizer, first: dict[str, Any], key: str) -> list[float]:
    """The values of a setting that an optimizer goes by or began with."""
    values = [
        source.get(name)
        for source in (*optimizer.param_groups, first)
        for name in (key, f"initial_{key}")
    ]
    return [value for value in values if isinstance(value, (int, float))]
