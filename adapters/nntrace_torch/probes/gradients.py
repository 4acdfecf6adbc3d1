"""Is the backward of a hand-written function the derivative of its forward? (PRB05)

Examines subclasses of `torch.autograd.Function` and operators with
`torch.library.register_autograd`, on the arguments of a training step. Where the forward is
constant almost everywhere, or the identity, another backward is intended: straight-through
estimators, surrogate gradients, gradient reversal.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import Function

from nntrace.text import in_short
from nntrace_torch.patching import Undo
from nntrace_torch.probes.dependencies import CLEAN, FOUND, NOTED, UNKNOWN, Answer
from nntrace_torch.probes.differences import compare
from nntrace_torch.replay.engine import RandomStates

_MANY = 32  # functions
_GENERATED = "GeneratedBackwardFor_"  # PyTorch's class names for `torch.library.register_autograd`


@dataclass(frozen=True, slots=True)
class _Use:
    function: type[Function]
    args: tuple[Any, ...]
    needs: tuple[int, ...]


class OwnFunctions:
    """Keeps the first call of every `torch.autograd.Function` that is not PyTorch's own."""

    def __init__(self) -> None:
        self._uses: dict[type[Function], _Use] = {}
        self.is_noting = False

    def install(self) -> list[Undo]:
        """Watch `Function.apply`."""
        original: Any = Function.__dict__["apply"]
        notes = self

        def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
            if notes.is_noting and not kwargs:
                notes._note(cls, args)
            return original.__get__(None, cls)(*args, **kwargs)  # a builtin from PyTorch 2.15 on

        owner: Any = Function
        owner.apply = classmethod(apply)

        def undo() -> None:
            owner.apply = original

        return [undo]

    def answers(self) -> list[tuple[str, Answer]]:
        """Check each function that was called; pairs of its name and the answer."""
        return [(_name(use.function), _check(use)) for use in self._uses.values()]

    def _note(self, function: type[Function], args: tuple[Any, ...]) -> None:
        is_torchs = function.__module__.partition(".")[0] == "torch"
        is_torchs = is_torchs and not function.__name__.startswith(_GENERATED)
        if is_torchs or function in self._uses or len(self._uses) >= _MANY:
            return
        needs = tuple(
            place
            for place, value in enumerate(args)
            if isinstance(value, torch.Tensor) and value.requires_grad
        )
        if needs:
            kept = tuple(
                value.detach().clone() if isinstance(value, torch.Tensor) else value
                for value in args
            )
            self._uses[function] = _Use(function, kept, needs)


def _check(use: _Use) -> Answer:
    states = RandomStates()
    try:
        with torch.enable_grad():
            return _compare(use)
    except Exception as error:
        return Answer(UNKNOWN, f"it could not be called in float64: {in_short(error)}")
    finally:
        states.restore()


def _compare(use: _Use) -> Answer:
    base = [
        value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for value in use.args
    ]

    def forward(args: list[Any]) -> list[torch.Tensor]:
        torch.default_generator.manual_seed(0)
        made = use.function.apply(*args)
        outputs = made if isinstance(made, tuple) else (made,)
        return [o for o in outputs if isinstance(o, torch.Tensor) and o.is_floating_point()]

    found = compare(forward, base, use.needs)
    if not found.wrong:
        if not found.tried:
            return Answer(UNKNOWN, "it has a kink wherever it was tried")
        return Answer(CLEAN, "its backward is the derivative of its forward")
    if found.is_constant:
        return Answer(NOTED, "its forward is constant almost everywhere: a surrogate gradient")
    if any(_is_identity(found.outputs, base[wrong.part]) for wrong in found.wrong):
        return Answer(NOTED, "its forward is the identity: its gradient is changed on purpose")
    wrong = found.wrong[0]
    file, line = _source(use.function)
    return Answer(
        FOUND,
        f"its backward is {wrong.factor:.4g} times the derivative of its forward with respect to "
        f"argument {wrong.part} ({wrong.by_backward:.4g}, by differences "
        f"{wrong.by_differences:.4g})",
        {"argument": wrong.part, **wrong.evidence},
        file,
        line,
    )


def _is_identity(outputs: tuple[torch.Tensor, ...], value: torch.Tensor) -> bool:
    return any(out.shape == value.shape and torch.equal(out, value) for out in outputs)


def _name(function: type[Function]) -> str:
    """The function's qualified name; `library.operator` for a registered operator."""
    for content in _behind(function.forward):
        if hasattr(content, "_opname"):
            return f"{content._namespace}.{content._opname}"
    return function.__qualname__


def _source(function: type[Function]) -> tuple[str | None, int | None]:
    backward: Any = function.backward
    for content in _behind(backward):
        backward = getattr(content, "_backward_fn", None) or backward
    try:
        return inspect.getsourcefile(backward), inspect.getsourcelines(backward)[1]
    except (OSError, TypeError):
        return None, None


def _behind(function: Any) -> list[Any]:
    """The values in a function's closure; PyTorch keeps an operator and its backward there."""
    return [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
