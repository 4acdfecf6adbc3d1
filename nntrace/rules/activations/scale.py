"""Rules on the scale of the signal on its way through the layers."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.depth import (
    after_last_norm,
    before_head,
    of_links,
    reference,
    signal_of,
    until_end,
)
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import Link, any_finite, chain, columns, first_finite, sampled_span
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.signals import in_times, median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace

_FEW_DEAD = 0.2  # of a layer's units
_SMALL = 0.1  # rms: below it a layer may grow to ten, a hundred times this, which is usual


@rule(
    "ACT02",
    "vanishing-activations",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=(
        *("ACT13", "GRD01", "GRD04", "UPD02", "UPD03", "LOS07", "LOS11", "LOS12"),
        *("LOS14", "INI03", "ACT01", "ACT07"),
    ),
    advice="Initialise for the activation in use (He for ReLU, Glorot for tanh), or add "
    "normalisation or residual connections.",
)
def vanishing_activations(
    trace: Trace,
    *,
    ratio: Annotated[float, "signal of the last layers relative to that of the first"] = 1e-3,
) -> Iterator[Finding | Skipped]:
    """The signal shrinks from layer to layer until the head sees next to nothing of the input.

    The head then learns from its bias alone. Measured by how much the outputs differ between
    examples, because biases, which differ between units, would hide it; from the last norm on,
    because a norm restores the scale; without the head; and only if it lasts to the end of the run.
    Units that die after such a layer die of it: only their bias reaches them.
    Source: Glorot & Bengio 2010; He 2015; "37 reasons", 30.
    """
    links = before_head(after_last_norm(chain(trace)))
    if sum(link.is_affine for link in links) < 2:
        yield Skipped("fewer than two layers and a head stand after the last normalisation")
        return
    signal = of_links(signal_of(trace), links)
    first = reference(links, signal)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = signal / first[:, None]
    # From the end backward: the largest signal at any site from here on.
    still = np.fmax.accumulate(relative[:, ::-1], axis=1)[:, ::-1]
    affine = np.array([link.is_affine for link in links])
    gone = (still < ratio) & (still > 0) & affine
    rows = gone.any(axis=1)
    judged = any_finite(still, axis=1)
    since = until_end(np.asarray(rows), judged, trace.sampled_steps)
    if since is None:
        return
    lasts = gone[since:].mean(axis=0) > 0.5
    at = int(np.flatnonzero(lasts)[0]) if lasts.any() else int(np.flatnonzero(gone[-1])[0])
    high = median(first[since:])
    low = high * median(still[since:, at][gone[since:, at]])  # the signal of `at` may be zero
    kills = _die_only_behind(trace, links, at)
    yield Finding(
        f"the signal vanishes with depth: outputs differ between examples by {high:.2g} in the "
        f"first layers and by at most {low:.2g} from {links[at].site.path} on, "
        f"{in_times(high / low)} times less.",
        site=links[at].site,
        steps=sampled_span(trace, since),
        evidence={
            "first": high,
            "layers": [link.site.path for link in links if link.is_affine],
            "signal": [median(signal[since:, i]) for i, link in enumerate(links) if link.is_affine],
        },
        not_explained_by=("ACT04",) if kills else (),
        explains=("ACT04",) if kills else (),
    )


def _die_only_behind(trace: Trace, links: Sequence[Link], at: int) -> bool:
    """Whether few units are dead up to this layer, so that later ones die because of it."""
    dead = of_links(trace.series(Role.ACTIVATION, "dead_fraction"), links)
    return not (dead[:, : at + 1] > _FEW_DEAD).any()


@rule(
    "ACT03",
    "exploding-activations",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=(
        *("ACT05", "GRD02", "GRD05", "LOS08", "LOS09", "LOS10", "NUM01", "NUM05"),
        *("NUM09", "INI03", "INI05", "ACT01"),
    ),
    advice="Scale the initialisation to the fan, normalise within or after residual blocks, or, "
    "where it grew during training, lower the learning rate.",
)
def exploding_activations(
    trace: Trace,
    *,
    factor: Annotated[float, "growth with depth, or since the start of the run"] = 100.0,
    learned: Annotated[
        float, "share of the first loss below which growth over time is harmless"
    ] = 0.5,
) -> Iterator[Finding | Skipped]:
    """Outputs grow from layer to layer, or from step to step, more than a hundredfold.

    Large activations make large gradients, saturate what follows and end in overflow. Their root
    mean square is compared with that of the first layers at the same step, and with the start of
    the run. Not reported: heads, whose outputs grow as training succeeds; bounded functions;
    whatever a later norm restores to unit scale, such as the stream of a pre-norm transformer; what
    neither has weights nor gets a gradient, such as a detector's anchors; and growth over time
    while the loss falls, as when a model fits separable data ever more confidently.
    Source: He 2015; "37 reasons", 30.
    """
    flow, every = Flow(trace), chain(trace)
    layers = {link.site.path for link in every if link.is_affine}
    beside = _beside_the_network(trace, every)
    links = [
        link
        for link in before_head(after_last_norm(every))
        if link.site.range_low is None
        and link.site.path not in beside
        and not flow.is_last(link.site.path, layers)
    ]
    if sum(link.is_affine for link in links) < 2:
        yield Skipped("fewer than two layers and a head stand after the last normalisation")
        return
    size = of_links(trace.series(Role.ACTIVATION, "rms"), links)
    first = reference(links, size)
    begin = first_finite(size)
    scale = np.fmax(begin, max(_SMALL, median(begin[begin > 0])))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {"depth": size / first[:, None], "time": size / scale}
    judged = any_finite(size, axis=1)
    if remaining_loss(trace) <= learned:
        del ratios["time"]
    for kind, relative in ratios.items():
        large = relative > factor
        since = until_end(np.asarray(large.any(axis=1)), judged, trace.sampled_steps)
        if since is None:
            continue
        peak = np.nanmax(np.where(np.isfinite(relative[since:]), relative[since:], -1), axis=0)
        at = int(peak.argmax())
        reached = float(np.nanmax(size[since:, at]))
        compared = (
            f"{in_times(peak[at])} times the {median(first[since:]):.2g} of the first layers"
            if kind == "depth"
            else f"{in_times(peak[at])} times what layers had at the start"
        )
        yield Finding(
            f"activations explode with {kind}: {links[at].site.shown} reaches rms "
            f"{reached:.3g}, {compared}.",
            site=links[at].site,
            steps=sampled_span(trace, since),
            evidence={
                "kind": kind,
                "factor": float(peak[at]),
                "rms": reached,
                "layers": [link.site.path for link in links],
                "last_rms": [float(v) if np.isfinite(v) else None for v in size[-1]],
            },
        )
        return


def _beside_the_network(trace: Trace, links: Sequence[Link]) -> set[str]:
    """Paths whose outputs are made by no weights and get no gradient, though others' do."""
    gradient = columns(trace, Role.ACTIVATION_GRAD, "n", [link.site for link in links])
    times = np.isfinite(gradient).sum(axis=0).tolist()
    return {
        link.site.path
        for link, seen in zip(links, times, strict=True)
        if any(times) and not seen and not link.has_weight
    }
