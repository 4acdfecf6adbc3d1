"""All statistics of a few sites over time, read in one pass over the rows of only those sites."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nntrace.schema import STATISTICS
from nntrace.trace import Site, Trace
from nntrace.trace.decode import floats
from nntrace.trace.model import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SiteSeries:
    """The sampled steps of a site, and each statistic's values there by name; NaN where null."""

    steps: FloatArray
    values: dict[str, FloatArray]

    def known(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return the steps at which a statistic has a value, and the values.

        Where no element is finite, the value of a statistic that the site has elsewhere is NaN.
        """
        values = self.values[name]
        here = ~np.isnan(values)
        if here.any():
            here |= self.values["nonfinite_fraction"] == 1.0
        return self.steps[here], values[here]


def site_series(trace: Trace, sites: Iterable[Site]) -> dict[int, SiteSeries]:
    """Return the series of all these sites, by id."""
    ids = [site.id for site in sites]
    table = trace.table("stats")
    rows = table.filter(pc.is_in(table["site"], pa.array(ids, pa.int32()))).combine_chunks()
    numbers = np.asarray(rows["site"].to_numpy())
    steps = np.asarray(rows["step"].to_numpy(), dtype=np.float64)
    columns = {name: floats(rows, name) for name in STATISTICS}
    found = {}
    for number in ids:
        chosen = np.flatnonzero(numbers == number)
        found[number] = SiteSeries(
            steps[chosen], {name: values[chosen] for name, values in columns.items()}
        )
    return found
