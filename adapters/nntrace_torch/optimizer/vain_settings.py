"""Sees `optimizer.lr = 1e-4` and `optimizer.defaults["lr"] = 1e-4`, which change nothing.

PyTorch's optimizers read their `param_groups`; the defaults are for groups that are added later.
An optimizer of the program's own may read what it likes, and is not looked at.
"""

from typing import Any

from torch.optim import Optimizer

from nntrace.adapter.vain_settings import VainSettings
from nntrace.recorder import Recorder
from nntrace_torch.program.sources import Sources, caller

_MEANT = {name: name for name in ("lr", "weight_decay", "momentum")} | {"learning_rate": "lr"}


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
        defaults = optimizer.defaults
        first = self._defaults.setdefault(name, dict(defaults))
        written = {key: vars(optimizer)[key] for key in _MEANT if key in vars(optimizer)}
        meant = {key: _MEANT[key] for key in written if _MEANT[key] in defaults}
        for key in _MEANT:
            if key in first and defaults.get(key) is not first[key]:
                written[f"defaults['{key}']"] = defaults[key]
                meant[f"defaults['{key}']"] = key
        if meant:
            in_force = {
                setting: [
                    value
                    for source in (*optimizer.param_groups, first)
                    for value in (source.get(key), source.get(f"initial_{key}"))
                    if isinstance(value, (int, float))
                ]
                for setting, key in meant.items()
            }
            written = {setting: written[setting] for setting in meant}
            near = (caller(), self._sources.of(optimizer))
            self._vain.look(name, written, in_force, near)
