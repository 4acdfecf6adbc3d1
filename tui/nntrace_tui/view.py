"""What the user looks at: the page, and everything else that decides its content.

The screens make a new `View` at every key; the follower builds the page for it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from nntrace_tui.bands import Bands, usual_bands
from nntrace_tui.metrics import Metric


class Page(StrEnum):
    """The pages; the key of each is the number of its place here."""

    OVERVIEW = "Overview"
    LAYERS = "Layers"
    LAYER = "Layer"
    UPDATES = "Updates"
    DATA = "Data"
    NUMERICS = "Numerics"
    RANKS = "Ranks"
    RULES = "Rules"

    @property
    def key(self) -> str:
        """The key that opens the page."""
        return str(tuple(Page).index(self) + 1)


@dataclass(frozen=True, slots=True)
class View:
    """One view of a run.

    Attributes:
        rank: the rank; None for the lowest.
        until: the step at which the display is paused; None follows the run.
        layer: the module path for the layer page; None for the first layer.
        parameter: the index of the parameter, among the layer's, that the layer page shows.
        bands: the ranges that are drawn as unremarkable.
    """

    page: Page = Page.OVERVIEW
    rank: int | None = None
    until: int | None = None
    metric: Metric = Metric.ACTIVATION_STD
    layer: str | None = None
    parameter: int = 0
    bands: Bands = field(default_factory=usual_bands)
