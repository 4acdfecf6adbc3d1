"""How much of a layer's spread is between examples, and which layers have none by nature.

The share is 1 if every unit has the same mean and only examples differ, and 0 if all examples get
the same output.
"""

from collections.abc import Callable

import numpy as np

from nntrace.dataflow import Vertex
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import chain, is_embedding, is_norm
from nntrace.rules.common.signals import median
from nntrace.schema import Role
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


def tables(trace: Trace) -> Callable[[Site], bool]:
    """Return a function that says whether a module's output is made of its parameters alone.

    It is a lookup table, or no layer feeds it and it gives out a parameter of its own, or the first
    rows of one, repeated for each example.
    """
    flow, parameters = Flow(trace), trace.sites_of(Role.PARAM)

    def is_table(site: Site) -> bool:
        vertex = Vertex(site.path)
        is_source = vertex in flow.takers and vertex not in flow.sources
        if not is_source or flow.is_affine(vertex) or is_norm(site):
            return is_embedding(site)
        own = (one.shape for one in parameters if one.parent == site.path)
        return is_embedding(site) or any(_begins(site.shape[1:], shape) for shape in own)

    return is_table


def _begins(output: tuple[int, ...], parameter: tuple[int, ...]) -> bool:
    """Whether an output without its examples' axis may be the first rows of a parameter."""
    rows = parameter[1:] if len(parameter) > len(output) and parameter[0] == 1 else parameter
    return (
        len(rows) == len(output) > 1
        and output[-1] == rows[-1]
        and all(one <= most for one, most in zip(output, rows, strict=True))
    )
