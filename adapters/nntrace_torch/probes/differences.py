"""Is a gradient the derivative of what was computed? Tested along random directions in float64.

Compares ⟨v, J u⟩ by autograd with the same by central differences; no loss is needed. A direction
along which two step sizes disagree crosses a kink, and does not count.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from nntrace.adapter.derivatives import STEP, WIDE_STEP, Comparison, Slopes, compared


def compare(
    forward: Callable[[list[Any]], list[torch.Tensor]], base: list[Any], places: Iterable[int]
) -> Comparison[int]:
    """Compare gradients with central differences, argument by argument.

    Args:
        forward: computes outputs from arguments, deterministically.
        base: the arguments, in float64 where they are floating-point.
        places: the places of the arguments whose gradients are compared.

    Raises:
        Exception: what `forward` or its backward raised.
    """
    random = torch.Generator().manual_seed(0)
    outputs = tuple(out.detach() for out in forward(_copied(base)))
    weights = [_like(out, random) for out in outputs]

    def scalar(args: list[Any]) -> torch.Tensor:
        outs = forward(args)
        return torch.stack([(w * o).sum() for w, o in zip(weights, outs, strict=True)]).sum()

    def slopes(place: int) -> Callable[[], Slopes]:
        def measure() -> Slopes:
            direction = _like(base[place], random)
            by_backward = _analytic(scalar, base, place, direction)
            wide = _numeric(scalar, base, place, direction, WIDE_STEP)
            narrow = _numeric(scalar, base, place, direction, STEP)
            return Slopes(by_backward, narrow, wide)

        return measure

    return compared(outputs, places, slopes)


def _analytic(
    scalar: Callable[[list[Any]], torch.Tensor], base: list[Any], place: int, u: torch.Tensor
) -> float:
    args = _copied(base)
    args[place] = args[place].requires_grad_()
    value = scalar(args)
    if not value.requires_grad:
        return 0.0
    (gradient,) = torch.autograd.grad(value, [args[place]], allow_unused=True)
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
    drawn = torch.randn(tensor.shape, generator=random, dtype=torch.float64, device="cpu")
    scaled: torch.Tensor = drawn / max(tensor.numel(), 1) ** 0.5
    return scaled.to(tensor.device)
