"""The statistics of a run as one self-contained table: each row names its site."""

from collections.abc import Mapping

import pyarrow as pa

_FIRST = ("step", "path", "role", "module_type", "site")


def layers(tables: Mapping[str, pa.Table]) -> pa.Table:
    """`stats` joined with `path`, `role` and `module_type`, sorted by step and site."""
    names = tables["sites"].select(["id", "path", "role", "module_type"])
    joined = tables["stats"].join(names, "site", "id", join_type="inner")
    rest = [name for name in joined.column_names if name not in _FIRST]
    return joined.select([*_FIRST, *rest]).sort_by([("step", "ascending"), ("site", "ascending")])
