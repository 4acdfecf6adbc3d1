"""Is the backward of a hand-written function the derivative of its forward? (PRB05)

Along a random direction, in float64: ⟨v, J u⟩ by autograd and by central differences. No loss is
needed. A forward that is constant almost everywhere, or that is the identity, has its backward
on purpose: straight-through estimators, surrogate gradients, gradient reversal.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import Function

from nntrace_torch.patching import Undo
from nntrace_torch.probes.dependencies import CLEAN, FOUND, NOTED, UNKNOWN, Answer
from nntrace_torch.replay.engine import RandomStates

_MANY = 32  # functions
_DIRECTIONS = 3
_STEP = 1e-6
_TOLERANCE = 1e-4
_KINK = 1e-3  # by how much differences of two step sizes may disagree


@dataclass(frozen=True, slots=True)
class _Use:
    function: type[Function]
    args: tuple[Any, ...]
    needs: tuple[int, ...]


class OwnFunctions:
    """Notes a call of every `torch.autograd.Function` that is not PyTorch's."""

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
            return original.__func__(cls, *args, **kwargs)

        owner: Any = Function
        owner.apply = classmethod(apply)

        def undo() -> None:
            owner.apply = original

        return [undo]

    def answers(self) -> list[tuple[str, Answer]]:
        """What is to be said of each function, by its name."""
        return [(use.function.__qualname__, _check(use)) for use in self._uses.values()]

    def _note(self, function: type[Function], args: tuple[Any, ...]) -> None:
        is_torchs = function.__module__.partition(".")[0] == "torch"
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
    states = RandomStates.now()
    try:
        with torch.enable_grad():
            return _compare(use)
    except Exception as error:
        return Answer(
            UNKNOWN, f"it could not be called in float64: {type(error).__name__}: {error}"
        )
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

    random = torch.Generator().manual_seed(0)
    plain = [out.detach() for out in forward(_copied(base))]
    weights = [_like(out, random) for out in plain]

    def scalar(args: list[Any]) -> torch.Tensor:
        outs = forward(args)
        return torch.stack([(w * o).sum() for w, o in zip(weights, outs, strict=True)]).sum()

    wrong: list[tuple[int, float, float]] = []
    constant, tried = True, 0
    for place in use.needs:
        bad = []
        for _ in range(_DIRECTIONS):
            direction = _like(base[place], random)
            by_backward = _analytic(scalar, base, place, direction)
            wide = _numeric(scalar, base, place, direction, 10 * _STEP)
            narrow = _numeric(scalar, base, place, direction, _STEP)
            size = max(abs(by_backward), abs(narrow), 1e-8)
            constant = constant and narrow == 0.0
            if abs(wide - narrow) > _KINK * size and narrow != 0.0:
                continue  # a kink lies between: no derivative to compare with
            tried += 1
            if abs(by_backward - narrow) > max(_TOLERANCE, _KINK) * size:
                bad.append((place, by_backward, narrow))
        if len(bad) == _DIRECTIONS:
            wrong.append(bad[0])
    if not wrong:
        if not tried:
            return Answer(UNKNOWN, "it has a kink wherever it was tried")
        return Answer(CLEAN, "its backward is the derivative of its forward")
    if constant:
        return Answer(NOTED, "its forward is constant almost everywhere: a surrogate gradient")
    if any(_is_identity(plain, base[place]) for place, _, _ in wrong):
        return Answer(NOTED, "its forward is the identity: its gradient is changed on purpose")
    place, by_backward, narrow = wrong[0]
    factor = by_backward / narrow if narrow else float("inf")
    file, line = _source(use.function)
    return Answer(
        FOUND,
        f"its backward is {factor:.4g} times the derivative of its forward with respect to "
        f"argument {place} ({by_backward:.4g}, by differences {narrow:.4g})",
        {"argument": place, "backward": by_backward, "differences": narrow, "factor": factor},
        file,
        line,
    )


def _analytic(
    scalar: Callable[[list[Any]], torch.Tensor], base: list[Any], place: int, u: torch.Tensor
) -> float:
    args = _copied(base)
    args[place] = args[place].requires_grad_()
    (gradient,) = torch.autograd.grad(scalar(args), [args[place]], allow_unused=True)
    return 0.0 if gradient is None else float((gradient * u).sum())


def _numeric(
    scalar: Callable[[list[Any]], torch.Tensor], base: list[Any], place: int, u: torch.Tensor,
    step: float,
) -> float:  # fmt: skip
    step *= max(1.0, float(base[place].abs().max()))
    values = []
    for sign in (1.0, -1.0):
        args = _copied(base)
        args[place] = args[place] + sign * step * u
        with torch.no_grad():
            values.append(float(scalar(args)))
    return (values[0] - values[1]) / (2 * step)


def _copied(args: list[Any]) -> list[Any]:
    return [value.clone() if isinstance(value, torch.Tensor) else value for value in args]


def _like(tensor: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(tensor.shape, generator=random, dtype=torch.float64)
    scaled: torch.Tensor = drawn / max(tensor.numel(), 1) ** 0.5
    return scaled.to(tensor.device)


def _is_identity(outputs: list[torch.Tensor], value: torch.Tensor) -> bool:
    return any(out.shape == value.shape and torch.equal(out, value) for out in outputs)


def _source(function: type[Function]) -> tuple[str | None, int | None]:
    try:
        return inspect.getsourcefile(function), inspect.getsourcelines(function.backward)[1]
    except (OSError, TypeError):
        return None, None
