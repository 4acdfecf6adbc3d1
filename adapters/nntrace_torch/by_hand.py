"""Steps of programs that change their parameters themselves: `p.data -= rate * p.grad`.

Only while no optimizer has been built. A step begins when a backward pass is over, or the gradients
of `torch.autograd.grad` or `torch.func.grad` are there. It ends when the program goes on to the
next forward, loss or backward pass and its parameters are no longer what they were: changed, or
replaced by others, as the graph of the next loss shows. If they are what they were, gradients are
being accumulated.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.autograd.graph import GradientEdge
from torch.optim import Optimizer
from torch.overrides import is_tensor_like

from nntrace.recorder import Recorder, is_landmark
from nntrace_torch.functional import FunctionalGradients, Pairs
from nntrace_torch.observers import Observers
from nntrace_torch.optimizer.changes import AwaitedChange
from nntrace_torch.optimizer.optimizers import HandWritten
from nntrace_torch.optimizer.replaced import Leaves, lent
from nntrace_torch.patching import Undo, after, is_captured, is_in_backward, wrap
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.graphs import leaves_of
from nntrace_torch.program.tensors import can_sample

_NODES = 1 << 30  # a weight that is left out would be no weight of the step


class StepsByHand:
    """Sees that parameters change without an optimizer.

    Args:
        parts: the observers, some of which are then told first that training goes on.
        begin: called with what stands for the optimizer when a step begins.
        end: called with the same when the step is over.
        abandon: called when it turns out that there was no step.
    """

    def __init__(
        self,
        recorder: Recorder,
        parts: Observers,
        *,
        begin: Callable[[Optimizer], object],
        end: Callable[[Optimizer], object],
        abandon: Callable[[], object],
    ) -> None:
        self._recorder = recorder
        self._parts = parts
        self._begin = begin
        self._end = end
        self._abandon = abandon
        self._optimizer: HandWritten | None = None
        self._change = AwaitedChange()
        self._leaves = Leaves()  # those that may be replaced
        self._replaces = False  # whether they were, at the last step
        # Whether they are given to each pass, which then tells what took whose place.
        self._are_given = False
        self._passes = 0
        self.functional = FunctionalGradients(
            recorder,
            parts.models,
            begins=self._given_in_place,
            computed=self._functional_computed,
            is_replaying=lambda: parts.replayer.active,
        )
        self._undos: list[Undo] = []

    def install(self) -> list[Undo]:
        """Watch the end of `backward`, `torch.autograd.grad`, and `torch.func.grad`."""
        if self._recorder.experiment is not None or self._recorder.replays is not None:
            return []  # what changes the steps of an optimizer cannot change these
        self._look = self._recorder.guard(self._differentiated)
        self._look_again = self._recorder.guard(self._settle)
        self._recorder.hooks.on_end(self._is_over)
        self._undos.append(after(torch.autograd, "backward", self._backward_ended))
        self._undos.append(wrap(torch.autograd, "grad", self._watched_grad))
        self._undos += self.functional.install()
        return [self._stop]

    def _stop(self) -> None:
        """Take everything off; also from within one of the hooks."""
        while self._undos:
            self._undos.pop()()

    def _backward_ended(self, result: None, tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        if self._undos and not is_in_backward():
            self._look(_tensors_in(tensors))

    def _watched_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)
        begins = self._recorder.guard(self._grad_begins)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not self._undos or is_captured() or is_in_backward():
                return original(*args, **kwargs)
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:
                return original(*args, **kwargs)  # which says what is wrong
            inputs = given["inputs"]
            if not (isinstance(inputs, GradientEdge) or is_tensor_like(inputs)):
                given["inputs"] = tuple(inputs)  # as PyTorch does: there may be only one look at it
            weights = begins(**given)
            found = original(**given)
            if weights:
                self._look(_tensors_in(given["outputs"]), _with_gradients(weights, found))
            return found

        return wrapper

    def _grad_begins(
        self,
        outputs: Any,
        inputs: Any,
        grad_outputs: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        **kwargs: Any,
    ) -> list[torch.Tensor]:
        """The weights that a loss is differentiated by; none for anything else.

        A gradient with a graph of its own is part of a loss yet to come.
        """
        weights = _tensors_in(inputs)
        given = self._given()
        if (
            create_graph
            or grad_outputs is not None
            or kwargs.get("is_grads_batched")
            or self._parts.replayer.active
            or not weights
            or (isinstance(inputs, tuple) and len(inputs) > len(weights))  # a place in the graph
            or not all(w.is_leaf and can_sample(w) and id(w) not in given for w in weights)
            or self._others()
        ):
            return []
        self._parts.backward.differentiates(outputs)
        return weights

    def _given_in_place(self, weights: list[torch.Tensor]) -> None:
        """A functional gradient is about to be computed by these; `weights` is empty if it is that
        of another module.
        """
        if self._change.is_awaited:
            self._settle((), weights)

    def _functional_computed(self, loss: torch.Tensor, gradients: Pairs) -> None:
        if not self._others():
            self._are_given = True
            self._parts.backward.computed(loss)
            if not self._change.is_awaited and self._optimizer is not None:
                self._supersede(self._optimizer, [weight for weight, _ in gradients])
            self._differentiated((), gradients)

    def _differentiated(
        self, tensors: Sequence[torch.Tensor], gradients: Pairs | None = None
    ) -> None:
        if self._parts.replayer.active or self._change.is_awaited or self._others():
            return
        self._passes += 1
        self._parts.calls.differentiated()
        if is_landmark(self._passes):
            self._hold(self._leaves_of(tensors) if gradients is None else [w for w, _ in gradients])
        optimizer = self._optimizer
        if optimizer is None:
            return
        with lent(gradients or ()):
            if self._change.begin(optimizer.by_size(), compares=not self._replaces):
                self._begin(optimizer)

    def _go_on(self, *losses: torch.Tensor) -> None:
        """Training goes on: asked three times in every step.

        Args:
            losses: what was computed by now, where that is known.
        """
        if self._change.is_awaited and not self._are_given:
            self._look_again(losses)

    def _loaded(self) -> None:
        """Weights were loaded: if that is what has changed the parameters, it was no step."""
        if self._change.is_awaited and not self._are_given and self._change.is_written:
            self._give_up()

    def _is_over(self) -> None:
        if self._change.is_awaited and not (self._are_given and self._replaces):
            self._look_again(())

    def _settle(
        self, losses: Sequence[torch.Tensor], given: Sequence[torch.Tensor] | None = None
    ) -> None:
        """End the step if its parameters have changed.

        Args:
            losses: what was computed by now.
            given: the parameters by now, if it is known which is which; none of another model.
        """
        optimizer, change = self._optimizer, self._change
        if optimizer is None or not change.is_awaited or self._parts.replayer.active:
            return
        if self._others():
            self._give_up()
        elif given is not None and self._replace(optimizer, self._leaves.followed_by(given)):
            return
        elif change.has_come():
            change.end()
            self._replaces = False
            self._end(optimizer)
        elif given is not None and not given:
            self._give_up()
        elif any(loss.grad_fn is not None for loss in losses):
            self._look_for_others(optimizer, losses)

    def _give_up(self) -> None:
        self._change.end()
        self._abandon()

    def _look_for_others(self, optimizer: HandWritten, losses: Sequence[torch.Tensor]) -> None:
        """Whether the leaves of these losses have taken the place of those of the last."""
        is_gone = self._change.is_gone
        if not (self._replaces or is_gone or is_landmark(self._passes)):
            return
        leaves = self._leaves_of(losses)
        if not self._replace(optimizer, self._leaves.replaced_by(leaves)) and is_gone:
            self._give_up()

    def _replace(self, optimizer: HandWritten, replaced: Mapping[int, torch.Tensor]) -> bool:
        """End the step if the leaves at these places were replaced: whether there are any."""
        if not replaced:
            return False
        self._change.end()
        self._replaces = True
        self._parts.parameters.replaced(self._leaves, replaced)
        self._supersede(optimizer, [replaced[place] for place in range(len(replaced))])
        self._end(optimizer)
        return True

    def _supersede(self, optimizer: HandWritten, leaves: Sequence[torch.Tensor]) -> None:
        """These are parameters in place of those that the last pass had."""
        known = optimizer.param_groups[0]["params"]
        others = [parameter for parameter in known if parameter not in self._leaves]
        optimizer.hold({id(leaf): leaf for leaf in (*others, *leaves)}.values())
        self._leaves = Leaves(leaves)

    def _others(self) -> bool:
        """Whether the program has an optimizer, and nothing is to be seen here any more."""
        has_any = self._parts.optimizers.has_any()
        if has_any:
            self._stop()
        return has_any

    def _leaves_of(self, tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """What was differentiated: all leaves but those that a model was called with."""
        given = self._given()
        leaves = leaves_of(*tensors, most=_NODES)[::-1]  # those nearest to the input first
        return [leaf for leaf in leaves if id(leaf) not in given and can_sample(leaf)]

    def _given(self) -> set[int]:
        """The ids of the tensors that models were called with in this step."""
        return {id(t) for call in self._parts.calls.kept for t in tensors_in(call.arguments)}

    def _hold(self, leaves: Sequence[torch.Tensor]) -> None:
        """These are parameters, as those that were are."""
        if not leaves:
            return
        if self._optimizer is None:
            self._optimizer = HandWritten()
            self._go_on_first()
        known = self._optimizer.param_groups[0]["params"]
        self._optimizer.hold({id(leaf): leaf for leaf in (*known, *leaves)}.values())
        self._leaves = Leaves(leaves)

    def _go_on_first(self) -> None:
        """Have a step ended before anything of the next is seen."""
        parts, go_on = self._parts, self._go_on
        read, begins, is_called = parts.losses.read, parts.backward.begins, parts.calls.begins
        loading = parts.loading.begins, parts.loading.ended

        def computed(loss: torch.Tensor) -> float:
            go_on(loss)
            return read(loss)

        def begun(losses: Sequence[torch.Tensor], *args: Any, **kwargs: Any) -> None:
            go_on(*losses)
            begins(losses, *args, **kwargs)

        def undo() -> None:
            parts.calls.begins, parts.losses.read, parts.backward.begins = is_called, read, begins
            parts.loading.begins, parts.loading.ended = loading

        parts.calls.begins, parts.losses.read, parts.backward.begins = go_on, computed, begun
        parts.loading.begins, parts.loading.ended = go_on, self._loaded
        self._undos.append(undo)


def _tensors_in(given: Any) -> list[torch.Tensor]:
    several = given if isinstance(given, (tuple, list)) else (given,)
    return [tensor for tensor in several if isinstance(tensor, torch.Tensor)]


def _with_gradients(
    weights: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor | None]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(w, g) for w, g in zip(weights, gradients, strict=False) if g is not None]
