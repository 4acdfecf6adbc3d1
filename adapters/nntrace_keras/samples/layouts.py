"""Where each site's elements are in a vector of sampled elements; takes it apart on the host."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nntrace.recorder import NO_TENSOR, Layout, SiteSample
from nntrace.schema import Role
from nntrace_keras.samples.elements import ExamplesPlan, FlatPlan, unpacked
from nntrace_keras.samples.sites import SiteKey

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """The place of a site or a batch value in the vector."""

    site: SiteKey | None
    name: str
    plan: ExamplesPlan | FlatPlan
    offset: int
    sizes_offset: int


@dataclass(slots=True)
class Found:
    """The content of a vector: samples at their places in `values`, and batch values by name."""

    values: Values
    sites: list[tuple[SiteKey, SiteSample]]
    shapes: dict[SiteKey, tuple[int, ...]]
    batch: dict[str, tuple[Values, Layout]]

    def unscale(self, scale: float) -> None:
        """Divide the gradients of activations by the loss scale, as the optimizer does its own."""
        for site, sample in self.sites:
            if site.role is Role.ACTIVATION_GRAD:
                self.values[sample.offset : sample.offset + sample.layout.size] /= scale


@dataclass(frozen=True, slots=True)
class Layouts:
    """Takes a packed vector apart.

    Attributes:
        parts: the places in the vector.
        missing: sites that had no tensor.
    """

    parts: tuple[Part, ...]
    missing: tuple[SiteKey, ...]

    @property
    def end(self) -> int:
        """The length of the vector."""
        return self.parts[-1].offset + self.parts[-1].plan.size if self.parts else 0

    def find(self, vector: Values, turn: int) -> Found:
        """Find the samples in a vector that was packed at `turn`.

        They stay at their places; a sample that loses repeated elements is moved together, which
        changes the vector itself if it is writeable.
        """
        vector = vector if vector.flags.writeable else vector.copy()
        found = Found(vector, [], {}, {})
        for part in self.parts:
            block = vector[part.offset : part.offset + part.plan.size]
            if isinstance(part.plan, FlatPlan):
                layout = part.plan.layout
            else:
                sizes = _sizes(part, vector)
                block, layout = unpacked(part.plan, block, sizes, turn)
                if part.site is not None and part.plan.per_unit:
                    found.shapes[part.site] = _shape(part, sizes)
            if part.site is None:
                found.batch[part.name] = (block, layout)
                continue
            if len(block) < part.plan.size:
                vector[part.offset : part.offset + len(block)] = block
            found.sites.append((part.site, SiteSample(-1, part.offset, layout)))
        found.sites += [(site, SiteSample(-1, 0, NO_TENSOR)) for site in self.missing]
        return found


def varying_axes(plan: ExamplesPlan | FlatPlan) -> int:
    """The number of row axes whose length is known only at run time."""
    return 0 if isinstance(plan, FlatPlan) else len(plan.varying)


def _sizes(part: Part, vector: Values) -> tuple[int, ...]:
    """The true length of every row axis of a part."""
    assert isinstance(part.plan, ExamplesPlan)
    end = part.sizes_offset + len(part.plan.varying)
    known = iter(vector[part.sizes_offset : end].tolist())
    return tuple(int(next(known)) if size is None else size for size in part.plan.sizes)


def _shape(part: Part, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The true shape of the tensor that was sampled."""
    plan = part.plan
    assert isinstance(plan, ExamplesPlan)
    shape = dict(zip(plan.axes, sizes, strict=True))
    if plan.unit_axis is not None and part.site is not None:
        shape[plan.unit_axis] = part.site.width
    return tuple(shape[axis] for axis in sorted(shape))
