"""Computes a step of a graph a second time, after it has run, to sample it.

The training's own graph holds no sampling, so that an unsampled step pays nothing for it and a
sampled one rounds as any other. The second computation starts from the same inputs, from copies
of the variables as they were before, and from the same random numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.ops.gen_resource_variable_ops import read_variable_op
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from nntrace_keras.graphs.copies import (
    Copies,
    Needed,
    captured,
    is_drawn,
    needed,
    takes_from_outside,
    users_of_resources,
)
from nntrace_keras.graphs.held import Held, spec_of
from nntrace_keras.graphs.kept import Kept, Moment
from nntrace_keras.graphs.on_graph import is_compiled
from nntrace_keras.samples import gather
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.elements import flat_plan
from nntrace_keras.samples.layouts import Layouts, Values
from nntrace_keras.samples.observation import Stepped

# What TensorFlow raises for operations that cannot be copied like others.
UNKNOWN_TO_US = (tf.errors.OpError, LookupError, TypeError, ValueError)
_MOST_OPERATIONS = 40_000  # some ten seconds to build


class Results(NamedTuple):
    """The results of a second computation.

    Attributes:
        vector: the sampled elements.
        has_updates: whether the updates' elements come last; else they are read from the variables.
        batch: the parts of the batch that are kept whole.
    """

    vector: Values
    has_updates: bool
    batch: Any


class Read(NamedTuple):
    """A variable of which only the value is needed, and the graph's operations that read it."""

    handle: Any
    operations: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


class CannotComputeError(Exception):
    """A step's inputs cannot be had outside of its graph."""


@dataclass(slots=True, eq=False)
class Second:
    """The second computation of one graph's step; built when a step is first sampled.

    Attributes:
        graph: holds the step.
        begin: how many operations the graph had when the optimizer was called.
        end: how many it had after the call.
        kept: inputs and random numbers of the step.
        keeps_inputs: whether the graph itself keeps the inputs.
        has_run: whether the computation, in its present form, has run.
        held: the computation and the variables' values, once it is built.
        with_update: whether the optimizer's call is computed, too: after a function that makes
            several steps, the variables do not show what one of them changed.
    """

    graph: Any
    capture: Capture
    updates: Sequence[Stepped]
    begin: int
    end: int = 0
    kept: Kept = field(default_factory=Kept)
    keeps_inputs: bool = False
    with_update: bool = False
    has_run: bool = False
    layouts: Layouts | None = None
    _handles: list[Any] = field(init=False)  # of the variables; a replica's only while in it
    held: Held | None = None
    _given: list[Any] = field(default_factory=list)
    _live: list[Any] = field(default_factory=list)
    _places: dict[str, int] | None = None

    def __post_init__(self) -> None:
        self._handles = [_handle(stepped.variable) for stepped in self.updates]

    def keep_drawn(self, wanted: Any, is_whole: Callable[[], Any], *, inputs: bool) -> None:
        """Keep, in the step's graph, what could not be had again. That copies nothing.

        In a function that others call, which may make many steps in one call of theirs, inputs are
        kept if the step is `wanted`, and those of the last step besides. Nothing is kept in graphs
        that XLA compiles, which fixes the shapes of what is kept: whoever calls such a graph keeps
        its arguments, and random numbers are drawn anew.
        """
        if is_compiled(self.graph):
            return
        if not inputs and not any(map(is_drawn, self.graph.get_operations())):
            return
        self.keeps_inputs = inputs
        plan = needed(self.graph, *self._wants(), self.begin, is_drawn)
        tensors = [*plan.stopped, *(plan.inputs if inputs else ())]
        named = {tensor.name: tensor for tensor in tensors}
        self.kept.keep(named, wanted if inputs else None, is_whole(), last=inputs)
        self.kept.every = self.kept.every or inputs

    def begins(self, *, is_called: bool) -> None:
        """Hold the values of the variables; called before the function runs.

        `is_called` says whether the host calls the step's own graph.

        Raises:
            CannotComputeError: something that the step reads is not available.
        """
        if self.held is None:
            try:
                self.held = self._build(is_called)
            except UNKNOWN_TO_US as error:
                raise CannotComputeError(f"its graph cannot be copied: {error}") from error
        self.held.hold()

    def run(self, arguments: Sequence[Any] | None, turn: int) -> Results:
        """Compute the step again; called after the function has run.

        Args:
            arguments: all inputs of the step's graph if the host called that graph itself, else
                None.
            turn: shifts the rows that are sampled.

        Raises:
            CannotComputeError: an input was not kept, or an operation fails.
        """
        assert self.held is not None
        inputs = [tf.constant(turn, tf.int64), *self.inputs(self._given, arguments)]
        self.has_run = True
        try:
            found = self.held.call(inputs, self._live)
        except tf.errors.OpError as error:
            raise CannotComputeError(f"it fails the second time: {error.message}") from error
        has_updates = self.with_update or bool(self._live)
        return Results(found["vector"].numpy(), has_updates, found.get("batch"))

    def inputs(
        self,
        given: Sequence[Any],
        arguments: Sequence[Any] | None,
        of: Moment = Moment.SAMPLED,
        followed: int = 0,
    ) -> list[Any]:
        """The values that the tensors found by `given_to` had at a step.

        `followed` later steps of the graph have run since.

        Raises:
            CannotComputeError: a value was not kept.
        """
        kept = self.kept.at(of, followed)
        if self._places is None:
            self._places = {tensor.name: n for n, tensor in enumerate(self.graph.inputs)}
        inputs = []
        for tensor in given:
            if arguments is not None and tensor.name in self._places:
                inputs.append(arguments[self._places[tensor.name]])
            elif tensor.name in kept:
                inputs.append(kept[tensor.name])
            else:
                raise CannotComputeError(f"{tensor.name} is only known inside of a function")
        return inputs

    def add_update(self) -> None:
        """Compute the optimizer's call, too, from now on."""
        self.with_update, self.held, self.has_run = True, None, False

    def _is_kept(self, operation: Any) -> bool:
        return any(output.name in self.kept for output in operation.outputs)

    def _wants(self) -> tuple[list[Any], list[Any]]:
        """The tensors that are sampled, and the graph's placeholders of the variables."""
        real = {id(_real(handle)) for handle in self._handles} - {id(None)}
        handles = [i for i in self.graph.inputs if i.dtype == tf.resource and id(_real(i)) in real]
        return self.capture.symbolic_tensors(), handles

    def plan(self, more: Sequence[Any], end: int) -> Needed:
        """Collect what computes the samples, `more`, and variables as of operation `end`."""
        sampled, handles = self._wants()
        return needed(self.graph, [*sampled, *more], handles, end, self._is_kept)

    def _build(self, is_called: bool) -> Held:
        """Trace the computation."""
        plan = self.plan((), self.end if self.with_update else self.begin)
        if len(plan.operations) > _MOST_OPERATIONS:
            raise CannotComputeError(f"its graph has {len(plan.operations)} operations")
        if outside := next(filter(takes_from_outside, plan.operations), None):
            raise CannotComputeError(f"{outside.name} cannot be run a second time")
        early_ones = self.graph.get_operations()[: self.begin]
        is_early = {operation.name for operation in early_ones}
        constants, given = self.given_to(plan, is_called)
        reads = self._reads(plan)
        is_read = {name for read in reads for name in read.operations}
        copied = [operation for operation in plan.operations if operation.name not in is_read]
        early = [operation for operation in copied if operation.name in is_early]
        late = [operation for operation in copied if operation.name not in is_early]
        live = [] if self.with_update else [(h, spec_of(h)) for h in self._handles]
        self._live = [handle for handle, spec in live] if all(s for _, s in live) else []

        def compute(turn: Any, *arguments: Any) -> Any:
            rest = iter(arguments)
            values = {tensor.name: next(rest) for tensor in given}
            held = {id(read.handle): next(rest) for read in reads}
            for read in reads:
                values.update(dict.fromkeys(read.outputs, held[id(read.handle)]))
            copies = Copies({**constants, **values}, held)
            copies.make(early)
            found = {"vector": self.capture.pack(copies.of, turn)}
            if self.capture.keepsakes.size:
                found["batch"] = self.capture.keepsakes.pack(copies.of)
            after = None
            if self.with_update:
                copies.make(late)
                after = elements(self.updates)
            elif self._live:
                variables = [_read(h, s) for h, (_, s) in zip(rest, live, strict=True)]
                after = elements(self.updates, variables)
            if after is not None:
                before = self.capture.place_of(self.updates[0].param)
                changes = after - found["vector"][before : before + after.shape[0]]
                found["vector"] = tf.concat([found["vector"], changes], 0)
            return found

        specs = [tf.TensorSpec((), tf.int64)]
        specs += [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in given]
        specs += [spec_of(read.handle) for read in reads]
        specs += [tf.TensorSpec((), tf.resource) for _ in self._live]
        with tf.init_scope():
            function = tf.function(compute, input_signature=specs, autograph=False)
            computation = function.get_concrete_function()
        self._given = given
        self.layouts = self.capture.layouts()
        return Held(computation, [read.handle for read in reads])

    def _reads(self, plan: Needed) -> list[Read]:
        """The variables that the computation reads but never writes, or that are only sampled."""
        found: dict[int, Read] = {}
        used = set()
        users = users_of_resources(plan.operations)
        for placeholder in self.graph.inputs:
            real = _real(placeholder) if placeholder.dtype == tf.resource else None
            if real is None or spec_of(real) is None:
                continue
            readers = users.get(placeholder.name, [])
            if any(reader.type != "ReadVariableOp" for reader in readers):
                used.add(id(real))
            elif readers:
                outputs = tuple(reader.outputs[0].name for reader in readers)
                found[id(real)] = Read(real, tuple(r.name for r in readers), outputs)
        for _, variable in self.capture.planned():
            value = getattr(variable, "_value", variable)
            if isinstance(value, BaseResourceVariable) and id(value.handle) not in used:
                found.setdefault(id(value.handle), Read(value.handle))
        return list(found.values())

    def given_to(self, plan: Needed, is_called: bool) -> tuple[dict[str, Any], list[Any]]:
        """Split a plan's placeholders: captured tensors by name, and values passed per call."""
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


def elements(updates: Sequence[Stepped], values: Sequence[Any] | None = None) -> Any:
    """The sampled elements of all variables: of `values`, by default of what they hold now."""
    values = [stepped.variable for stepped in updates] if values is None else values
    parts = [gather.flat(flat_plan(s.shape), v) for s, v in zip(updates, values, strict=True)]
    return tf.concat(parts, 0) if parts else tf.zeros([0])


def _read(handle: Any, spec: Any) -> Any:
    """Read a variable whose handle is an argument."""
    value = read_variable_op(handle, spec.dtype)
    value.set_shape(spec.shape)
    return value


def _handle(value: Any) -> Any:
    """The handle of a variable, Keras' or TensorFlow's."""
    return getattr(value, "_value", value).handle


def _real(tensor: Any) -> Any:
    """What a captured placeholder stands for outside of graphs; None for an argument."""
    try:
        return captured(tensor)
    except LookupError:
        return None
