"""The statistics of a run as one table that stands alone: each row says what its site is."""

from collections.abc import Mapping

import pyarrow as pa

_FIRST = ("step", "path", "role", "module_type", "site")


def layers(tables: Mapping[str, pa.Table]) -> pa.Table:
    """`stats` with `path`, `role` and `module_type`, by step and site."""
    names = tables["sites"].select(["id", "path", "role", "module_type"])
    joined = tables["stats"].join(names, "site", "id", join_type="inner")
    rest = [name for name in joined.column_names if name not in _FIRST]
    return joined.select([*_FIRST, *rest]).sort_by([("step", "ascending"), ("site", "ascending")])
