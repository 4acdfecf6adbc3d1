"""Whether a model draws its code with the deviation whose log-variance its loss is given.

Read off the graph of a variational autoencoder: the divergence of N(mean, variance) from N(0, 1)
adds up -log variance, variance and mean², and the decoder is given mean + noise · deviation.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Final

from nntrace.dataflow import Vertex
from nntrace.rules.activations.drawn_codes import pairs
from nntrace.rules.common.flow import Flow
from nntrace.rules.finding import Finding
from nntrace.trace import Site, Trace

_SUMS: Final = (":add", ":sub", ":rsub")
_LINEAR: Final = (*_SUMS, ":mul", ":div", ":neg", ":sum", ":mean")


def draws_otherwise(trace: Trace) -> Finding | None:
    """The finding if noise has another size than the loss says, or if there is none."""
    flow = Flow(trace)
    heads = [(Vertex(a.path), Vertex(b.path), [a, b]) for a, b in pairs(flow)]
    for mean, variance, sites in (*heads, *_halves(flow)):
        if not (_is_squared(flow, mean) and _is_log_variance(flow, variance)):
            continue
        if fault := _fault(flow, mean, variance):
            paths = [site.path for site in sites]
            made = " and ".join(f"`{path}`" for path in paths)
            given = made if len(paths) > 1 else f"the two halves of {made}"
            return Finding(
                f"the loss takes {given} for the mean and the logarithm of the variance of a code, "
                f"but {fault.format(paths[-1])}.",
                site=sites[-1],
                evidence={"layers": paths},
                advice="Draw the code with the deviation, `mean + torch.randn_like(mean) * "
                "torch.exp(0.5 * log_variance)`, and with gradients (`rsample`, not `sample`).",
            )
    return None


def _halves(flow: Flow) -> Iterator[tuple[Vertex, Vertex, list[Site]]]:
    """Both parts of what one layer makes: two slices, or one vertex of the graph for both."""
    for vertex, site in flow.modules():
        if flow.is_affine(vertex):
            for split in _takers(flow, vertex, ":split", ":splitwithsizes", ":unbind"):
                yield split, split, [site]
            for one, other in permutations(_takers(flow, vertex, ":slice"), 2):
                yield one, other, [site]


def _fault(flow: Flow, mean: Vertex, variance: Vertex) -> str:
    behind = flow.behind([mean])
    if all(vertex.name in (*_LINEAR, ":pow") for vertex in behind):
        return "nothing else depends on them: what was drawn of them has no gradient"
    if all(vertex.name in _LINEAR or vertex.name == ":exp" for vertex in flow.behind([variance])):
        return "nothing is drawn: of the two only the mean enters the decoder"
    for drawn in _takers(flow, mean, ":add"):
        if _is_added_up(flow, drawn):
            continue
        for factor in flow.sources[drawn] - {mean}:
            inner = factor
            while inner.name == ":mul" and len(flow.sources[inner]) == 1:  # by noise
                (inner,) = flow.sources[inner]
            if inner == factor:
                continue
            if inner == variance:
                return "noise is multiplied by `{}` as it is"
            if inner.name == ":exp" and flow.sources[inner] == {variance}:
                return "noise is multiplied by exp(`{}`), the variance, not by its root"
    return ""


def _is_squared(flow: Flow, vertex: Vertex) -> bool:
    squares = _takers(flow, vertex, ":pow", ":mul")
    return any(flow.sources[square] == {vertex} for square in squares)


def _is_log_variance(flow: Flow, vertex: Vertex) -> bool:
    """Whether the loss adds up a vertex's output and, unchanged, the exponential of it."""
    exponentials = _takers(flow, vertex, ":exp")
    return all(
        any(_is_added_up(flow, total) for one in of for total in _takers(flow, one, *_SUMS))
        for of in ([vertex], exponentials)
    )


def _is_added_up(flow: Flow, total: Vertex) -> bool:
    """Whether nothing but sums and factors lies between this and the loss."""
    return all(vertex.name in _LINEAR for vertex in (total, *flow.behind([total])))


def _takers(flow: Flow, vertex: Vertex, *names: str) -> set[Vertex]:
    return {taker for taker in flow.takers.get(vertex, ()) if taker.name in names}
