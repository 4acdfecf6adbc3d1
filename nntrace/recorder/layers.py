"""Statistics of whole layers: dead units and filters, saturation, effective rank of outputs.

They go into columns of `stats`, beside the statistics of single values.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.recorder.liveness import Liveness, RectifiedOutside
from nntrace.recorder.rows import Members, Rows
from nntrace.recorder.sample import Float32Array, Layout
from nntrace.recorder.spectrum import Filters, Turns, effective_rank
from nntrace.recorder.statistics import saturated_fraction
from nntrace.rows import Site
from nntrace.schema import Role

Columns = Mapping[str, npt.NDArray[np.float64]]


class LayerFacts:
    """Follows the layers of one run from sample to sample."""

    def __init__(self) -> None:
        self._outputs: dict[int, Site] = {}
        self._weights: dict[int, Site] = {}
        self._liveness = Liveness()
        self._rectified = RectifiedOutside()
        self._filters = Filters()
        self._turns = Turns()

    def learn_sites(self, sites: Iterable[Site]) -> None:
        """Take in sites that coming samples may have."""
        for site in sites:
            if site.role is Role.ACTIVATION:
                self._outputs[site.id] = site
            elif site.role is Role.PARAM and site.unit_axis is not None:
                self._weights[site.id] = site

    def learn_graph(self, payload: Mapping[str, Any]) -> None:
        """Take in a `graph` event, which shows the outputs that the program rectifies itself."""
        self._rectified.learn(payload)

    def add(self, rows: Rows, columns: Columns) -> None:
        """Fill the columns of `stats` about layers; those about values must already be there."""
        is_finite = columns["nonfinite_fraction"] == 0
        all_fire = is_finite & (columns["zero_fraction"] == 0)
        all_positive = is_finite & (columns["min"] > 0)
        for layout, members in rows.by_layout.items():
            if not layout.per_unit:
                for number, site, values in _of(self._weights, rows, members):
                    self._add_filters(number, site, values, columns)
                continue
            for number, site, values in _of(self._outputs, rows, members):
                is_rectified_later = site.path in self._rectified
                dead = self._liveness.update(
                    site.id,
                    values,
                    layout,
                    is_rectified_later=is_rectified_later,
                    all_fire=bool((all_positive if is_rectified_later else all_fire)[number]),
                )
                if dead is not None:
                    columns["dead_fraction"][number] = dead
                self._add_shape(number, site, layout, values, columns)

    def _add_shape(
        self, number: int, site: Site, layout: Layout, values: Float32Array, columns: Columns
    ) -> None:
        if self._turns.next(site.id):
            rank = effective_rank(values, layout)
            columns["effective_rank"][number] = np.nan if rank is None else rank
        if site.range_low is not None and site.range_high is not None:
            columns["saturated_fraction"][number] = saturated_fraction(
                values, site.range_low, site.range_high
            )

    def _add_filters(self, number: int, site: Site, values: Float32Array, columns: Columns) -> None:
        if site.unit_axis is not None and self._turns.next(site.id):
            dead = self._filters.dead_fraction(site.id, site.shape, site.unit_axis, values)
            columns["dead_fraction"][number] = np.nan if dead is None else dead


def _of(
    known: Mapping[int, Site], rows: Rows, members: Members
) -> Iterator[tuple[int, Site, Float32Array]]:
    """The rows of one layout that belong to known sites: number, site and values of each."""
    sites = rows.site[members.numbers].tolist()
    for number, site_id, values in zip(
        members.numbers.tolist(), sites, members.values, strict=True
    ):
        if (site := known.get(site_id)) is not None:
            yield number, site, values
