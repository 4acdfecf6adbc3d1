"""How much of a layer's spread is between examples, and from which layer on they are all alike.

The share is 1 if every unit has the same mean and only examples differ, and 0 if all examples get
the same output.
"""

import numpy as np

from nntrace.rules.common.layers import chain
from nntrace.rules.common.signals import median
from nntrace.trace import Site, Trace


def between_examples(trace: Trace, site: Site) -> float:
    """The share of an output's standard deviation that is between examples, late in the run.

    NaN for a single unit, whose spread cannot be anything else, and if nothing was recorded.
    """
    if site.units < 2:
        return float("nan")
    examples, whole = (trace.series(site.role, stat, site) for stat in ("example_std", "std"))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(whole > 0, examples / whole, np.where(examples == 0, 0.0, np.nan))
    share = share[np.isfinite(share)]
    return median(share[len(share) // 2 :])


def alike_from(trace: Trace, most: float) -> tuple[Site, float] | None:
    """The first layer from which on examples hardly differ, and their difference at the output.

    They must hardly differ in any later layer up to the model's output; None if they do differ
    there.
    """
    first = None
    level = float("nan")
    for link in reversed(chain(trace)):
        share = between_examples(trace, link.site)
        if np.isnan(share) and first is not None:
            continue
        if not share < most:
            break
        first, level = link.site, share if first is None else level
    return None if first is None else (first, level)
