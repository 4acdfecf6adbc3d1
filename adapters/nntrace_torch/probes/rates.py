"""Exchanges learning rates and weight decay for each step of an experiment, and restores them.

Between the steps the program's own schedule reads and writes its own values.
"""

import weakref
from typing import Any

import torch
from torch.optim import Optimizer

from nntrace.experiment import Ending, Experiment, swept_rates

_EXCHANGED = ("lr", "weight_decay")
_RATES = ("lr", "initial_lr", "max_lr")  # what PyTorch's schedules write into a group


class Rates:
    """Exchanges the values of param groups around `Optimizer.step`.

    Args:
        experiment: says what the values are replaced by.
        ending: knows how far a sweep has come.

    Attributes:
        base: the program's learning rate before any warm-up or decay: the highest value it has
            set in a param group; None before the first step.
        decays: whether a param group has weight decay.
    """

    def __init__(self, experiment: Experiment, ending: Ending) -> None:
        self._experiment = experiment
        self._ending = ending
        self._built: weakref.WeakKeyDictionary[Optimizer, list[float]] = weakref.WeakKeyDictionary()
        self._kept: dict[int, list[dict[str, Any]]] = {}
        self.base: float | None = None
        self.decays = False

    def built(self, result: None, optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
        """Keep the rates an optimizer was built with: a loop may overwrite them by hand."""
        self._built[optimizer] = [number(group.get("lr")) or 0.0 for group in _groups(optimizer)]

    def before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Set the experiment's values in the param groups."""
        groups = _groups(optimizer)
        self._kept[id(optimizer)] = [
            {name: _copied(group[name]) for name in _EXCHANGED if name in group} for group in groups
        ]
        named = self._named(optimizer)
        base = max(named, default=0.0)
        if base:
            self.base = max(self.base or 0.0, base)
        experiment = self._experiment
        for group, own in zip(groups, named, strict=True):
            self.decays = self.decays or bool(number(group.get("weight_decay")))
            if not experiment.regularised and "weight_decay" in group:
                group["weight_decay"] = 0 * group["weight_decay"]
            now = number(group.get("lr"))
            if now is None or not base:
                continue
            if experiment.sweep:
                _set(group, "lr", self._swept(base) * own / base)
            elif experiment.steady:
                _set(group, "lr", own * experiment.rate)
            elif experiment.rate != 1.0:
                _set(group, "lr", now * experiment.rate)

    def after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Put the program's values back."""
        for group, kept in zip(_groups(optimizer), self._kept.pop(id(optimizer), ()), strict=False):
            for name, value in kept.items():
                _set(group, name, value)

    def _named(self, optimizer: Optimizer) -> list[float]:
        """The highest learning rate of each param group: now, at first, or at a schedule's peak."""
        built = self._built.get(optimizer, [])
        return [
            max(
                *(number(group.get(name)) or 0.0 for name in _RATES),
                built[index] if index < len(built) else 0.0,
            )
            for index, group in enumerate(_groups(optimizer))
        ]

    def _swept(self, base: float) -> float:
        low, high = swept_rates(base)
        return float(low * (high / low) ** self._ending.share)


def number(value: Any) -> float | None:
    """A learning rate as a plain number; None for a value that is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | torch.Tensor):
        return None
    return float(value)


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    return list(optimizer.param_groups)


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _set(group: dict[str, Any], name: str, value: Any) -> None:
    """Set a group's value; a tensor is overwritten in place, for a captured optimizer reads it."""
    if isinstance(group[name], torch.Tensor):
        group[name].fill_(float(value))
    else:
        group[name] = value
