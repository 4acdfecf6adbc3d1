"""What a training step on JAX calls while it is traced: layers, loss functions, derivatives.

Only a copy of the step is traced under it. There each layer's output gets zeros added, whose
gradients are the output's.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax.extend.core import get_opaque_trace_state
from keras import tree
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.trainers.compile_utils import CompileLoss

from nntrace.adapter.flow import FlowGraph
from nntrace_keras.jax.dataflow import flow_graph
from nntrace_keras.jax.differentiation import Derivative, Differentiation
from nntrace_keras.jax.operations import MARK
from nntrace_keras.jax.scopes import Scopes
from nntrace_keras.patching import after, wrap
from nntrace_keras.program.describe import is_batch_norm, is_dropout, is_training
from nntrace_keras.program.losses import head_of_layer
from nntrace_keras.program.sources import Source, caller
from nntrace_keras.program.tensors import first_tensor, named_tensors
from nntrace_keras.tape.loss_paths import name_outputs
from nntrace_keras.tape.under_tape import LayerCall, LossCall, Mode, RootCall

_MOST = 4  # functions differentiated by one step


class CannotComputeError(Exception):
    """A step is written in a way that shows nothing of it."""


@dataclass(slots=True)
class Seen:
    """What one function called while it was differentiated, in order.

    Attributes:
        modes: of dropout and batch norm layers, by the ids of the layers.
        output_gradients: of the layers.
        gradients: by the function's arguments, as JAX gives them.
        loss: what was differentiated.
        marked: what was called in the name scopes of those numbers: layers with their paths, and
            the sources of loss functions.
        stepped: the trainable variables that the optimizer gave back.
        by: what it is differentiated by, as the function's caller and as itself sees it.
        variables: whose values these are; None for what is none's.
        scale: by what an optimizer has its loss multiplied; None if it does not.
        enclosing: the numbers of the name scopes in which layers were called.
        flow: which layer feeds which; None if it is too much to be read.
    """

    layers: list[LayerCall] = field(default_factory=list)
    roots: list[RootCall] = field(default_factory=list)
    modes: dict[int, Mode] = field(default_factory=dict)
    losses: list[LossCall] = field(default_factory=list)
    output_gradients: Sequence[Any] = ()
    gradients: Sequence[Any] = ()
    loss: Any = None
    marked: list[tuple[Any, str] | Source] = field(default_factory=list)
    stepped: Sequence[Any] = ()
    by: list[tuple[Any, Any]] = field(default_factory=list)
    variables: Sequence[Any] = ()
    scale: Any = None
    enclosing: set[int] = field(default_factory=set)
    flow: FlowGraph | None = None

    def leaves(self) -> dict[int, tuple[Any, str]]:
        """The layers that call no others, with their paths, by the numbers of their scopes."""
        return {
            number: what
            for number, what in enumerate(self.marked)
            if not isinstance(what, Source) and number not in self.enclosing
        }


class JaxWatch:
    """Sees what a step differentiates, and what is called in it.

    Args:
        path_of: the recorded path of a layer, given the one that encloses it.
        loss_caller: who asked for the loss function that is being called.
        differentiation: tells of what is differentiated.

    Attributes:
        all: of each function that a step differentiated what was seen, in order.
    """

    def __init__(
        self,
        path_of: Callable[[Any, Any], str],
        loss_caller: Callable[[], Source],
        differentiation: Differentiation,
    ) -> None:
        self._path_of = path_of
        self._loss_caller = loss_caller
        self._differentiation = differentiation
        self.all: list[Seen] = []
        self._step: Any = None  # JAX' state of tracing in the step itself
        self._within: Any = None  # and in the function that is differentiated
        self._now = Seen()
        self._offsets: Sequence[Any] | None = None
        self._stack: list[Any] = []
        self._last: Any = None
        self._in_loss = False

    @property
    def seen(self) -> Seen | None:
        """What was seen of the first of them."""
        return self.all[0] if self.all else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While a step is traced: patches are on for as long as that takes."""
        self.all, self._step = [], get_opaque_trace_state()
        scopes = Scopes()
        undos = [
            wrap(keras.layers.Layer, "__call__", self._around_layer),
            wrap(keras.losses.Loss, "__call__", self._around_loss),
            after(CompileLoss, "__call__", self._name_outputs),
            after(keras.optimizers.Optimizer, "stateless_apply", self._applied),
            after(keras.optimizers.LossScaleOptimizer, "stateless_apply", self._applied),
            scopes.install(lambda observe: observe),  # this is no computation of the program's
        ]
        try:
            with self._differentiation.watched_by(self._differentiate):
                yield
        finally:
            for undo in reversed(undos):
                undo()
            for seen in self.all:
                seen.variables = [scopes.variable(*values) for values in seen.by]

    @contextmanager
    def _collecting(self, offsets: Sequence[Any] | None) -> Iterator[Seen]:
        self._within, self._offsets = get_opaque_trace_state(), offsets
        self._now, self._last = Seen(), None
        try:
            yield self._now
        finally:
            self._within = None

    def _is_here(self) -> bool:
        """Not so in loops and functions that JAX traces by themselves: their values stay there."""
        return (
            self._within is not None
            and self._within == get_opaque_trace_state()
            and not in_symbolic_scope()
        )

    def _differentiate(
        self, asked: Derivative, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        is_in_step = self._within is None and self._step == get_opaque_trace_state()
        if len(self.all) == _MOST or not is_in_step:
            return asked.plain(*args, **kwargs)

        def observed(offsets: Any, *args: Any) -> Any:
            with self._collecting(offsets) as seen:
                seen.by = list(zip(outer, asked.leaves(args), strict=True))
                result = asked.function(*args, **kwargs)
            losses = [(c.target, c.prediction, c.value) for c in seen.losses]
            outputs = [call.output for call in seen.layers]
            entered = [([t for _, t in root.inputs], root.output) for root in seen.roots]
            loss, aux = result if asked.has_aux else (result, None)
            return loss, (aux, outputs, losses, entered)

        outer = asked.leaves(args)

        def plain() -> Any:
            loss, (_, outputs, *_) = observed(None, *args)
            return loss, outputs

        traced, (_, shapes) = jax.make_jaxpr(plain, return_shape=True)()
        flow = flow_graph(traced, outer, self._now.leaves())
        offsets = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]
        numbers = (0, *(number + 1 for number in asked.numbers(args)))
        gradient = asked.make(observed, numbers, True, **asked.options)
        (loss, (aux, outputs, losses, entered)), found = gradient(offsets, *args)
        seen = self._now
        self.all.append(seen)
        seen.output_gradients, *of_arguments = found
        seen.gradients, seen.loss, seen.flow = of_arguments, loss, flow
        for call, output in zip(seen.layers, outputs, strict=True):
            call.output = output
        for loss_call, tensors in zip(seen.losses, losses, strict=True):
            loss_call.target, loss_call.prediction, loss_call.value = tensors
        for root, (tensors, output) in zip(seen.roots, entered, strict=True):
            root.output = output
            root.inputs = [(n, t) for (n, _), t in zip(root.inputs, tensors, strict=True)]
        gradients = of_arguments[0] if isinstance(asked.argnums, int) else tuple(of_arguments)
        return asked.result((loss, aux) if asked.has_aux else loss, gradients)

    def _around_layer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._is_here():
                return original(layer, *args, **kwargs)
            enclosing, within = self._stack[-1] if self._stack else (None, -1)
            path = self._path_of(layer, enclosing)
            self._now.enclosing.add(within)
            self._stack.append((layer, len(self._now.marked)))
            try:
                with self._marked((layer, path)):
                    outputs = original(layer, *args, **kwargs)
            finally:
                self._stack.pop()
            if is_dropout(layer) or is_batch_norm(layer):
                self._now.modes[id(layer)] = Mode(is_dropout(layer), is_training(layer, kwargs))
            outputs = self._with_offset(layer, path, outputs)
            if not self._stack:
                inputs, said = named_tensors(args, kwargs), kwargs.get("training")
                root = RootCall(layer, inputs, first_tensor(outputs), said, caller())
                self._now.roots.append(root)
            return outputs

        return __call__

    def _marked(self, what: tuple[Any, str] | Source) -> Any:
        """A name scope by which the operations of a call are known in the traced step."""
        self._now.marked.append(what)
        return jax.named_scope(f"{MARK}{len(self._now.marked) - 1}")

    def _with_offset(self, layer: Any, path: str, outputs: Any) -> Any:
        """The outputs with zeros added to the first, if this is the layer's first call."""
        leaves = tree.flatten(outputs)
        place = next((n for n, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)), None)
        if place is None:
            return outputs
        tensor = leaves[place]
        is_known = tensor is self._last or any(c.layer is layer for c in self._now.layers)
        if is_known or not tensor.ndim or not jnp.issubdtype(tensor.dtype, jnp.floating):
            return outputs
        if self._offsets is not None:
            mask = get_keras_mask(tensor)
            tensor = tensor + self._offsets[len(self._now.layers)]
            if mask is not None:
                set_keras_mask(tensor, mask)
            leaves[place] = tensor
            outputs = tree.pack_sequence_as(outputs, leaves)
        enclosing = self._stack[-1][0] if self._stack else None
        parent = self._path_of(enclosing, None) if enclosing is not None else ""
        call = LayerCall(layer, path, parent, tensor)
        self._now.layers.append(call)
        self._last = tensor
        return outputs

    def _around_loss(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(loss: Any, y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
            if self._in_loss or isinstance(loss, CompileLoss) or not self._is_here():
                return original(loss, y_true, y_pred, *args, **kwargs)
            self._in_loss = True
            source = self._loss_caller()
            try:
                with self._marked(source):
                    value = original(loss, y_true, y_pred, *args, **kwargs)
            finally:
                self._in_loss = False
            if isinstance(y_true, jax.Array) and isinstance(y_pred, jax.Array):
                made = ((one.layer, one.output) for one in reversed(self._now.layers))
                head = head_of_layer(made, y_pred)
                call = LossCall(loss, y_true, y_pred, value, source, head=head)
                weights = args[0] if args else kwargs.get("sample_weight")
                call.is_weighted = weights is not None
                self._now.losses.append(call)
            return value

        return __call__

    def _applied(
        self,
        result: Any,
        optimizer: Any,
        optimizer_variables: Any,
        grads: Any,
        trainable_variables: Any,
    ) -> None:
        if not self.all or self._step != get_opaque_trace_state():
            return
        given = {id(value) for value in trainable_variables}
        mine = (s for s in self.all if any(id(outer) in given for outer, _ in s.by))
        seen = next(mine, self.all[0])
        seen.stepped = result[0]
        seen.scale = loss_scale(optimizer, optimizer_variables)

    def _name_outputs(self, _: Any, compiled: Any, *args: Any, **kwargs: Any) -> None:
        if self._is_here():
            name_outputs(compiled, self._now.losses)


def loss_scale(optimizer: Any, values: Any) -> Any:
    """By what the loss is multiplied before it is differentiated; None if by nothing.

    Args:
        optimizer: the one that steps.
        values: of its variables.
    """
    scale = getattr(optimizer, "dynamic_scale", None)
    for variable, value in zip(optimizer.variables, values, strict=False):
        if variable is scale:
            return value
    return getattr(optimizer, "loss_scale_factor", None)
