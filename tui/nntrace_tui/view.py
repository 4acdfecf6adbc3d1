"""What the user looks at: the page, and everything that changes what it must hold.

The screens make a new `View` at every key; the follower builds the page that it asks for.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from nntrace_tui.bands import Bands, usual_bands
from nntrace_tui.metrics import Metric


class Page(StrEnum):
    """The pages; each is the number key of its place here."""

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
        """The key that opens it."""
        return str(tuple(Page).index(self) + 1)


@dataclass(frozen=True, slots=True)
class View:
    """One look at a run.

    Attributes:
        rank: None for the lowest.
        until: the step at which time stands still; None follows the run.
        layer: the module path that the layer page is about; None for the first.
        parameter: the place of the parameter among the layer's that the layer page is about.
        bands: what is drawn as unremarkable.
    """

    page: Page = Page.OVERVIEW
    rank: int | None = None
    until: int | None = None
    metric: Metric = Metric.ACTIVATION_STD
    layer: str | None = None
    parameter: int = 0
    bands: Bands = field(default_factory=usual_bands)
