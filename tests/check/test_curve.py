"""The plot of a learning-rate sweep as text."""

import numpy as np

from nntrace.check.curve import curve
from nntrace.rules.probes import Sweep


def swept(first: float, last: float, own: float) -> list[str]:
    rates = np.geomspace(first, last, 50)
    losses = np.linspace(2.3, 1.0, 50)
    found = Sweep(rates, losses, low=None, high=None, steepest=None, limit=None, own=own)
    return list(curve(found))


def test_the_ends_of_the_axis_are_labelled_though_rates_are_rounded() -> None:
    axis = next(line for line in swept(1.0000001e-7, 1e-2, own=1e-3) if "└" in line)
    assert axis.startswith(" " * 9 + "└1e-7─")


def test_a_rate_beyond_the_sweep_is_not_marked_as_part_of_it() -> None:
    assert swept(1e-7, 1e-5, own=1e-3)[-1].strip() == "→ the script's 1.0e-03"
    assert swept(1e-7, 1e-2, own=1e-3)[-1].strip() == "▲ the script's 1.0e-03"
