"""The overview: the loss with its evaluations, the gradient norm, the learning rate, and the
layers that stand out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.trace import Trace
from nntrace_tui.metrics import Metric
from nntrace_tui.pages.curve import Curve, curve, step_curve
from nntrace_tui.pages.layers import LayersPage, layers_page

STRIP_BUCKETS: Final = 100
_TRAIN: Final = "train"


@dataclass(frozen=True, slots=True, eq=False)
class OverviewPage:
    """The run at one glance.

    Attributes:
        evaluations: the mean loss of the evaluation batches after each training step.
    """

    loss: Curve
    evaluations: Curve
    grad_norm: Curve
    lr: Curve
    layers: LayersPage


def overview_page(trace: Trace, metric: Metric) -> OverviewPage:
    """The state of the run."""
    return OverviewPage(
        loss=step_curve(trace, "loss"),
        evaluations=_evaluations(trace),
        grad_norm=step_curve(trace, "grad_norm", STRIP_BUCKETS),
        lr=step_curve(trace, "lr", STRIP_BUCKETS),
        layers=layers_page(trace, metric),
    )


def _evaluations(trace: Trace) -> Curve:
    rows = trace.table("data").select(["step", "phase", "loss_value"]).drop_null()
    phases = rows["phase"].to_pylist()
    evaluated = np.array([phase != _TRAIN for phase in phases], dtype=bool)
    steps = np.asarray(rows["step"].to_numpy(), dtype=np.float64)[evaluated]
    values = np.asarray(rows["loss_value"].to_numpy(), dtype=np.float64)[evaluated]
    if not len(steps):
        return Curve()
    at, groups = np.unique(steps, return_inverse=True)
    sums = np.bincount(groups, weights=values)
    return curve(at, sums / np.bincount(groups))
