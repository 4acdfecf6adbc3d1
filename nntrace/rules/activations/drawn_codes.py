"""Codes drawn around a mean, as in a variational autoencoder, that say nothing of the example."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from nntrace.dataflow import Vertex
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.signals import finite, median
from nntrace.rules.finding import Finding
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_DROWNED = 0.1  # of the noise: how far apart the means of two examples are
_LOST = 0.5  # of the largest spread of the means in the first half
_SAMPLES = 12
_WEIGH_LESS = (
    "Give the divergence from the prior less weight, or raise its weight from 0 over the first "
    "epochs. Sum both terms over an example: a reconstruction loss that is averaged over the "
    "pixels weighs less by the number of pixels."
)


def drowned_code(trace: Trace) -> Finding | None:
    """The finding if the means come together while the noise around them stays; else None."""
    spread, size = (trace.series(Role.ACTIVATION, name) for name in ("example_std", "rms"))
    columns = {site.path: n for n, site in enumerate(trace.sites_of(Role.ACTIVATION))}
    flow = Flow(trace)
    for mean, variance in pairs(flow):
        behind = [flow.behind([Vertex(site.path)]) for site in (mean, variance)]
        if not any(map(flow.is_affine, behind[0] & behind[1])):
            continue
        rows = np.flatnonzero(np.isfinite(spread[:, columns[mean.path]]))
        apart = spread[rows, columns[mean.path]]
        logarithms = finite(size[:, columns[variance.path]])
        if min(len(apart), len(logarithms)) < _SAMPLES:
            continue
        quarter = len(apart) // 4
        now, before = median(apart[-quarter:]), float(apart[: 2 * quarter].max())
        is_noise_left = median(logarithms[-quarter:]) < 1.0
        if not is_noise_left or now > _DROWNED or now > _LOST * before:
            continue
        first, last = (int(trace.sampled_steps[rows[n]]) for n in (-quarter, -1))
        return Finding(
            f"the code that `{mean.path}` and `{variance.path}` describe says nothing about the "
            f"example: its means vary by {now:.2g} between examples ({before:.2g} before), the "
            "noise added to them by about 1.",
            site=mean,
            steps=(first, last),
            evidence={"spread": now, "spread_before": before, "layers": [mean.path, variance.path]},
            advice=_WEIGH_LESS,
        )
    return None


def pairs(flow: Flow) -> Iterator[tuple[Site, Site]]:
    """Pairs of layers side by side of which the second may be the logarithms of variances."""
    heads = [(vertex, site) for vertex, site in flow.modules() if flow.is_affine(vertex)]
    for (one, mean), (other, variance) in permutations(heads, 2):
        beside = mean.units == variance.units and flow.sources[one] & flow.sources[other]
        if beside and flow.is_exponentiated(other):
            yield mean, variance
