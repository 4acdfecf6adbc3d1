"""What one optimizer call of one graph (or one eager step) samples, packed into one vector.

Planned where the optimizer is called. Eager values are read at once, those of a graph by a second
computation after the step; the host takes the vector apart in the same way for both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace_keras.samples import gather
from nntrace_keras.samples.elements import (
    ExamplesPlan,
    FlatPlan,
    examples_plan,
    flat_plan,
    touched_rows_plan,
)
from nntrace_keras.samples.keepsakes import Keepsakes
from nntrace_keras.samples.layouts import Layouts, Part, varying_axes
from nntrace_keras.samples.sites import SiteKey

MAX_HASHED = 4096


@dataclass(slots=True)
class _Planned:
    """Something to read: `make(tensor)` by a plan, with `finish` applied to the result.

    Attributes:
        tensor: one tensor, or several in lists.
    """

    site: SiteKey | None
    name: str
    tensor: Any
    make: Callable[[Any], Any]
    plan: ExamplesPlan | FlatPlan
    finish: Callable[[ExamplesPlan, Any], Any] | None = None


@dataclass(slots=True)
class Capture:
    """Collects what is to be read; `pack` makes the vector.

    Attributes:
        missing: sites that were looked at and had no tensor.
        keepsakes: tensors that are kept whole, once per run.
    """

    missing: list[SiteKey] = field(default_factory=list)
    keepsakes: Keepsakes = field(default_factory=Keepsakes)
    _planned: list[_Planned] = field(default_factory=list)

    @property
    def sites(self) -> list[SiteKey]:
        """The sites to be read, in the order in which they were added."""
        return [planned.site for planned in self._planned if planned.site is not None]

    def planned(self) -> list[tuple[SiteKey, Any]]:
        """The sites to be read, each with its tensor."""
        return [(p.site, p.tensor) for p in self._planned if p.site is not None]

    def add_examples(
        self,
        site: SiteKey,
        tensor: Any,
        unit_axis: int = -1,
        *,
        by_example: bool = False,
        shape: Any = None,
        staggered: bool = False,
        make: Callable[[Any], Any] | None = None,
        finish: Callable[[ExamplesPlan, Any], Any] | None = None,
    ) -> None:
        """Sample a tensor whose first axis is the batch, or what `make` returns for it.

        With `by_example` all values of an example are taken as units: [N, …] as [N, values].
        `shape` is the static shape if TensorFlow knows less, as for some gradients, which should be
        `staggered`. `finish` takes the plan and the float32 [plan.size] that were read by it.
        """
        tensor = tf.convert_to_tensor(tensor)
        shape = tuple((tensor.shape if shape is None else shape).as_list())
        make = make or partial(gather.shaped, shape=shape)
        if by_example and len(shape) > 2:
            make = _flattened
            values = None if None in shape[1:] else math.prod(size or 0 for size in shape[1:])
            shape = (shape[0], values)
        plan = examples_plan(shape, unit_axis, staggered=staggered)
        self._planned.append(_Planned(site, "", tensor, make, plan, finish))

    def add_parameter(self, site: SiteKey, variable: Any, shape: tuple[int, ...]) -> None:
        """Sample a parameter at fixed elements."""
        self._planned.append(_Planned(site, "", variable, _as_is, flat_plan(shape)))

    def add_gradient(
        self, site: SiteKey, gradient: Any, shape: tuple[int, ...], received: Callable[[Any], Any]
    ) -> None:
        """Sample `received(gradient)` of a parameter; of a sparse gradient, its touched rows."""
        if gradient is None:
            self.missing.append(site)
        elif isinstance(gradient, tf.IndexedSlices):
            self._planned.append(
                _Planned(site, "", gradient, partial(_touched, received), touched_rows_plan())
            )
            self.add_numbers(squares_of(site), gradient, partial(_squares, received), 1)
        else:
            self._planned.append(_Planned(site, "", gradient, received, flat_plan(shape)))

    def add_scalar(self, name: str, value: Any, make: Callable[[Any], Any] | None = None) -> None:
        """Keep a number of the batch: a scalar, or what `make` returns for a tensor."""
        self.add_numbers(name, value, make or _as_is, 1)

    def add_numbers(self, name: str, tensors: Any, make: Callable[[Any], Any], count: int) -> None:
        """Keep `count` numbers that `make` returns for a tensor, or for several in lists."""

        def numbers(read: Any) -> Any:
            return tf.reshape(make(read), [count])

        self._planned.append(_Planned(None, name, tensors, numbers, FlatPlan(count, 1)))

    def add_hashes(self, number: int, batch: Any) -> None:
        """Keep 48-bit hashes of an input's first examples, as two numbers exact in float32."""
        plan = ExamplesPlan((0,), (MAX_HASHED,), (None,), 1, 2, 1)
        self._planned.append(_Planned(None, f"hashes.{number}", batch, gather.example_hashes, plan))

    def symbolic_tensors(self) -> list[Any]:
        """The tensors of a graph that are to be read."""
        tensors = tf.nest.flatten([planned.tensor for planned in self._planned])
        tensors += self.keepsakes.tensors
        sparse = [tensor for tensor in tensors if isinstance(tensor, tf.IndexedSlices)]
        tensors += [part for one in sparse for part in (one.values, one.indices)]
        return [tensor for tensor in tensors if isinstance(tensor, ops.SymbolicTensor)]

    def bring_into(self, graph: Any) -> None:
        """Capture everything that is to be read in the graph that is being built."""

        def inside(tensor: Any) -> Any:
            is_other = isinstance(tensor, ops.SymbolicTensor) and tensor.graph is not graph
            return graph.capture(tensor) if is_other else tensor

        for planned in self._planned:
            planned.tensor = tf.nest.map_structure(inside, planned.tensor)
        self.keepsakes.replace_tensors(inside)

    def pack(self, copy: Callable[[Any], Any], turn: Any) -> Any:
        """The vector, float32 [size]: the varying sizes first, then the values.

        Args:
            copy: gives the tensor to read in place of one that was added.
            turn: int64 scalar that shifts the sampled rows.
        """
        tensors = [p.make(tf.nest.map_structure(copy, p.tensor)) for p in self._planned]
        plans = [planned.plan for planned in self._planned]
        of_examples = [
            (plan, tensor)
            for plan, tensor in zip(plans, tensors, strict=True)
            if isinstance(plan, ExamplesPlan)
        ]
        sizes, read = gather.examples(
            [plan for plan, _ in of_examples], [tensor for _, tensor in of_examples], turn
        )
        values = iter(read)
        pieces = [
            gather.flat(plan, tensor) if isinstance(plan, FlatPlan) else next(values)
            for plan, tensor in zip(plans, tensors, strict=True)
        ]
        for number, planned in enumerate(self._planned):
            if planned.finish is not None and isinstance(planned.plan, ExamplesPlan):
                pieces[number] = planned.finish(planned.plan, pieces[number])
        return tf.concat([sizes, *pieces], 0)

    def place_of(self, site: SiteKey) -> int:
        """The offset of a site's elements in the vector."""
        return next(part.offset for part in self.layouts().parts if part.site == site)

    def layouts(self) -> Layouts:
        """The places of everything in the vector."""
        parts = []
        offset = sum(varying_axes(planned.plan) for planned in self._planned)
        sizes_offset = 0
        for planned in self._planned:
            plan = planned.plan
            parts.append(Part(planned.site, planned.name, plan, offset, sizes_offset))
            offset += plan.size
            sizes_offset += varying_axes(plan)
        return Layouts(tuple(parts), tuple(self.missing))


def when(condition: Any, do: Callable[[], Any]) -> None:
    """Run `do` in the graph only if `condition` holds.

    It stays a function of its own: inlined, each of its operations would cost something even when
    it is not run.
    """
    aside = tf.function(do, autograph=False, experimental_attributes={"_noinline": True})
    tf.cond(condition, lambda: (aside(), tf.constant(0))[1], lambda: tf.constant(0))


def _as_is(tensor: Any) -> Any:
    return tensor


def _flattened(tensor: Any) -> Any:
    """Values [N, …] as [N, values]."""
    width = -1 if None in tensor.shape[1:] else math.prod(tensor.shape[1:])
    return tf.reshape(tensor, [tf.shape(tensor)[0], width])


def _touched(received: Callable[[Any], Any], gradient: Any) -> Any:
    return tf.reshape(received(gradient).values, [-1])


def squares_of(site: SiteKey) -> str:
    """The name under which the batch holds the sum of squares of a sparse gradient."""
    return f"squares:{site.path}"


def _squares(received: Callable[[Any], Any], gradient: Any) -> Any:
    """The sum of squares of a sparse gradient, with the parts of a repeated row added up."""
    sparse = received(gradient)
    rows, places = tf.unique(sparse.indices)
    sums = tf.math.unsorted_segment_sum(sparse.values, places, tf.size(rows))
    return tf.reduce_sum(tf.square(tf.cast(sums, tf.float32)))
