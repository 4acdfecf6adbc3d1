"""The signal across depth: the parts of the chain to compare, and since when a level lasts."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nntrace.rules.common.layers import Link
from nntrace.rules.common.signals import column_medians, lasting
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

SAMPLES = 5  # for which a level must have lasted
_LATE = 0.5  # of a site's samples
_MOST = 0.75  # of the late samples
_MOSTLY = 0.9  # of the late samples: but for a moment
_STAYS = 0.1  # of the run


def after_last_norm(links: Sequence[Link]) -> Sequence[Link]:
    """The links from the last norm on, the norm included; all links if there is no norm."""
    norms = [index for index, link in enumerate(links) if link.is_norm]
    return links[norms[-1] :] if norms else links


def before_head(links: Sequence[Link]) -> list[Link]:
    """The links before the last affine layer, which is the head; containers around others stay.

    An earlier layer with the same fan-in and another fan-out is a head beside it.
    """
    affine = [index for index, link in enumerate(links) if link.is_affine]
    while len(affine) > 1 and _beside(links[affine[-2]], links[affine[-1]]):
        affine.pop()
    return list(links[: affine[-1]]) if affine else []


def _beside(link: Link, head: Link) -> bool:
    if link.fans is None or head.fans is None:
        return False
    # The gates of a recurrent layer are a multiple of its width.
    return link.fans[0] == head.fans[0] and link.fans[1] % head.fans[0] != 0


def of_links(values: FloatArray, links: Sequence[Link]) -> FloatArray:
    """[sampled_steps, links]: of a statistic of all outputs, the columns of these links."""
    return values[:, [link.column for link in links]]


def signal_of(trace: Trace) -> FloatArray:
    """How much outputs differ between examples; their std where that was not recorded."""
    between = trace.series(Role.ACTIVATION, "example_std")
    return np.where(np.isfinite(between), between, trace.series(Role.ACTIVATION, "std"))


def is_of_sigmoids(trace: Trace) -> bool:
    """Whether most bounded activation functions are sigmoids, whose slope is at most a quarter."""
    low = [s.range_low for s in trace.sites_of(Role.ACTIVATION) if s.range_low is not None]
    return 2 * low.count(0.0) > len(low)


def reference(links: Sequence[Link], values: FloatArray) -> FloatArray:
    """Per step, the median of the positive values of the first two layers (norms included)."""
    layers = [i for i, link in enumerate(links) if link.is_affine or link.is_norm]
    first = values[:, layers[:2]]
    first = np.where(first > 0, first, np.nan)
    return column_medians(first.T)


def until_end(holds: BoolArray, judged: BoolArray, steps: IntArray) -> int | None:
    """The sampled step from which `holds` lasts to the end; None if it is not there for long.

    All arrays are [sampled steps], `steps` the numbers of the steps. Long is nine tenths of the
    later half of the samples judged, or the last `SAMPLES` of them, and at least a tenth of the
    run: samples taken in a row are one moment.
    """
    rows = np.flatnonzero(judged)
    if len(rows) < SAMPLES or not holds[rows[-1]]:
        return None
    before_late = len(rows) - max(SAMPLES, len(rows) // 2)
    mostly = holds[rows[before_late:]].mean() >= _MOSTLY
    since = lasting(holds[rows], 1 if mostly else SAMPLES)
    if since is None:
        return None
    if mostly:  # but for a moment
        since = min(since, before_late)
    is_long = steps[rows[-1]] - steps[rows[since]] >= _STAYS * (steps[-1] - steps[0])
    return int(rows[since]) if is_long else None


def lasting_columns(holds: BoolArray, judged: BoolArray, steps: IntArray) -> list[tuple[int, int]]:
    """The columns of [sampled_steps, columns] that last to the end, each with its first step."""
    since = [until_end(*pair, steps) for pair in zip(holds.T, judged.T, strict=True)]
    return [(column, first) for column, first in enumerate(since) if first is not None]


def since_late(holds: BoolArray, known: BoolArray, least: int = 3) -> int | None:
    """The sampled step from which `holds` lasts to the end, if it does in most of the last half.

    Both arrays are [sampled steps]. The last half are at least the last `least` known steps, and
    most is three quarters. At each sample the majority of it and its two neighbours counts: a
    single sample, also the last one, depends on its batch.
    """
    rows = np.flatnonzero(known)
    late = holds[rows[-max(least, int(len(rows) * _LATE)) :]]
    since = lasting(_majority(holds[rows]), 1)
    return int(rows[since]) if since is not None and late.mean() >= _MOST else None


def _majority(holds: BoolArray) -> BoolArray:
    """The majority of every three neighbours; at the ends that of the first and the last three."""
    if len(holds) < 3:
        return holds
    return np.pad(sliding_window_view(holds, 3).sum(axis=1) >= 2, 1, mode="edge")
