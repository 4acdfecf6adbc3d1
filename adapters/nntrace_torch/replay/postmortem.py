"""Why an optimizer's update made a parameter non-finite, told from the optimizer's own state."""

import math

import torch
from torch.optim import Optimizer

from nntrace_torch.ranks import local_part

_SECOND_MOMENTS = ("exp_avg_sq", "square_avg", "sum", "exp_inf")


def broken_update(optimizer: Optimizer, parameter: torch.Tensor) -> str:
    """A clause about the state in which the update left a parameter that is no longer finite."""
    group = next(
        (g for g in optimizer.param_groups if any(p is parameter for p in g["params"])), {}
    )
    for name in ("lr", "momentum", "weight_decay", "eps"):
        value = group.get(name)
        if isinstance(value, (int, float, torch.Tensor)) and not math.isfinite(float(value)):
            return f"{name} is {float(value)}"
    bad = ~torch.isfinite(local_part(parameter).detach())
    count = f"{int(bad.sum())} of {bad.numel()} elements"
    state = optimizer.state.get(parameter, {})
    tensors = {
        name: local_part(value)
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape
    }
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            return (
                f"{count}: its state `{name}` is not finite, so that a gradient that was not "
                "finite, or too large to be squared, has reached the optimizer"
            )
    if group.get("eps") == 0:
        for name in _SECOND_MOMENTS:
            if name in tensors and bool((tensors[name][bad] == 0).all()):
                return f"{count}: 0 / 0, for eps is 0 and `{name}` is 0 there"
    return f"{count}: its state is finite, lr is {float(group.get('lr', math.nan)):g}"
