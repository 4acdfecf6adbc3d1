"""Which weights are those of a fresh initialisation: nothing was trained or loaded into them.

Judged by their values alone, as a program may load weights in any way.
"""

from collections.abc import Sequence

import numpy as np

from nntrace.rules.common.layers import columns, first_finite
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_FEW = 256  # of fewer elements the spread says too little
_UNIFORM = 0.1  # largest distance of an excess kurtosis from that of uniform values
_MANY = 1024  # elements whose spread is known well; for fewer, up to twice the distance is allowed


def share_as_initialised(
    trace: Trace, sites: Sequence[Site], tolerance: float = 0.025
) -> tuple[list[Site], float]:
    """The weights that look freshly initialised, and their share of all judgeable elements.

    Their spread, within the relative tolerance, and their kurtosis are those that PyTorch's or
    Keras' initialisers draw, which training does not preserve. The share is NaN if none can be
    judged.
    """
    std, kurtosis, counts = (
        first_finite(columns(trace, Role.PARAM, stat, sites)) for stat in ("std", "kurtosis", "n")
    )
    telling = [
        (site, spread, tails, max(1.0, (_MANY / count) ** 0.5))
        for site, spread, tails, count in zip(sites, std, kurtosis, counts, strict=True)
        if count >= _FEW
    ]
    fresh = [
        site
        for site, spread, tails, times in telling
        if _is_fresh(site, spread, tails, times * tolerance, times * _UNIFORM)
    ]
    known = sum(site.numel for site, *_ in telling)
    return fresh, sum(site.numel for site in fresh) / known if known else float("nan")


def _is_fresh(site: Site, std: float, kurtosis: float, tolerance: float, tails: float) -> bool:
    """Whether values have the spread and kurtosis of an initialiser's, uniform or normal."""
    if not site.fan_in:
        return False
    fan_in, fan_out = site.fan_in, site.fan_out or site.fan_in
    spreads = np.array([1 / (3 * fan_in), 1 / fan_in, 2 / fan_in, 2 / (fan_in + fan_out)]) ** 0.5
    near = bool((np.abs(std / spreads - 1) < tolerance).any())
    return near and (abs(kurtosis + 1.2) < tails or abs(kurtosis) < 0.25)
