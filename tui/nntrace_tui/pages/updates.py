"""How far each parameter moves per step relative to its size, and the learning rate behind it."""

from dataclasses import dataclass

import numpy as np

from nntrace.trace import Trace
from nntrace.trace.model import FloatArray
from nntrace_tui.bands import Bands
from nntrace_tui.pages.curve import Curve, step_curve
from nntrace_tui.pages.heat import Heat, heat
from nntrace_tui.pages.history import parameter_ratios


@dataclass(frozen=True, slots=True, eq=False)
class UpdatesPage:
    """The parameters that an optimizer updates, in depth order.

    Attributes:
        log10_ratios: at the last sample that has one, as on the pages of layers; NaN where unknown,
            −inf where nothing changed.
        spreads: the smallest and the largest finite ratio over all samples.
        band: the range in which a ratio is unremarkable, as log10.
        optimizers: their class names and settings, as the program created them.
    """

    paths: tuple[str, ...]
    log10_ratios: tuple[float, ...]
    spreads: tuple[tuple[float, float], ...]
    heat: Heat
    band: tuple[float, float]
    lr: Curve
    optimizers: tuple[str, ...]


def updates_page(trace: Trace, bands: Bands) -> UpdatesPage:
    """Build the page: the update ratios of all parameters, now and over time."""
    sites, ratios = parameter_ratios(trace)
    with np.errstate(all="ignore"):
        known = np.where(np.isfinite(ratios), ratios, np.nan)
        low = np.fmin.reduce(known, axis=0, initial=np.nan)
        high = np.fmax.reduce(known, axis=0, initial=np.nan)
    return UpdatesPage(
        paths=tuple(site.path for site in sites),
        log10_ratios=tuple(_last(column) for column in ratios.T),
        spreads=tuple(zip(low.tolist(), high.tolist(), strict=True)),
        heat=heat(bands.log_ratio.levels(ratios), trace.sampled_steps),
        band=bands.log_ratio.band,
        lr=step_curve(trace, "lr"),
        optimizers=tuple(_describe(event.payload) for event in trace.events_of("optimizer")),
    )


def _last(ratios: FloatArray) -> float:
    known = ratios[~np.isnan(ratios)]
    return float(known[-1]) if len(known) else float("nan")


def _describe(payload: dict[str, object]) -> str:
    """Describe an optimizer: `Adam · lr 0.001 · weight decay 0.01`."""
    words = [str(payload.get("class") or payload.get("name") or "optimizer")]
    for key in ("lr", "momentum", "weight_decay"):
        value = payload.get(key)
        if isinstance(value, int | float) and value:
            words.append(f"{key.replace('_', ' ')} {value:.4g}")
    return " · ".join(words)
