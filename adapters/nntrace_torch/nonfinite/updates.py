"""Why an optimizer's update made a parameter non-finite, as far as its own state shows it."""

import math
from typing import NamedTuple

import torch
from torch.optim import Optimizer

from nntrace_torch.program.ranks import local_part

_SECOND_MOMENTS = ("exp_avg_sq", "square_avg", "sum", "exp_inf", "_velocities", "_accumulators")


class Verdict(NamedTuple):
    """What made a parameter non-finite.

    Attributes:
        what: a clause about the parameter and the optimizer's state.
        by_gradient: whether it was the gradient that the optimizer was given.
        written: whether it was the program, which wrote to the parameter.
    """

    what: str
    by_gradient: bool = False
    written: bool = False


def broken_update(
    optimizer: Optimizer, parameter: torch.Tensor, rate: float | None = None
) -> Verdict:
    """Why a parameter is no longer finite after its optimizer's step.

    Args:
        optimizer: the optimizer that has stepped.
        parameter: the parameter, which is not finite.
        rate: the learning rate of that step, which a schedule may have changed since.
    """
    group = next(
        (g for g in optimizer.param_groups if any(p is parameter for p in g["params"])), {}
    )
    for name in ("lr", "momentum", "weight_decay", "eps"):
        value = group.get(name)
        if isinstance(value, (int, float, torch.Tensor)) and not math.isfinite(float(value)):
            return Verdict(f"{name} is {float(value)}")
    if rate is not None and not math.isfinite(rate):
        return Verdict(f"lr was {rate}")
    values = local_part(parameter).detach()
    bad = ~torch.isfinite(values)
    count = f"{int(bad.sum())} of {bad.numel()} elements are not finite"
    state = optimizer.state.get(parameter, {})
    tensors = {
        name: local_part(value)
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape
    }
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            return Verdict(
                f"{count}, nor is the optimizer's `{name}`, which the gradient has entered",
                by_gradient=True,
            )
    eps = group.get("eps")
    if isinstance(eps, (int, float)) and not values.new_tensor(eps):
        rounded = "0" if eps == 0 else f"{eps:g}, which is 0 in {values.dtype},"
        for name in _SECOND_MOMENTS:
            if name in tensors and bool((tensors[name][bad] == 0).all()):
                told = f"0 / 0, for eps is {rounded.replace('torch.', '')}"
                return Verdict(f"{count}: {told} and `{name}` is 0 there")
    zero = next((name for name, value in tensors.items() if not bool(value[bad].any())), None)
    if bool(values.isnan().any()) and zero is not None:
        return Verdict(
            f"{count}: 0 / 0 in the step, for `{zero}` is 0 there; a gradient that was not finite "
            "would be found in it"
        )
    if bool(values.isnan().any()) and tensors:
        told = "the optimizer's state, which gradients enter, is finite: the program has written it"
        return Verdict(f"{count}, and {told}", written=True)
    if bool(values.isnan().any()):
        return Verdict(
            f"{count}, and the optimizer's settings are finite, which keeps nothing of a gradient",
            by_gradient=True,
        )
    return Verdict(f"{count}: its state is finite, lr is {float(group.get('lr', math.nan)):g}")
