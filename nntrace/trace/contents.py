"""`Contents`: the tables of one rank and their values, decoded on first use."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa

from nntrace.extras import require
from nntrace.schema import Role
from nntrace.trace import decode
from nntrace.trace.layers import layers
from nntrace.trace.model import Batch, Event, FloatArray, IntArray, Site, Steps, Tensor
from nntrace.trace.statistics import Statistics


class Contents:
    """One Arrow table per stream, and their decoded values.

    A cached property is computed from the tables on first use, and forgotten when they grow.
    """

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = dict(tables)

    def table(self, stream: str) -> pa.Table:
        """The undecoded rows of a stream."""
        return self._tables[stream]

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """All sites in the order of their ids."""
        return decode.sites(self._tables["sites"])

    @cached_property
    def _sites_by_role(self) -> dict[Role, tuple[Site, ...]]:
        return {role: tuple(s for s in self.sites if s.role is role) for role in Role}

    def sites_of(self, role: Role | str) -> tuple[Site, ...]:
        """The sites of one role, in depth order; the columns of `series` for that role."""
        return self._sites_by_role[Role(role)]

    def site(self, path: str, role: Role | str) -> Site | None:
        """The site with that path and role, if it was seen."""
        return self._sites_by_path.get((path, Role(role)))

    @cached_property
    def _sites_by_path(self) -> dict[tuple[str, Role], Site]:
        return {(site.path, site.role): site for site in reversed(self.sites)}  # the first counts

    @cached_property
    def _columns(self) -> dict[int, int]:
        """By the id of a site: its column in the series of its role."""
        columns = (enumerate(self.sites_of(role)) for role in Role)
        return {site.id: column for role in columns for column, site in role}

    @cached_property
    def steps(self) -> Steps:
        """Every optimizer step so far, in order."""
        return decode.steps(self._tables["steps"])

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All events in the order they were recorded."""
        return decode.events(self._tables["events"])

    def events_of(self, kind: str) -> tuple[Event, ...]:
        """The events of one kind."""
        return tuple(self._events_by_kind.get(kind, ()))

    @cached_property
    def _events_by_kind(self) -> dict[str, list[Event]]:
        by_kind: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            by_kind[event.kind].append(event)
        return by_kind

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The sampled batches in order."""
        return decode.batches(self._tables["data"])

    @cached_property
    def further_losses(self) -> tuple[Batch, ...]:
        """The arguments of each step's loss functions after the first; without the input."""
        return decode.batches(self._tables["losses"])

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors whose values were kept, in order; as float64, whatever their dtype was."""
        return decode.tensors(self._tables["tensors"])

    @cached_property
    def scalars(self) -> dict[str, tuple[IntArray, FloatArray]]:
        """The values that the program logged: steps [n] and values [n] by name, in order."""
        return decode.scalars(self._tables["scalars"])

    @cached_property
    def _statistics(self) -> Statistics:
        return Statistics(self._tables["stats"], self.sites)

    @property
    def sampled_steps(self) -> IntArray:
        """The steps that have statistics; the rows of `series`."""
        return self._statistics.steps

    def series(self, role: Role | str, stat: str, site: Site | None = None) -> FloatArray:
        """A statistic over time: [sampled_steps, sites_of(role)], or [sampled_steps] for one site.

        The array is float64 and read-only, NaN where nothing was recorded. `stat` is one of
        `schema.STATISTICS` or `n`.
        """
        role = Role(role) if site is None else site.role
        values = self._statistics.series(role, stat)
        if site is None:
            return values
        return values[:, self._columns[site.id]]

    def to_arrow(self, stream: str = "layers") -> pa.Table:
        """The rows of a stream; `layers` is `stats` with `path`, `role` and `module_type`."""
        return layers(self._tables) if stream == "layers" else self._tables[stream]

    def to_pandas(self, stream: str = "layers") -> Any:
        """`to_arrow` as a pandas DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        require("pandas", "Trace.to_pandas")
        return self.to_arrow(stream).to_pandas()

    def to_polars(self, stream: str = "layers") -> Any:
        """`to_arrow` as a polars DataFrame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        return require("polars", "Trace.to_polars").from_arrow(self.to_arrow(stream))

    def _forget(self) -> None:
        """Forget decoded values, because the tables have grown."""
        for name in [name for name in self.__dict__ if _is_cached(type(self), name)]:
            del self.__dict__[name]


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)
