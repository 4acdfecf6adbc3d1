"""Which weights are those of a fresh initialisation: nothing was trained or loaded into them.

Judged by their values alone, as a program may load weights in any way.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from nntrace.dataflow import Vertex
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import columns, first_finite, weights
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_FEW = 256  # of fewer elements the spread says too little
_UNIFORM = 0.1  # largest distance of an excess kurtosis from that of uniform values
_BY_CONVENTION = 0.02  # the deviation of transformers' weights since GPT and BERT
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}  # all of PyTorch's gates are drawn by the hidden width
_MANY = 1024  # elements whose spread is known well; for fewer, up to twice the distance is allowed


def share_as_initialised(
    trace: Trace, sites: Sequence[Site], tolerance: float = 0.025, *, by_bias: bool = False
) -> tuple[list[Site], float]:
    """The weights that look freshly initialised, and their share of all judgeable elements.

    Their spread, within the relative tolerance, and their kurtosis are those that PyTorch's or
    Keras' initialisers draw, or, with `by_bias`, the bias beside them is exactly zero: training
    preserves neither. The share is NaN if none can be judged.
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
        or (by_bias and has_bias_of_zero(trace, site))
    ]
    known = sum(site.numel for site, *_ in telling)
    return fresh, sum(site.numel for site in fresh) / known if known else float("nan")


def untrained_judges(trace: Trace, tolerance: float = 0.025) -> list[Site]:
    """The weights between all that is trained and the loss, where these are as initialised.

    No optimizer steps them, a gradient passes them to what is trained, and they feed nothing that
    is: a discriminator that never learns. If others of these were loaded, the last layers alone,
    if their biases are zero: a new head on an adapted model. None where they may be a copy of what
    is trained, or where which layer feeds which is not known.
    """
    trained = trace.sites_of(Role.UPDATE)
    paths = {site.path for site in trained}
    owners = {site.parent for site in trained}
    passed = {site.path for site in trace.sites_of(Role.ACTIVATION_GRAD)}
    flow = Flow(trace)
    behind = {vertex.name for vertex in flow.behind(Vertex(owner) for owner in owners)}
    judges = [
        site
        for site in weights(trace)
        if site.path not in paths
        and site.parent in behind & passed
        and not owners & {vertex.name for vertex in flow.behind([Vertex(site.parent)])}
    ]
    if not judges or may_be_copies(judges, trained):
        return []
    fresh = {site.path for site in share_as_initialised(trace, judges, tolerance)[0]}
    few = [site for site in judges if site.numel < _FEW]
    fresh |= {site.path for site in few if has_bias_of_zero(trace, site)}
    if all(site.path in fresh for site in judges):
        return judges
    owners = {site.parent for site in judges}
    heads = [
        site
        for site in judges
        if not owners & {vertex.name for vertex in flow.behind([Vertex(site.parent)])}
    ]
    # Of one layer, such as a language model's last, the spread may be an initialiser's by chance.
    is_fresh = len(heads) < len(judges) and all(has_bias_of_zero(trace, site) for site in heads)
    return heads if is_fresh else []


def may_be_copies(sites: Iterable[Site], others: Iterable[Site]) -> bool:
    """Whether there is another site for each of these of the same shape, as in a target network."""
    return not Counter(site.shape for site in sites) - Counter(site.shape for site in others)


def has_bias_of_zero(trace: Trace, weight: Site) -> bool:
    """Whether the bias beside a weight is exactly zero, which no training leaves."""
    biases = [
        site
        for site in trace.sites_of(Role.PARAM)
        if site.parent == weight.parent and site.path != weight.path and len(site.shape) == 1
    ]
    sizes = first_finite(columns(trace, Role.PARAM, "rms", biases))
    return bool(len(biases)) and bool((sizes == 0.0).all())


def _is_fresh(site: Site, std: float, kurtosis: float, tolerance: float, tails: float) -> bool:
    """Whether values have the spread and kurtosis of an initialiser's, uniform or normal."""
    if not site.fan_in:
        return False
    fan_in, fan_out = site.fan_in, site.fan_out or site.fan_in
    spreads = np.array([1 / (3 * fan_in), 1 / fan_in, 2 / fan_in, 2 / (fan_in + fan_out)]) ** 0.5
    spreads = np.append(spreads, _BY_CONVENTION)
    if gates := _GATES.get(site.module_type):
        spreads = np.append(spreads, (gates / (3 * fan_out)) ** 0.5)
    near = bool((np.abs(std / spreads - 1) < tolerance).any())
    return near and (abs(kurtosis + 1.2) < tails or abs(kurtosis) < 0.25)
