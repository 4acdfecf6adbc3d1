"""The optimizers of the program: their names, what they hold, their learning rates.

An optimizer is known from its construction on, so that one that has yet to step (the second of a
GAN, before its turn) already counts as holding its parameters.
"""

import gc
import sys
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from nntrace.adapter import DESCRIBES_ITSELF
from nntrace.adapter.sources import notebook_cell
from nntrace.recorder import Recorder, is_recorded
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, after
from nntrace_torch.program.living import living
from nntrace_torch.program.sources import UNKNOWN, Source, Sources

_RECENT = 8  # steps


class Known:
    """One optimizer of the program.

    Attributes:
        reference: a weak reference to it.
        name: its name in the trace: its class, with a number from the second optimizer on. An
            optimizer that the same line builds again for the same parameters keeps the name.
        built: how often that line has built it; one that never stepped had nothing to lose, and
            does not count.
        announced: whether its event was recorded, which is at its first step.
        rate: the learning rate of its last step, which schedules may have changed since.
    """

    __slots__ = ("announced", "built", "name", "parameters", "rate", "reference", "source")

    def __init__(self, optimizer: Optimizer, name: str, source: Source, built: int) -> None:
        self.reference = weakref.ref(optimizer)
        self.name = name
        self.source = source
        self.built = built
        self.parameters = [weakref.ref(parameter) for parameter in parameters_of(optimizer)]
        self.announced = False
        self.rate: float | None = None

    def is_replaced_by(self, optimizer: Optimizer, source: Source) -> bool:
        """Whether `optimizer` was built by the same line, for the same parameters."""
        parameters = parameters_of(optimizer)
        return (
            source == self.source != UNKNOWN
            and len(parameters) == len(self.parameters) > 0
            and all(held() is one for held, one in zip(self.parameters, parameters, strict=True))
        )


class HandWritten(Optimizer):
    """Stands for the optimizer in programs that update their parameters themselves.

    Its learning rate is not known.
    """

    def __init__(self) -> None:
        # Not PyTorch's constructor: this must neither keep parameters alive nor ask for any.
        self.state = defaultdict(dict)  # of which nothing is known
        self.hold(())

    def hold(self, parameters: Iterable[torch.Tensor]) -> None:
        """Set the parameters, in the order in which the model has them."""
        parameters = list(parameters)
        self._references = list(map(weakref.ref, parameters))
        self._by_size = list(map(weakref.ref, sorted(parameters, key=torch.Tensor.numel)))

    def by_size(self) -> Iterator[torch.Tensor]:
        """The parameters that are still alive, the smallest first."""
        return _living(self._by_size)

    # An attribute of PyTorch's optimizers, which would keep the parameters alive.
    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """One group: the parameters that are still alive."""
        return [{"params": list(_living(self._references))}]


HandWritten.__name__ = "by hand"  # what stands for an optimizer's name in a trace


class Optimizers:
    """Every optimizer that was built or has stepped, in that order."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._known: dict[int, Known] = {}
        self._held: dict[int, tuple[weakref.ref[torch.Tensor], str]] = {}
        self._by_source: dict[tuple[type, Source], Known] = {}
        self._built = 0
        self._has_searched = False
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self.count = 0

    def install(self) -> list[Undo]:
        """Watch the constructor."""
        return [after(Optimizer, "__init__", self._recorder.guard(self._was_built))]

    def observe(self, optimizer: Optimizer, known: Known) -> None:
        """An optimizer has stepped; the first time it is announced."""
        self._recent.append(known.name)
        if not known.announced:
            known.announced = True
            self.count += known.built == 1
            if is_recorded(known.built):
                self._announce(optimizer, known)

    def has_any(self) -> bool:
        """Whether the program has built an optimizer."""
        if not self._built and not self._has_searched:
            self._search()
        return self._built > 0 or self._recorder.hooks.has_foreign_optimizer

    def stepped(self) -> list[Known]:
        """The optimizers that have made a step of their own."""
        return [known for known in self._known.values() if known.announced]

    @property
    def taking_turns(self) -> int:
        """How many different optimizers made the last few steps."""
        return len(set(self._recent)) if self._built > 1 else 1

    def holder_names(self, parameters: Sequence[torch.Tensor]) -> list[str | None]:
        """For each parameter, the name of the optimizer that holds it, or None."""
        names = [self._holder(parameter) for parameter in parameters]
        if None in names:
            self._read_groups()  # a group added, or a parameter replaced, since?
            names = [self._holder(parameter) for parameter in parameters]
        if None in names and self._search():
            self._read_groups()
            names = [self._holder(parameter) for parameter in parameters]
        return names

    def has_stepped(self, name: str) -> bool:
        """Whether an optimizer of this name has made a step of its own."""
        return any(known.announced for known in self._known.values() if known.name == name)

    def holder(self, parameter: torch.Tensor) -> Optimizer | None:
        """The first living optimizer that holds this parameter."""
        for known in self._known.values():
            optimizer = known.reference()
            if optimizer is not None and any(p is parameter for p in parameters_of(optimizer)):
                return optimizer
        return None

    def stepped_with(self, optimizer: Optimizer, known: Known) -> float | None:
        """The learning rate of the step that has just been made; remembers it."""
        groups = optimizer.param_groups
        rate = groups[0].get("lr") if groups else None
        known.rate = rate if type(rate) is float else self.learning_rate(optimizer)
        return known.rate

    def learning_rate(self, optimizer: Optimizer) -> float | None:
        """The first parameter group's learning rate; None if it is on an accelerator."""
        rate = optimizer.param_groups[0].get("lr") if optimizer.param_groups else None
        if rate is None or type(rate) is float:
            return rate
        if isinstance(rate, torch.Tensor) and not rate.is_cpu:
            return None
        return float(rate)

    def _search(self) -> bool:
        """Find optimizers built before nntrace started, once: it takes some 100 ms.

        Returns:
            Whether it was done now.
        """
        if self._has_searched:
            return False
        self._has_searched = True
        if _living_optimizers():
            gc.collect()  # garbage, as from an earlier run of a notebook cell, does not count
        for optimizer in _living_optimizers():
            self.entry(optimizer)
        return True

    def _was_built(self, result: None, optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
        self.entry(optimizer)

    def entry(self, optimizer: Optimizer) -> Known:
        """The entry of an optimizer, made if there is none: it may be older than the trace."""
        known = self._known.get(id(optimizer))
        if known is None or known.reference() is not optimizer:
            source = self._sources.of(optimizer)
            before = self._by_source.get((type(optimizer), source))
            if before is not None and before.is_replaced_by(optimizer, source):
                known = Known(optimizer, before.name, source, before.built + before.announced)
            else:
                name = type(optimizer).__name__
                if not isinstance(optimizer, HandWritten):
                    self._built += 1
                    name += f".{self._built}" if self._built > 1 else ""
                known = Known(optimizer, name, source, 1)
            self._known[id(optimizer)] = self._by_source[type(optimizer), source] = known
        return known

    def _holder(self, parameter: torch.Tensor) -> str | None:
        reference, name = self._held.get(id(parameter), (None, ""))
        return name if reference is not None and reference() is parameter else None

    def _read_groups(self) -> None:
        for known in self._known.values():
            optimizer = known.reference()
            for parameter in parameters_of(optimizer) if optimizer is not None else ():
                self._held[id(parameter)] = (weakref.ref(parameter), known.name)

    def _announce(self, optimizer: Optimizer, known: Known) -> None:
        group: dict[str, Any] = optimizer.param_groups[0] if optimizer.param_groups else {}
        source = known.source
        numbers = {
            key: float(group[key])
            for key in ("weight_decay", "momentum", "eps")
            if isinstance(group.get(key), (int, float))
        }
        match group.get("betas"):
            case (int() | float() as first, int() | float() as second):
                numbers |= {"beta1": float(first), "beta2": float(second)}
        payload = {
            "name": known.name,
            "built": known.built,
            "class": type(optimizer).__name__,
            "decoupled": _is_decoupled(optimizer),
            "stateful": _has_state(optimizer),
            "parameters": sum(len(g["params"]) for g in optimizer.param_groups),
            "groups": len(optimizer.param_groups),
            "lr": self.learning_rate(optimizer),
            **numbers,
            "cell": notebook_cell(),
            **source.place,
            **getattr(optimizer, DESCRIBES_ITSELF, {}),  # of a framework built on PyTorch
        }
        self._recorder.add_event(EventKind.OPTIMIZER, payload)


def _living_optimizers() -> list[Optimizer]:
    return [found for found in living(Optimizer) if "param_groups" in vars(found)]


def _living(references: Iterable[weakref.ref[torch.Tensor]]) -> Iterator[torch.Tensor]:
    return (tensor for reference in references if (tensor := reference()) is not None)


def parameters_of(optimizer: Optimizer) -> list[torch.Tensor]:
    """All that an optimizer was given, in its order."""
    groups = getattr(optimizer, "param_groups", ())  # a subclass may not have called `__init__`
    return [parameter for group in groups for parameter in group["params"]]


def _is_decoupled(optimizer: Optimizer) -> bool:
    """Whether weight decay acts on the weights themselves, not through the gradient."""
    groups = optimizer.param_groups
    flag = bool(groups) and bool(groups[0].get("decoupled_weight_decay", False))
    return flag or "AdamW" in type(optimizer).__name__ or "Lion" in type(optimizer).__name__


def _has_state(optimizer: Optimizer) -> bool:
    """Whether it has state between steps, as all of PyTorch's have but SGD without momentum."""
    groups = optimizer.param_groups
    plain = isinstance(optimizer, torch.optim.SGD)
    return not plain or any(group.get("momentum") for group in groups)


def is_inside(outer: Optimizer | None, optimizer: Optimizer) -> bool:
    """Whether the step of `optimizer` that now begins was called within the step of `outer`."""
    if outer is None or outer is optimizer:
        return False
    frame = sys._getframe(1).f_back
    while frame is not None:
        # The first frame of a step is torch's wrapper, whose first argument is in `args`.
        if frame.f_locals.get("self") is outer and frame.f_code.co_name in ("wrapper", "step"):
            return True
        frame = frame.f_back
    return False


def with_closure(
    args: tuple[Any, ...], kwargs: dict[str, Any], make: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a step with its closure replaced by what `make` makes of it."""
    if kwargs.get("closure") is not None:
        return args, {**kwargs, "closure": make(kwargs["closure"])}
    return (args[0], make(args[1]), *args[2:]), kwargs


def is_given_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a step was given a closure; `args[0]` is the optimizer."""
    return (len(args) > 1 and callable(args[1])) or (
        bool(kwargs) and kwargs.get("closure") is not None
    )
