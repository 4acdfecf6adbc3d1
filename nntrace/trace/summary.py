"""A trace in a few facts, for `repr`, terminals and notebooks."""

import html
import math
from typing import TYPE_CHECKING

import numpy as np

from nntrace.schema import RunStatus
from nntrace.text import printable
from nntrace.trace.decode import floats

if TYPE_CHECKING:
    from rich.table import Table

    from nntrace.trace.trace import Trace

_WIDTH, _HEIGHT, _MARGIN = 240, 44, 2
_POINTS = 240


def facts(trace: "Trace") -> list[tuple[str, str]]:
    """The facts as pairs of name and value; the first is the run's name."""
    steps = trace.steps
    losses = steps.loss[np.isfinite(steps.loss)]
    course = f"{losses[0]:.4g} → {losses[-1]:.4g}" if len(losses) else "unknown"
    return [
        ("run", printable(trace.manifest.name)),
        ("status", trace.status.value),
        ("steps", f"{len(steps)} ({len(trace.sampled_steps)} sampled)"),
        ("sites", str(len(trace.sites))),
        ("loss", course),
        ("rank", f"{trace.rank} of {len(trace.ranks)}"),
    ]


def overhead(trace: "Trace") -> float | None:
    """The share of the time that tracing took; None where nothing says it.

    It is the figure written at the end of the run, else that of the steps recorded so far.
    """
    written = trace.manifest.overhead
    has_ended = trace.status is not RunStatus.RUNNING
    if written is not None and has_ended and math.isfinite(written):
        return float(written)
    steps = trace.table("steps")
    spent, total = (floats(steps, name) for name in ("overhead_ns", "duration_ns"))
    if np.isnan(spent).all() or not np.nansum(total):
        return None
    return float(np.nansum(spent) / np.nansum(total))


def last_loss(trace: "Trace") -> float | None:
    """The last step's loss, NaN if it is that; None without a step or if it is not recorded.

    A step without a backward pass of its own shares that of a step before it, whose row has the
    loss (several optimizers that step after one backward).
    """
    steps = trace.table("steps")
    own = np.flatnonzero(floats(steps, "backwards") != 0)
    value: float | None = steps["loss"][int(own[-1])].as_py() if len(own) else None
    return value


def as_line(trace: "Trace") -> str:
    """The facts in one line, for `repr`."""
    (_, name), *rest = facts(trace)
    return f"<Trace {name}: {', '.join(f'{key} {value}' for key, value in rest)}>"


def as_table(trace: "Trace") -> "Table":
    """The facts as a table, for Rich."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts(trace):
        table.add_row(Text(name, "dim"), Text(value))
    return table


def as_html(trace: "Trace") -> str:
    """The facts as a small table with a curve of the loss, for notebooks."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in facts(trace)
    )
    return f"<table>{rows}</table>{_curve(trace)}"


def _curve(trace: "Trace") -> str:
    losses = trace.steps.loss[np.isfinite(trace.steps.loss)]
    if len(losses) < 2:
        return ""
    shown = losses[np.linspace(0, len(losses) - 1, min(_POINTS, len(losses))).astype(int)]
    low, span = shown.min(), max(float(np.ptp(shown)), 1e-30)
    points = " ".join(
        f"{x:.1f},{y:.1f}"
        for x, y in zip(
            np.linspace(_MARGIN, _WIDTH - _MARGIN, len(shown)),
            _MARGIN + (_HEIGHT - 2 * _MARGIN) * (1 - (shown - low) / span),
            strict=True,
        )
    )
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='loss'>"
        f"<polyline points='{points}' fill='none' stroke='#2f6fde' stroke-width='1.5'/></svg>"
    )
