"""How numbers are written in the monitor: short, aligned, and distinct from a missing one."""

import math

MISSING = "–"


def number(value: float | None) -> str:
    """A number with at most four significant digits: `2.303`, `1.2e-05`, `nan`."""
    return MISSING if value is None else f"{value:.4g}"


def short_number(value: float | None) -> str:
    """A number in at most eight characters."""
    if value is None:
        return MISSING
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    return f"{value:.1e}"


def log_ratio(value: float | None) -> str:
    """The log10 of an update ratio: `-3.02`; `none` if nothing moved, as 0 is a ratio of one."""
    if value is None or math.isnan(value):
        return MISSING
    return "none" if value == -math.inf else f"{value:.2f}".replace("-0.00", "0.00")


def percent(fraction: float | None) -> str:
    """A share: `0 %`, `1.9 %`, `76 %`; one too small to be written is `<0.1 %`, not 0."""
    if fraction is None or math.isnan(fraction):
        return MISSING
    if 0 < fraction < 0.001:
        return "<0.1 %"
    if fraction >= 0.0995:
        return f"{100 * fraction:.0f} %"
    return f"{100 * fraction:.1f}".removesuffix(".0") + " %"


def duration(seconds: float) -> str:
    """A duration: `0:42`, `12:03`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rate(per_second: float | None) -> str:
    """A rate: `45.1 it/s`, or `3.2 s/it` for steps longer than a second."""
    if per_second is None:
        return f"{MISSING} it/s"
    if per_second >= 1:
        return f"{per_second:,.0f} it/s" if per_second >= 100 else f"{per_second:.1f} it/s"
    return f"{1 / per_second:.1f} s/it"
