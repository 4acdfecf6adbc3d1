"""Rules on the order of layers: what stands between two of them, and what should not."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import numpy as np

from nntrace.dataflow import Vertex
from nntrace.rules.common.flow import UNKNOWN_FLOW, Flow
from nntrace.rules.common.layers import (
    by_path,
    chain,
    columns,
    models,
    named,
    sampled_span,
    weights,
)
from nntrace.rules.common.loss_course import loss_series, remaining_loss, unjudgeable
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_EXACT = ("float32", "float64")
_CENTRING = ("batchnorm", "instancenorm")


@rule(
    "ACT08",
    "missing-nonlinearity",
    Severity.WARNING,
    needs=(Role.ACTIVATION, Role.PARAM),
    explains=("LOS14",),
    advice="Put an activation function between the two layers, or make them one layer.",
)
def missing_nonlinearity(trace: Trace) -> Iterator[Finding | Skipped]:
    """Two layers follow each other with nothing nonlinear between: together they are one layer.

    Found in the graph of the first backward pass (with Keras on TensorFlow, of a traced function),
    so functional activations are seen, too. Linear operations may stand between the two: dropout,
    reshaping, average pooling, a batch norm. Information if the first ends one model and the second
    begins another, as the output of a model (an embedding, a sample) is what it is meant to be.

    Not reported:

    - a first layer narrower than both its input and the second layer's output (a bottleneck, a
      low-rank product)
    - depthwise, grouped and transposed convolutions
    - an output that something else uses as well (a residual stream, or a target that the model
      returns detached)
    - a second layer that makes both a gate and what it gates (a gated linear unit)

    Source: Goodfellow, Deep Learning, 6.1; Karpathy's Recipe, step 2 (verify what you built).
    """
    flow = Flow(trace)
    if not flow:
        yield Skipped(UNKNOWN_FLOW)
        return
    matrices = {site.parent: site for site in weights(trace) if site.fan_in}
    found = []
    for vertex, _ in flow.modules():
        second = _next_affine(flow, vertex) if flow.is_affine(vertex) else None
        if second is None or second == vertex:
            continue
        one, two = matrices.get(vertex.name), matrices.get(second.name)
        if one is None or two is None or _is_deliberate(flow, vertex, one, two):
            continue
        if flow.is_gated(second):
            continue
        found.append((vertex.name, second.name))
    if not found:
        return
    model = models(trace)
    within = [pair for pair in found if model(pair[0]) == model(pair[1])]
    found = within or found
    (first, second_path), more = found[0], len(found) - 1
    others = f" The same holds for {named([one for one, _ in found[1:]])}." if more else ""
    yield Finding(
        f"{first} feeds {second_path} with no activation function between: the two compute what "
        f"one linear layer could.{others}",
        site=flow.sites.get(second_path),
        steps=sampled_span(trace),
        severity=None if within else Severity.INFO,
        evidence={"first": [one for one, _ in found], "second": [two for _, two in found]},
    )


def _next_affine(flow: Flow, vertex: Vertex) -> Vertex | None:
    """The affine layer that alone takes this one's output, passive layers in between skipped."""
    seen = {vertex}
    following = flow.only_taker(vertex)
    while following is not None and following not in seen and flow.is_passive(following):
        seen.add(following)
        following = flow.only_taker(following)
    return following if following is not None and flow.is_affine(following) else None


def _is_deliberate(flow: Flow, vertex: Vertex, one: Site, two: Site) -> bool:
    """Whether the first layer is narrower than what surrounds it, or either works by groups."""
    (inner, entering), (outer, taken) = _filters(one), _filters(two)
    is_bottleneck = inner < min(entering, outer)
    is_depthwise = len(one.shape) > 2 and entering == 1 and bool(flow.sources.get(vertex))
    is_grouped = len(two.shape) > 2 and taken < inner
    return is_bottleneck or is_depthwise or is_grouped


def _filters(site: Site) -> tuple[int, int]:
    """The number of units that a weight makes, and of those that each is made from (in a group)."""
    first, *_, last = site.shape
    if site.path.endswith("kernel"):  # in Keras the axes of positions come first
        return last, site.shape[-2]
    return first, site.shape[1]


@rule(
    "ACT10",
    "dropout-too-strong",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("LOS07", "LOS10", "LOS11", "LOS14", "GRD08"),
    advice="Lower the rate (0.1 to 0.3 to begin with) until the model fits its training data, and "
    "take dropout off the predictions.",
)
def dropout_too_strong(
    trace: Trace,
    *,
    rate: Annotated[float, "share of a layer's outputs that is dropped"] = 0.5,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.5,
) -> Iterator[Finding | Skipped]:
    """More than half of a layer's outputs are dropped, or the predictions themselves are.

    Dropout on the output sets a share of the predictions to zero at random, and training can do
    nothing about it. A high rate is a warning if the training loss does not fall, and information
    otherwise, also if the course of the loss says nothing (policy gradients). Only the rates of
    dropout layers are known, not those of dropout called as a function.
    Source: Srivastava 2014 (Dropout); Karpathy's Recipe, step 4 (dropout).
    """
    dropouts = [site for site in trace.sites_of(Role.ACTIVATION) if site.dropout_rate is not None]
    if not dropouts:
        yield Skipped("no dropout layer was recorded")
        return
    strong = [site for site in dropouts if (site.dropout_rate or 0) > rate]
    if strong:
        judged = unjudgeable(loss_series(trace), 2) is None
        stuck = judged and remaining_loss(trace) > learnt
        yield Finding(
            f"{len(strong)} of {len(dropouts)} dropout layers drop more than {rate:.0%}: "
            f"{named([site.path for site in strong])}, the first {strong[0].dropout_rate:.0%}"
            + (", and the training loss does not come down." if stuck else "."),
            site=strong[0],
            steps=sampled_span(trace),
            severity=None if stuck else Severity.INFO,
            evidence={
                "layers": [site.path for site in strong],
                "rates": [float(site.dropout_rate or 0) for site in strong],
            },
        )
    flow = Flow(trace)
    for site in dropouts:
        if site.dropout_rate and _reaches_the_end(flow, Vertex(site.path)):
            yield Finding(
                f"dropout acts on the output: no layer follows {site.path or 'it'}, so "
                f"{site.dropout_rate:.0%} of the predictions are set to zero at random.",
                site=site,
                steps=sampled_span(trace),
                evidence={"layer": site.path, "rate": float(site.dropout_rate)},
            )


def _reaches_the_end(flow: Flow, vertex: Vertex) -> bool:
    """Whether a vertex's output reaches the loss without passing a layer or a product."""
    if not flow.takers.get(vertex):
        return False
    waiting, seen = [vertex], {vertex}
    while waiting:
        for taker in flow.takers.get(waiting.pop(), set()) - seen:
            is_activation = taker.is_module and not any(
                word in flow.kind(taker) for word in ("softmax", "sigmoid", "loss", "flatten")
            )
            if is_activation or flow.multiplies(taker) or "attention" in taker.name:
                return False
            seen.add(taker)
            waiting.append(taker)
    return True


@rule(
    "ACT11",
    "dropout-before-batchnorm",
    Severity.INFO,
    needs=(Role.ACTIVATION,),
    explains=("ACT12",),
    advice="Move dropout behind the last batch norm, or leave it out: batch norm regularises too.",
)
def dropout_before_batchnorm(trace: Trace) -> Iterator[Finding | Skipped]:
    """The output of a dropout enters a batch norm, with at most one layer between them.

    Dropout raises the variance in training but not in evaluation, so the running statistics of the
    norm fit training only. Information, never a warning.
    Source: Li et al. 2018 (Disharmony between dropout and batch norm); Karpathy's Recipe, step 4.
    """
    flow = Flow(trace)
    dropouts = [v for v, site in flow.modules() if site.dropout_rate]
    if not flow:
        yield Skipped(UNKNOWN_FLOW)
        return
    for vertex in dropouts:
        norm = _batch_norm_after(flow, vertex)
        if norm is not None:
            yield Finding(
                f"`{vertex.name}` feeds the batch norm `{norm.name}`: its running statistics are "
                "those of inputs with dropout, which evaluation does not have.",
                site=flow.sites.get(norm.name),
                steps=sampled_span(trace),
                evidence={"dropout": vertex.name, "norm": norm.name},
            )
            return


def _batch_norm_after(flow: Flow, vertex: Vertex) -> Vertex | None:
    """The first batch norm after a vertex, with at most one layer between; else None."""
    waiting, seen = [(vertex, 0)], {vertex}
    while waiting:
        current, layers = waiting.pop(0)
        for taker in sorted(flow.takers.get(current, set()) - seen, key=lambda v: v.name):
            kind = flow.kind(taker)
            if "batchnorm" in kind:
                return taker
            passed = layers + (flow.is_affine(taker) or flow.multiplies(taker))
            if passed <= 1 and "norm" not in kind and "dropout" not in kind:
                seen.add(taker)
                waiting.append((taker, passed))
    return None


@rule(
    "PAR06",
    "redundant-bias",
    Severity.INFO,
    needs=(Role.PARAM, Role.PARAM_GRAD, Role.ACTIVATION),
    advice="Leave the bias out (`bias=False`, `use_bias=False`): the norm's own shift takes its "
    "place.",
)
def redundant_bias(
    trace: Trace,
    *,
    ratio: Annotated[float, "rms gradient of the bias relative to that of its weights"] = 1e-3,
    samples: Annotated[int, "sampled steps that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """A layer's bias feeds straight into a batch norm, which subtracts it again.

    The mean that the norm subtracts contains the bias, so the bias gets no gradient beyond rounding
    errors; that is how it is recognised. It costs memory and a little time: information, never a
    warning. A layer norm does not cancel a bias, because it averages over the features. Gradients
    in half precision are too coarse to tell.
    Source: Ioffe & Szegedy 2015 (Batch Normalization, 3.2).
    """
    biases = [site for site in trace.sites_of(Role.PARAM_GRAD) if site.path.endswith("bias")]
    matrices = {site.parent: site for site in weights(trace, Role.PARAM_GRAD)}
    judged = [s for s in biases if s.parent in matrices and s.dtype in _EXACT]
    if not judged:
        yield Skipped("no gradients of a bias and its weights in single precision")
        return
    own = columns(trace, Role.PARAM_GRAD, "rms", judged)
    beside = columns(trace, Role.PARAM_GRAD, "rms", [matrices[site.parent] for site in judged])
    flow = Flow(trace)
    follows = _taken_by_norm(trace)
    found = []
    for index, site in enumerate(judged):
        known = np.isfinite(own[:, index]) & (beside[:, index] > 0)
        taker = flow.only_taker(Vertex(site.parent)) if flow else None
        kind = flow.kind(taker) if taker is not None else ""
        is_taken = any(word in kind for word in _CENTRING) if flow else site.parent in follows
        if known.sum() >= samples and is_taken:
            share = median(own[known, index] / beside[known, index])
            if share < ratio:
                found.append((site, share))
    if not found:
        return
    param = by_path(trace, Role.PARAM)
    paths = [site.path for site, _ in found]
    yield Finding(
        f"{len(found)} of {len(biases)} biases feed straight into a batch norm, which cancels "
        f"them: {named(paths)}; the gradient of the first is {found[0][1]:.1g} of that of its "
        "weights.",
        site=param.get(paths[0]),
        steps=sampled_span(trace),
        evidence={"biases": paths, "gradient_ratio": [share for _, share in found]},
    )


def _taken_by_norm(trace: Trace) -> set[str]:
    """Layers followed by a batch norm in the order of calls; used if the data flow is unknown."""
    links = chain(trace)
    return {
        one.site.path for one, two in pairwise(links) if "batchnorm" in two.site.module_type.lower()
    }
