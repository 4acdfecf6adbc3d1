"""What one optimizer call of one graph (or one eager step) samples, packed into one vector.

Built where the optimizer is called. In a graph it writes into variables under `tf.cond`, eagerly
it is read at once; the host takes the vector apart the same way for both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

from nntrace.recorder import NO_TENSOR, Layout, SiteSample
from nntrace_keras import gather
from nntrace_keras.elements import (
    ExamplesPlan,
    FlatPlan,
    examples_plan,
    flat_plan,
    touched_rows_plan,
    unpacked,
)
from nntrace_keras.sites import SiteKey

# A tensor this large is sampled where it is made: kept to the end of the step it would cost
# memory, while reading 4096 of its elements costs next to nothing beside making it.
_LARGE = 1 << 18
_ASSUMED_BATCH = 32
_PRODUCT = "MatMul"
MAX_HASHED = 4096

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """A site's or a batch value's place in the vector."""

    site: SiteKey | None
    name: str
    plan: ExamplesPlan | FlatPlan
    offset: int
    sizes_offset: int


@dataclass(slots=True)
class Found:
    """What a vector held: samples packed without holes, and batch values by name."""

    values: Values
    sites: list[tuple[SiteKey, SiteSample]]
    shapes: dict[SiteKey, tuple[int, ...]]
    batch: dict[str, tuple[Values, Layout]]


@dataclass(slots=True)
class Capture:
    """Collects what to read; `pack` makes the vector.

    A `functools.partial` among the tensors is called by `pack`, so that in a graph it costs
    nothing on steps that are not sampled.

    Attributes:
        turn: int64 scalar that moves the sampled rows.
        gate: in a graph, whether this call is sampled.
        missing: sites that were looked at and had no tensor.
    """

    turn: Any
    gate: Any = None
    missing: list[SiteKey] = field(default_factory=list)
    fusible: bool = field(default=False, init=False)
    _reader: gather.Reader = field(init=False)
    _parts: list[tuple[SiteKey | None, str, Any, ExamplesPlan | FlatPlan, Any]] = field(
        default_factory=list
    )
    _layout: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = gather.Reader(self.turn)
        # XLA fuses an operation into its users only if it can be fused into all of them. Into a
        # branch it cannot be, into a selection it can: so what is fused, and with it the rounding
        # of the training, stays as it was.
        xla = control_flow_util.GraphOrParentsInXlaContext
        self.fusible = self.gate is not None and xla(ops.get_default_graph())

    def _gated(self, values: Any) -> Any:
        return tf.where(self.gate, values, tf.zeros_like(values))

    @property
    def sites(self) -> list[SiteKey]:
        """The sites to be read, in the order in which they were added."""
        return [part[0] for part in self._parts if part[0] is not None]

    def add_activation_gradient(self, site: SiteKey, gradient: Any, unit_axis: int) -> None:
        """Sample the gradient of an activation, where looking at it changes no rounding."""
        if not self.fusible or _is_stored(gradient):
            self.add_examples(site, gradient, unit_axis)

    def add_examples(self, site: SiteKey, tensor: Any, unit_axis: int = -1) -> None:
        """Sample a tensor whose first axis is the batch."""
        tensor = tf.convert_to_tensor(tensor)
        shape = tuple(tensor.shape.as_list())
        plan = examples_plan(shape, unit_axis)
        is_large = math.prod(size or _ASSUMED_BATCH for size in shape) >= _LARGE
        if self.fusible or (self.gate is not None and is_large):
            sizes = gather.varying_sizes(plan, tensor)
            early = self._gated(self._reader.examples(plan, tensor))
            self._parts.append((site, "", early, plan, sizes))
        else:
            self._parts.append((site, "", tensor, plan, None))

    def add_parameter(self, site: SiteKey, variable: Any, shape: tuple[int, ...]) -> None:
        """Sample a parameter, or a gradient of its shape."""
        self._parts.append((site, "", variable, flat_plan(shape), None))

    def add_gradient(self, site: SiteKey, gradient: Any, shape: tuple[int, ...]) -> None:
        """Sample a parameter's gradient; of a sparse one the rows that were touched."""
        if gradient is None:
            self.missing.append(site)
        elif isinstance(gradient, tf.IndexedSlices):
            values = tf.reshape(gradient.values, [-1])
            self._parts.append((site, "", values, touched_rows_plan(), None))
        elif self.fusible:
            plan = flat_plan(shape)
            source = gradient() if isinstance(gradient, partial) else gradient
            self._parts.append((site, "", self._gated(gather.flat(plan, source)), plan, []))
        else:
            self.add_parameter(site, gradient, shape)

    def add_scalar(self, name: str, value: Any) -> None:
        """Keep a number of the batch; not where XLA would round the loss differently for it."""
        if not self.fusible:
            self._parts.append((None, name, tf.reshape(value, [1]), FlatPlan(1, 1), None))

    def add_hashes(self, batch: Any) -> None:
        """Keep a 48-bit hash of the first examples, as two numbers that float32 holds exactly."""
        plan = ExamplesPlan((0,), (MAX_HASHED,), (None,), None, 1, 1)
        for name, shift in (("hash_low", 0), ("hash_high", 24)):
            hashes = partial(gather.example_hashes, batch, shift)
            if self.fusible:
                values = hashes()
                sizes = gather.varying_sizes(plan, values)
                early = self._gated(self._reader.examples(plan, values))
                self._parts.append((None, name, early, plan, sizes))
            else:
                self._parts.append((None, name, hashes, plan, None))

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(plan.size + _varying(plan) for *_, plan, _ in self._parts)

    def pack(self) -> Any:
        """The vector, float32 [size]: the varying sizes first, then the values."""
        reader = gather.Reader(self.turn)  # not the capture's: this may be inside a branch
        pieces = []
        sizes: list[Any] = []
        for _, _, source, plan, early_sizes in self._parts:
            tensor = source() if isinstance(source, partial) else source
            if early_sizes is not None:
                pieces.append(tensor)
                sizes += early_sizes
            elif isinstance(plan, FlatPlan):
                pieces.append(gather.flat(plan, tensor))
            else:
                pieces.append(reader.examples(plan, tensor))
                sizes += gather.varying_sizes(plan, tensor)
        head = [tf.stack(sizes)] if sizes else []
        return tf.concat([*head, *pieces], 0) if pieces or head else tf.zeros([0])

    def finish(self) -> "Layouts":
        """Forget the tensors; what remains is where everything is in the vector."""
        parts = []
        offset = sum(_varying(plan) for *_, plan, _ in self._parts)
        sizes_offset = 0
        for site, name, _, plan, _ in self._parts:
            parts.append(Part(site, name, plan, offset, sizes_offset))
            offset += plan.size
            sizes_offset += _varying(plan)
        self._parts = []
        return Layouts(tuple(parts), tuple(self.missing))


@dataclass(frozen=True, slots=True)
class Layouts:
    """Takes a packed vector apart."""

    parts: tuple[Part, ...]
    missing: tuple[SiteKey, ...]

    def find(self, vector: Values, turn: int) -> Found:
        """The samples in a vector that was packed at `turn`."""
        values: list[Values] = []
        found = Found(np.empty(0, np.float32), [], {}, {})
        offset = 0
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
            found.sites.append((part.site, SiteSample(-1, offset, layout)))
            values.append(block)
            offset += len(block)
        found.sites += [(site, SiteSample(-1, 0, NO_TENSOR)) for site in self.missing]
        found.values = np.concatenate(values) if values else found.values
        return found


def when(condition: Any, do: Callable[[], Any]) -> None:
    """Run `do` in the graph only where `condition` holds."""
    tf.cond(condition, lambda: (do(), tf.constant(0))[1], lambda: tf.constant(0))


def _is_stored(tensor: Any) -> bool:
    """Whether XLA has to store a tensor of this graph anyway, for a product to make or to take."""
    takers = [consumer.type for consumer in tensor.consumers()]
    return any(_PRODUCT in kind or "Conv" in kind for kind in (tensor.op.type, *takers))


def _varying(plan: ExamplesPlan | FlatPlan) -> int:
    return 0 if isinstance(plan, FlatPlan) else len(plan.varying)


def _sizes(part: Part, vector: Values) -> tuple[int, ...]:
    """The true length of every row axis of a part."""
    assert isinstance(part.plan, ExamplesPlan)
    known = iter(vector[part.sizes_offset :].tolist()[: len(part.plan.varying)])
    return tuple(int(next(known)) if size is None else size for size in part.plan.sizes)


def _shape(part: Part, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The true shape of the tensor that was sampled."""
    plan = part.plan
    assert isinstance(plan, ExamplesPlan)
    shape = dict(zip(plan.axes, sizes, strict=True))
    if plan.unit_axis is not None and part.site is not None:
        shape[plan.unit_axis] = part.site.width
    return tuple(shape[axis] for axis in sorted(shape))
