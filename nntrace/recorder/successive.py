"""How alike two successive optimizer steps are: the cosines of their gradients and updates.

They are computed from the samples of successive steps; nothing extra is measured in the program.
They use a bounded number of elements of a bounded number of weight matrices, whatever the model's
size.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import NO_SITE, Sample, SiteSample
from nntrace.rows import Site
from nntrace.schema import Role

_MATRICES: Final = 24
_ELEMENTS: Final = 1024  # of each matrix
_MOST_PLANS: Final = 16
_COLUMNS: Final = {Role.PARAM_GRAD: "gradient_cosine", Role.UPDATE: "update_cosine"}

Vector = npt.NDArray[np.float64]
_Plan = Mapping[Role, Sequence[SiteSample]]


class _Taken(NamedTuple):
    """Sampled elements of one role, one site after the other, and the sum of their squares."""

    sites: tuple[int, ...]
    values: Vector
    square: float


class SuccessiveSteps:
    """Compares each sample with its optimizer's last one, if all steps since were sampled."""

    def __init__(self) -> None:
        self._step = -1
        self._plans: dict[tuple[SiteSample, ...], _Plan] = {}
        self._before: dict[str, dict[Role, _Taken]] = {}

    def compare(self, sample: Sample, sites: Mapping[int, Site]) -> dict[str, float]:
        """The cosines as columns of `steps`; empty where there is nothing to compare."""
        if sample.step != self._step + 1:
            self._before.clear()
        self._step = sample.step
        taken = {role: _take(sample, parts) for role, parts in self._plan(sample, sites).items()}
        if Role.UPDATE not in taken:
            return {}
        optimizer = sites[taken[Role.UPDATE].sites[0]].optimizer or ""
        before = self._before.get(optimizer, {})
        self._before[optimizer] = taken
        return {
            _COLUMNS[role]: _cosine(before[role], part)
            for role, part in taken.items()
            if role in before and before[role].sites == part.sites
        }

    def _plan(self, sample: Sample, sites: Mapping[int, Site]) -> _Plan:
        """The parts of a sample to compare; cached, as most samples of a run share them."""
        plan = self._plans.get(sample.sites)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            chosen = {role: _chosen(sample, sites, role) for role in _COLUMNS}
            plan = self._plans[sample.sites] = {r: parts for r, parts in chosen.items() if parts}
        return plan


def _chosen(sample: Sample, sites: Mapping[int, Site], role: Role) -> list[SiteSample]:
    matrices = [
        part
        for part in sample.sites
        if part.site != NO_SITE
        and part.layout.size
        and sites[part.site].role is role
        and len(sites[part.site].shape) > 1
    ]
    return matrices[:: -(-len(matrices) // _MATRICES)] if matrices else []


def _take(sample: Sample, parts: Sequence[SiteSample]) -> _Taken:
    values = [
        sample.values[offset : offset + layout.size : -(-layout.size // _ELEMENTS)]
        for _, offset, layout in parts
    ]
    vector = np.concatenate(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        square = _product(vector, vector)
    return _Taken(tuple(part.site for part in parts), vector, square)


def _cosine(one: _Taken, two: _Taken) -> float:
    """The cosine of two vectors; NaN where one is zero or not finite, or their lengths differ."""
    if len(one.values) != len(two.values):
        return float("nan")
    with np.errstate(all="ignore"):
        product = np.float64(_product(one.values, two.values))
        return float(product / np.sqrt(one.square * two.square))


def _product(one: Vector, two: Vector) -> float:
    """The dot product, without BLAS, whose threads would compete with the training's."""
    return float(np.einsum("i,i->", one, two))
