"""Gradients that `torch.func` computes by the tensors that a program gives to `functional_call`.

    gradients = grad(loss)(parameters, inputs)
    parameters = {name: parameters[name] - rate * gradients[name] for name in parameters}

Such tensors are parameters of no module, and need not want gradients. For each there is a stand-in,
a leaf on the same memory with the same count of writes, whose path and gradient are known. Inside
of `vmap` these are the tensors of all models of an ensemble together.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._functorch import eager_transforms
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.nn.utils import stateless
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, before, is_captured, is_in_backward, wrap
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.modules import Models

_functorch = torch._C._functorch
_INSIDE = (
    "inside `torch.func.grad` the outputs of modules stand for values that are not there yet: "
    "parameters, gradients and updates are seen"
)

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]


class _Pass(NamedTuple):
    """A gradient that is being computed.

    Attributes:
        tensors: what it is computed by.
        names: by the id of such a tensor, the module that was called with it and its name there.
    """

    tensors: list[torch.Tensor]
    names: dict[int, tuple[nn.Module, str]]


class FunctionalGradients:
    """Sees these gradients, and that others were computed.

    Args:
        recorder: where records go.
        models: the models, which are told of the tensors.
        begins: called with the stand-ins that gradients are about to be computed by, in the order
            of the last ones; with none if another module has others.
        computed: called with the loss, and each stand-in with its gradient.
        is_replaying: returns whether the program's code runs a second time, for a replay.

    Attributes:
        left_out: whether gradients by other tensors were computed.
    """

    def __init__(
        self,
        recorder: Recorder,
        models: Models,
        *,
        begins: Callable[[list[torch.Tensor]], object],
        computed: Callable[[torch.Tensor, Pairs], object],
        is_replaying: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self._models = models
        self._begins = begins
        self._computed = computed
        self._is_replaying = is_replaying
        self._pass: _Pass | None = None
        self._shapes: list[torch.Size] = []  # of all tensors of the last pass by parameters
        self._names: dict[int, tuple[nn.Module, str]] = {}  # of those that were, by their place
        self._stand_ins = WeakIdKeyDictionary()
        self._has_told = False
        self.left_out = False

    def install(self) -> list[Undo]:
        """Watch `torch.func.grad` and `grad_and_value`, which have a function in common."""
        guard = self._recorder.guard
        return [
            wrap(eager_transforms, "grad_and_value_impl", self._watched),
            before(stateless, "_functional_call", guard(self._module_called)),
        ]

    def _watched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        opens = self._recorder.guard(self._open)
        closes = self._recorder.guard(self._close)

        def wrapper(
            func: Callable[..., Any], argnums: Any, has_aux: bool, args: Any, kwargs: Any
        ) -> Any:
            if (
                is_captured()  # first: compilers of old versions trace this condition
                or self._pass is not None
                or is_in_backward()
                or self._is_replaying()
                or _is_within_another()
            ):
                return original(func, argnums, has_aux, args, kwargs)
            begun = opens(argnums, args)
            try:
                result = original(func, argnums, has_aux, args, kwargs)
            finally:
                self._pass = None
            if begun is not None:
                closes(begun, result[0], result[1][0] if has_aux else result[1])
            return result

        return wrapper

    def _open(self, argnums: int | Sequence[int], args: Sequence[Any]) -> _Pass:
        by = [args[argnums]] if isinstance(argnums, int) else [args[place] for place in argnums]
        tensors = [_whole(leaf) for leaf in tree_leaves(by) if isinstance(leaf, torch.Tensor)]
        self._pass = _Pass(tensors, {})
        return self._pass

    def _module_called(
        self, module: nn.Module, parameters_and_buffers: Any, *args: Any, **kwargs: Any
    ) -> None:
        if self._pass is None or not isinstance(parameters_and_buffers, dict):
            return
        tensors, names = self._pass
        is_first = not names
        by = {id(tensor) for tensor in tensors}
        for name, tensor in parameters_and_buffers.items():
            if isinstance(tensor, torch.Tensor) and id(whole := _whole(tensor)) in by:
                names.setdefault(id(whole), (module, name))
        if is_first and names and self._names:
            goes_on = any(module is known for known, _ in self._names.values())
            with temporarily_clear_interpreter_stack():
                if goes_on and self._shapes == [tensor.shape for tensor in tensors]:
                    self._begins([self._stand_in(tensors[place], place) for place in self._names])
                else:
                    self._begins([])

    def _close(self, done: _Pass, gradients: Any, loss: torch.Tensor) -> None:
        found = [_whole(leaf) for leaf in tree_leaves(gradients) if isinstance(leaf, torch.Tensor)]
        with temporarily_clear_interpreter_stack():
            names, pairs = {}, []
            for place, (tensor, gradient) in enumerate(zip(done.tensors, found, strict=True)):
                name = done.names.get(id(tensor))
                # The gradients of single examples have another shape.
                if name is not None and _fits(tensor, gradient):
                    names[place] = name
            if not names:
                self.left_out = True
                return
            self._names, self._shapes = names, [tensor.shape for tensor in done.tensors]
            pairs = [(self._stand_in(done.tensors[p], p), found[p].detach()) for p in names]
            # The mean over an ensemble: a sum would grow with the number of models.
            self._computed(_whole(loss).detach().mean(), pairs)
        if not self._has_told:
            self._has_told = True
            payload = {"what": "activation", "reason": _INSIDE}
            self._recorder.add_event(EventKind.UNSEEN, payload)

    def _stand_in(self, tensor: torch.Tensor, place: int) -> torch.Tensor:
        """What stands for a tensor in the place of a module's parameter."""
        module, name = self._names[place]
        if tensor.requires_grad and tensor.is_leaf:
            stand_in = tensor
        else:
            stand_in = self._stand_ins.get(tensor)
            if stand_in is None:
                stand_in = self._stand_ins[tensor] = tensor.detach().requires_grad_()
        if self._models.parameter(stand_in) is None:
            self._models.give(module, name, stand_in)
        return stand_in


def _is_within_another() -> bool:
    """Whether a transform other than `vmap` is under way: a gradient there is part of a function.

    `vmap` alone computes that of several models or examples.
    """
    kind = _functorch.TransformType.Vmap
    return any(level.key() != kind for level in _functorch.get_interpreter_stack() or ())


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """The program's tensor for which one inside of a transform stands."""
    while _functorch.is_functorch_wrapped_tensor(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


def _fits(tensor: torch.Tensor, gradient: torch.Tensor) -> bool:
    return (
        can_sample(tensor)
        and can_sample(gradient)
        and tensor.shape == gradient.shape
        and tensor.is_floating_point()
        and not tensor.is_inference()
    )
