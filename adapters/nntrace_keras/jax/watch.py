"""What a training step on JAX calls while it is traced: layers, loss functions, `value_and_grad`.

Only a copy of the step is traced under it. There each layer's output gets zeros added, whose
gradients are the output's.
"""

import functools
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

from nntrace_keras.jax.operations import MARK
from nntrace_keras.patching import after, wrap
from nntrace_keras.program.losses import head_of_layer
from nntrace_keras.program.sources import Source
from nntrace_keras.tape.loss_paths import name_outputs
from nntrace_keras.tape.under_tape import LayerCall, LossCall


class CannotComputeError(Exception):
    """A step is written in a way that shows nothing of it."""


@dataclass(slots=True)
class Seen:
    """What one function called while it was differentiated, in order.

    Attributes:
        output_gradients: of the layers.
        gradients: by the function's arguments, as JAX gives them.
        loss: what was differentiated.
        marked: what was called in the name scopes of those numbers: layers with their paths, and
            the sources of loss functions.
        stepped: the trainable variables that the optimizer gave back.
    """

    layers: list[LayerCall] = field(default_factory=list)
    losses: list[LossCall] = field(default_factory=list)
    output_gradients: Sequence[Any] = ()
    gradients: Sequence[Any] = ()
    loss: Any = None
    marked: list[tuple[Any, str] | Source] = field(default_factory=list)
    stepped: Sequence[Any] = ()


class JaxWatch:
    """Sees the first `jax.value_and_grad` of a step, and what is called in it.

    Args:
        path_of: the recorded path of a layer, given the one that encloses it.
        loss_caller: who asked for the loss function that is being called.

    Attributes:
        seen: what was seen last.
    """

    def __init__(
        self, path_of: Callable[[Any, Any], str], loss_caller: Callable[[], Source]
    ) -> None:
        self._path_of = path_of
        self._loss_caller = loss_caller
        self.seen: Seen | None = None
        self._step: Any = None  # JAX' state of tracing in the step itself
        self._within: Any = None  # and in the function that is differentiated
        self._now = Seen()
        self._offsets: Sequence[Any] | None = None
        self._stack: list[Any] = []
        self._last: Any = None
        self._in_loss = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While a step is traced: patches are on for as long as that takes."""
        self.seen, self._step = None, get_opaque_trace_state()
        undos = [
            wrap(keras.layers.Layer, "__call__", self._around_layer),
            wrap(keras.losses.Loss, "__call__", self._around_loss),
            after(CompileLoss, "__call__", self._name_outputs),
            wrap(jax, "value_and_grad", self._around_gradient),
            after(keras.optimizers.Optimizer, "stateless_apply", self._applied),
        ]
        try:
            yield
        finally:
            for undo in reversed(undos):
                undo()

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

    def _around_gradient(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def value_and_grad(
            fun: Any, argnums: Any = 0, has_aux: bool = False, **options: Any
        ) -> Any:
            plain = original(fun, argnums, has_aux, **options)

            @functools.wraps(fun)
            def differentiated(*args: Any, **kwargs: Any) -> Any:
                is_in_step = self._within is None and self._step == get_opaque_trace_state()
                if self.seen is not None or not is_in_step:
                    return plain(*args, **kwargs)

                def observed(offsets: Any, *args: Any) -> Any:
                    with self._collecting(offsets) as seen:
                        result = fun(*args, **kwargs)
                    losses = [(c.target, c.prediction, c.value) for c in seen.losses]
                    outputs = [call.output for call in seen.layers]
                    loss, aux = result if has_aux else (result, None)
                    return loss, (aux, outputs, losses)

                shapes = jax.eval_shape(lambda: observed(None, *args)[1][1])
                offsets = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]
                numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
                gradient = original(observed, (0, *(n + 1 for n in numbers)), True, **options)
                (loss, (aux, outputs, losses)), found = gradient(offsets, *args)
                self.seen, (self.seen.output_gradients, *of_arguments) = self._now, found
                self.seen.gradients, self.seen.loss = of_arguments, loss
                for call, output in zip(self.seen.layers, outputs, strict=True):
                    call.output = output
                for loss_call, tensors in zip(self.seen.losses, losses, strict=True):
                    loss_call.target, loss_call.prediction, loss_call.value = tensors
                grads = of_arguments[0] if isinstance(argnums, int) else tuple(of_arguments)
                return ((loss, aux) if has_aux else loss), grads

            return differentiated

        return value_and_grad

    def _around_layer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._is_here():
                return original(layer, *args, **kwargs)
            enclosing = self._stack[-1] if self._stack else None
            path = self._path_of(layer, enclosing)
            self._stack.append(layer)
            try:
                with self._marked((layer, path)):
                    outputs = original(layer, *args, **kwargs)
            finally:
                self._stack.pop()
            return self._with_offset(layer, path, outputs)

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
        enclosing = self._stack[-1] if self._stack else None
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

    def _applied(self, result: Any, *args: Any, **kwargs: Any) -> None:
        if self.seen is not None and self._step == get_opaque_trace_state():
            self.seen.stepped = result[0]

    def _name_outputs(self, _: Any, compiled: Any, *args: Any, **kwargs: Any) -> None:
        if self._is_here():
            name_outputs(compiled, self._now.losses)
