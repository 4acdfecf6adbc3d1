"""A step of a graph computed a second time, after it has run: what is sampled of it.

The training's own graph is left without it, so that a step that is not sampled does nothing for
it, and a sampled one rounds as any other. The second computation starts from the same inputs,
from copies of the variables as they were before, and from the same random numbers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.gen_resource_variable_ops import assign_variable_op, read_variable_op
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from nntrace_keras import gather
from nntrace_keras.capture import Capture, Layouts, Values, when
from nntrace_keras.copies import Copies, Needed, captured, is_drawn, needed, takes_from_outside
from nntrace_keras.elements import flat_plan
from nntrace_keras.observation import Stepped
from nntrace_keras.origins import Range, as_ranges, ranges

# What TensorFlow says of operations that do not stand in a graph as others do.
_UNKNOWN_TO_US = (tf.errors.OpError, LookupError, TypeError, ValueError)
_MOST_OPERATIONS = 40_000  # some ten seconds of building
_MOST_LOOKED_AT = 10_000
_MOST_HELD = 1 << 28  # bytes of weights, for the search behind a step that is not sampled


class Results(NamedTuple):
    """Of a second computation.

    Attributes:
        vector: the sampled elements.
        changes: those of the updates; None where the variables themselves tell them.
        batch: what is kept of the batch as it is.
    """

    vector: Values
    changes: Values | None
    batch: Any


class CannotComputeError(Exception):
    """A step's inputs cannot be had outside of its graph."""


@dataclass(slots=True, eq=False)
class Second:
    """The second computation of one graph's step; built when a step is first sampled.

    Attributes:
        graph: where the step is.
        begin: how many operations the graph had when the optimizer was called.
        end: how many it had after the call.
        kept: variables with inputs and random numbers of the step, by the names of these.
        keeps_inputs: whether the graph itself keeps them.
        has_run: whether it was ever computed, as it is now.
        with_update: whether the optimizer's call is computed, too: a function that makes several
            steps does not show what one of them changed.
    """

    graph: Any
    capture: Capture
    updates: Sequence[Stepped]
    begin: int
    end: int = 0
    kept: dict[str, Any] = field(default_factory=dict)
    keeps_inputs: bool = False
    with_update: bool = False
    has_run: bool = False
    layouts: Layouts | None = None
    _handles: list[Any] = field(init=False)  # of the variables; a replica's only while in it
    _computation: Any = None
    _given: list[tuple[Any, int]] = field(default_factory=list)
    _shadows: list[Any] = field(default_factory=list)
    _values: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._handles = [_handle(stepped.variable) for stepped in self.updates]

    def keep_drawn(self, wanted: Any, *, inputs: bool) -> None:
        """In the step's graph: keep what could not be had again, where a step is `wanted`.

        Not in graphs that XLA compiles, which fixes the shapes of what is kept. Whoever calls
        such a graph keeps its arguments; random numbers are drawn anew.
        """
        if control_flow_util.GraphOrParentsInXlaContext(self.graph):
            return
        if not inputs and not any(map(is_drawn, self.graph.get_operations())):
            return
        self.keeps_inputs = inputs
        plan = needed(self.graph, *self._wants(), self.begin, is_drawn)
        tensors = [*plan.stopped, *(plan.inputs if inputs else ())]
        self.keep({tensor.name: tensor for tensor in tensors}, wanted)

    def keep(self, tensors: dict[str, Any], wanted: Any | None) -> None:
        """In the graph that is being built: keep tensors, always or where a step is `wanted`.

        `tensors` are what the step's graph knows by these names.
        """
        pairs = []
        for name, tensor in tensors.items():
            if tensor.dtype not in (tf.resource, tf.variant):
                if name not in self.kept:
                    self.kept[name] = _empty(tensor.dtype)
                pairs.append((self.kept[name], tensor))

        def assign() -> Any:
            for kept, tensor in pairs:
                kept.assign(tensor)
            return tf.constant(0)

        if wanted is None:
            assign()
        elif pairs:
            when(wanted, assign)

    def begins(self, *, is_called: bool) -> None:
        """Before the function runs: hold the values of the variables.

        That copies nothing: TensorFlow writes to a new place what someone else still holds.
        `is_called` says whether it is the step's own graph that the host calls.

        Raises:
            CannotComputeError: something that the step reads is not to be had.
        """
        if self._computation is None:
            try:
                self._build(is_called)
            except _UNKNOWN_TO_US as error:
                raise CannotComputeError(f"its graph cannot be copied: {error}") from error
        self._values = [
            read_variable_op(real, dtype=shadow.dtype) if shadow is not None else None
            for real, shadow in zip(self._computation.captured_inputs, self._shadows, strict=True)
        ]

    def run(self, arguments: Sequence[Any] | None, turn: int) -> Results:
        """After the function has run.

        Args:
            arguments: all inputs of the step's graph, where the host has called it itself.
            turn: moves the rows that are read.
        """
        inputs = [tf.constant(turn, tf.int64), *self._inputs(self._given, arguments)]
        captured_inputs = []
        for real, shadow, value in zip(
            self._computation.captured_inputs, self._shadows, self._values, strict=True
        ):
            if shadow is not None:
                assign_variable_op(shadow.handle, value)
            captured_inputs.append(real if shadow is None else shadow.handle)
        self.has_run = True
        try:
            with _as_it_is():
                found = self._computation._call_flat(inputs, captured_inputs)
        except tf.errors.OpError as error:
            raise CannotComputeError(f"it fails the second time: {error.message}") from error
        for shadow in self._shadows:
            if shadow is not None:
                assign_variable_op(shadow.handle, tf.zeros([0], shadow.dtype))
        changes = found["changes"].numpy() if "changes" in found else None
        return Results(found["vector"].numpy(), changes, found.get("batch"))

    def trace_back(
        self, losses: Sequence[Any], arguments: Sequence[Any] | None
    ) -> dict[str, Range]:
        """Of every tensor that the losses and the samples are made of, its range.

        Computed from the last inputs and from the variables as they were before the step that
        was sampled last.

        Raises:
            CannotComputeError: neither is to be had, or not all of them.
        """
        if not self.has_run or not self._values:
            raise CannotComputeError("no earlier values of the variables are held")
        mine = [loss for loss in losses if getattr(loss, "graph", None) is self.graph]
        sampled, handles = self._wants()
        plan = needed(self.graph, [*sampled, *mine], handles, self.begin, self._is_kept)
        constants, given = self._given_to(plan, is_called=arguments is not None)
        made = [tensor for operation in plan.operations for tensor in operation.outputs]
        known = [t for t in (*given, *made) if t.dtype.is_floating]
        if len(known) > _MOST_LOOKED_AT:
            raise CannotComputeError(f"its graph has {len(known)} tensors")

        def compute(*tensors: Any) -> Any:
            values = dict(zip((tensor.name for tensor in given), tensors, strict=True))
            copies = Copies({**constants, **values})
            copies.make(plan.operations)
            return ranges([copies.of(tensor) for tensor in known])

        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in given]
        values = {
            id(real): value
            for real, value in zip(self._computation.captured_inputs, self._values, strict=True)
        }
        try:
            with tf.init_scope():
                function = tf.function(compute, input_signature=specs, autograph=False)
                computation = function.get_concrete_function()
            captured_inputs, shadows = [], []
            for real in computation.captured_inputs:
                shadow = _shadow(real)
                if shadow is not None and values.get(id(real)) is None:
                    raise CannotComputeError("a variable that it reads was not kept")
                if shadow is not None:
                    assign_variable_op(shadow.handle, values[id(real)])
                captured_inputs.append(real if shadow is None else shadow.handle)
                shadows.append(shadow)
            places = {tensor.name: place for place, tensor in enumerate(self.graph.inputs)}
            inputs = self._inputs([(t.name, places.get(t.name, -1)) for t in given], arguments)
            with _as_it_is():
                numbers = computation._call_flat(inputs, captured_inputs).numpy()
        except _UNKNOWN_TO_US as error:
            raise CannotComputeError(f"its graph cannot be copied: {error}") from error
        return as_ranges(known, numbers)

    def _inputs(
        self, given: Sequence[tuple[str, int]], arguments: Sequence[Any] | None
    ) -> list[Any]:
        inputs = []
        for name, place in given:
            if arguments is not None and place >= 0:
                inputs.append(arguments[place])
            elif name in self.kept:
                inputs.append(self.kept[name].read_value())
            else:
                raise CannotComputeError(f"{name} is only known inside of a function")
        return inputs

    def add_update(self) -> None:
        """From now on compute the optimizer's call, too."""
        self.with_update, self._computation, self.has_run = True, None, False
        self._values = []

    def _is_kept(self, operation: Any) -> bool:
        return any(output.name in self.kept for output in operation.outputs)

    def _wants(self) -> tuple[list[Any], list[Any]]:
        """The tensors of the graph that are sampled, and its placeholders of the variables."""
        real = {id(_real(handle)) for handle in self._handles} - {id(None)}
        handles = [i for i in self.graph.inputs if i.dtype == tf.resource and id(_real(i)) in real]
        return self.capture.symbolic_tensors(), handles

    def forget(self) -> None:
        """The variables' values are those of an earlier step now; large ones are held no longer."""
        size = sum(v.shape.num_elements() * v.dtype.size for v in self._values if v is not None)
        self._values = self._values if size <= _MOST_HELD else []

    def _build(self, is_called: bool) -> None:
        """Trace the computation."""
        end = self.end if self.with_update else self.begin
        plan = needed(self.graph, *self._wants(), end, self._is_kept)
        if len(plan.operations) > _MOST_OPERATIONS:
            raise CannotComputeError(f"its graph has {len(plan.operations)} operations")
        if outside := next(filter(takes_from_outside, plan.operations), None):
            raise CannotComputeError(f"{outside.name} cannot be run a second time")
        is_early = {operation.name for operation in self.graph.get_operations()[: self.begin]}
        early = [operation for operation in plan.operations if operation.name in is_early]
        late = [operation for operation in plan.operations if operation.name not in is_early]
        places = {tensor.name: place for place, tensor in enumerate(self.graph.inputs)}
        constants, given = self._given_to(plan, is_called)

        def compute(turn: Any, *tensors: Any) -> Any:
            values = dict(zip((tensor.name for tensor in given), tensors, strict=True))
            copies = Copies({**constants, **values})
            copies.make(early)
            found = {"vector": self.capture.pack(copies.of, turn)}
            if self.capture.keepsakes.size:
                found["batch"] = self.capture.keepsakes.pack(copies.of)
            if self.with_update:
                copies.make(late)
                after = elements(self.updates)
                before = self.capture.place_of(self.updates[0].param)
                found["changes"] = after - found["vector"][before : before + after.shape[0]]
            return found

        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in given]
        specs.insert(0, tf.TensorSpec((), tf.int64))
        with tf.init_scope():
            function = tf.function(compute, input_signature=specs, autograph=False)
            self._computation = function.get_concrete_function()
        self._given = [(tensor.name, places.get(tensor.name, -1)) for tensor in given]
        self._shadows = [_shadow(real) for real in self._computation.captured_inputs]
        self.layouts = self.capture.layouts()

    def _given_to(self, plan: Needed, is_called: bool) -> tuple[dict[str, Any], list[Any]]:
        """What stands for the placeholders of a plan, and those that get a value with the call."""
        places = {tensor.name for tensor in self.graph.inputs}
        constants: dict[str, Any] = {}
        given: list[Any] = []
        for tensor in (*plan.inputs, *plan.stopped):
            real = _real(tensor) if tensor.op.type == "Placeholder" else None
            if real is not None:
                constants[tensor.name] = real
            elif tensor.name in self.kept or (is_called and tensor.name in places):
                given.append(tensor)
            else:
                raise CannotComputeError(f"{tensor.name} is only known inside of a function")
        return constants, given


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Functions that are first called inside run unoptimised: they are called so rarely that
    optimising takes longer than all that it could save.
    """
    options = context.context().function_call_options
    config = tf.compat.v1.ConfigProto.FromString(options.config_proto_serialized)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    context.context().function_call_options = context.FunctionCallOptions(config_proto=config)
    try:
        yield
    finally:
        context.context().function_call_options = options


def elements(updates: Sequence[Stepped]) -> Any:
    """The sampled elements of all variables, as they are now."""
    parts = [gather.flat(flat_plan(s.shape), s.variable) for s in updates]
    return tf.concat(parts, 0) if parts else tf.zeros([0])


def _handle(value: Any) -> Any:
    """The handle of a variable, whether Keras' own or TensorFlow's."""
    return getattr(value, "_value", value).handle


def _real(tensor: Any) -> Any:
    """What a captured placeholder stands for outside of graphs; None where it is an argument."""
    try:
        return captured(tensor)
    except LookupError:
        return None


def _shadow(real: Any) -> Any:
    """A variable to stand in for one that is captured; None for what is no variable."""
    facts = getattr(real, "_handle_data", None)
    if real.dtype != tf.resource or facts is None or not facts.is_set:
        return None
    return _empty(tf.as_dtype(facts.shape_and_type[0].dtype))


def _empty(dtype: Any) -> Any:
    with tf.init_scope():
        return ResourceVariable(
            np.zeros([0], dtype.as_numpy_dtype),
            dtype=dtype,
            shape=tf.TensorShape(None),
            trainable=False,
            name="nntrace_kept",
        )
