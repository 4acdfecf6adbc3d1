"""The overview of a run.

The loss with its evaluations, the gradient norm, the learning rate, and the layers that stand out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.trace import Trace
from nntrace.trace.decode import floats, recorded
from nntrace_tui.bands import Bands
from nntrace_tui.metrics import Metric
from nntrace_tui.pages.curve import Curve, curve, step_curve
from nntrace_tui.pages.layers import LayersPage, layers_page

STRIP_BUCKETS: Final = 100
_TRAIN: Final = "train"


@dataclass(frozen=True, slots=True, eq=False)
class OverviewPage:
    """The run at a glance.

    Attributes:
        evaluations: the mean loss of the evaluation batches that followed each training step.
    """

    loss: Curve
    evaluations: Curve
    grad_norm: Curve
    lr: Curve
    layers: LayersPage


def overview_page(trace: Trace, metric: Metric, bands: Bands) -> OverviewPage:
    """Build the page from the state of the run."""
    return OverviewPage(
        loss=step_curve(trace, "loss"),
        evaluations=_evaluations(trace),
        grad_norm=step_curve(trace, "grad_norm", STRIP_BUCKETS),
        lr=step_curve(trace, "lr", STRIP_BUCKETS),
        layers=layers_page(trace, metric, bands),
    )


def _evaluations(trace: Trace) -> Curve:
    rows = trace.table("data")
    phases = rows["phase"].to_pylist()
    evaluated = np.array([phase not in (None, _TRAIN) for phase in phases], dtype=np.bool_)
    evaluated &= recorded(rows["loss_value"])
    steps, values = (floats(rows, name)[evaluated] for name in ("step", "loss_value"))
    if not len(steps):
        return Curve()
    at, groups = np.unique(steps, return_inverse=True)
    sums = np.bincount(groups, weights=values)
    return curve(at, sums / np.bincount(groups))
