"""The places of several sites' samples in a buffer, one after the other."""

from collections.abc import Sequence
from itertools import accumulate

from nntrace.recorder import NO_SITE, Layout, SiteSample


class Rows:
    """Sites whose samples lie one behind the other in a buffer, always in the same order.

    Attributes:
        size: the number of elements of all.
    """

    __slots__ = ("_layouts", "_offset", "_parts", "_sites", "_sizes", "size")

    def __init__(self, sites: Sequence[int], layouts: Sequence[Layout]) -> None:
        self._sites, self._layouts = sites, layouts
        self._sizes = [layout.size for layout in layouts]
        self._offset = -1
        self._parts: list[SiteSample] = []
        self.size = sum(self._sizes)

    def at(self, offset: int) -> list[SiteSample]:
        """The samples of the sites from an offset on, without sites that are not recorded."""
        if offset != self._offset:
            self._offset = offset
            offsets = accumulate(self._sizes, initial=offset)
            parts = map(SiteSample, self._sites, offsets, self._layouts)
            # The others are there to take differences from.
            self._parts = [part for part in parts if part.site != NO_SITE]
        return self._parts
