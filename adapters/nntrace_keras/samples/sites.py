"""The sites of a run: declared to the recorder when their first values arrive.

Varying axes are known only then; samples come in the order of execution, so ids grow with depth.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_keras.program.describe import dtype_name, fans
from nntrace_keras.program.sources import Source


@dataclass(frozen=True, slots=True)
class SiteKey:
    """A site before it has an id.

    Attributes:
        shape: of a parameter; empty for tensors with a batch axis.
        width: the size of the unit axis; 0 for parameters.
        facts: further columns of `sites`.
    """

    path: str
    role: Role
    module_type: str = field(default="", compare=False)
    parent: str = field(default="", compare=False)
    dtype: str = field(default="", compare=False)
    file: str | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)
    shape: tuple[int, ...] = field(default=(), compare=False)
    width: int = field(default=0, compare=False)
    facts: tuple[tuple[str, Any], ...] = field(default=(), compare=False)


def parameter_site(
    path: str,
    role: Role,
    variable: Any,
    owner: Any | None,
    source: Source,
    *,
    parent: str = "",
    facts: dict[str, Any] | None = None,
) -> SiteKey:
    """The site of a variable, of its gradient or of its update.

    Args:
        path: the variable's path.
        role: parameter, gradient or update.
        variable: of any backend.
        owner: the layer that it belongs to; None if unknown.
        source: the line that built the layer.
        parent: the layer's path.
        facts: further columns of `sites`.
    """
    shape = tuple(int(size) for size in variable.shape)
    return SiteKey(
        path,
        role,
        module_type=type(owner).__name__ if owner is not None else "Variable",
        parent=parent,
        dtype=dtype_name(variable),
        file=source.file,
        line=source.line,
        shape=shape,
        facts=tuple({**fans(shape, owner), **(facts or {})}.items()),
    )


class Sites:
    """Ids of the sites declared so far."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ids: dict[SiteKey, int] = {}

    def id_of(self, site: SiteKey, shape: tuple[int, ...]) -> int:
        """Return the id of a site; `shape` is the sampled tensor's, used if the site has none."""
        known = self._ids.get(site)
        if known is not None:
            return known
        shape = site.shape or shape
        self._ids[site] = self._recorder.add_site(
            site.path,
            site.role,
            module_type=site.module_type,
            shape=shape,
            dtype=site.dtype,
            numel=math.prod(shape),
            parent=site.parent,
            file=site.file,
            line=site.line,
            **dict(site.facts),
        )
        return self._ids[site]
