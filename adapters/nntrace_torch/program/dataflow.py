"""Which module's output enters which other module, read from the graph that autograd built.

Every node of that graph has a sequence number, and module calls note the counter's value: a node
belongs to the innermost module during whose call it was made. Only numbers are kept until the
backward pass, nothing that would keep a graph alive.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from nntrace.adapter import described
from nntrace.adapter.flow import FlowGraph, ModuleCall, NewGraphs, Operation
from nntrace.recorder import Recorder
from nntrace_torch.program.containers import tensors_within
from nntrace_torch.program.graphs import operation
from nntrace_torch.program.tensors import memory_of

_LOOKS = 8  # backward passes that are looked at: those of a few steps, and of a GAN's parts
_MAX_NODES = 50_000
# Operations that move or copy elements and change none.
_MOVES = frozenset(
    {
        *("view", "unsafeview", "reshapealias", "transpose", "t", "permute", "squeeze", "alias"),
        *("unsqueeze", "clone", "tocopy", "expand", "unflatten", "viewas"),
    }
)


class DataFlow:
    """Follows the module calls of a sampled step, then reads the graph of its loss.

    Attributes:
        is_open: whether calls are followed in this step.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._graphs = NewGraphs(recorder)
        self._looks = _LOOKS
        self._starts: dict[int, int] = {}
        self._calls: list[ModuleCall] = []
        self._outputs: dict[tuple[Any, ...], str] = {}
        self._detached: dict[str, None] = {}
        self.is_open = False

    def begin(self) -> None:
        """A sampled step begins."""
        self.is_open = self._looks > 0
        self._starts.clear()
        self._calls.clear()
        self._outputs.clear()
        self._detached.clear()

    def enter(self, depth: int) -> None:
        """A module is called, within `depth` others."""
        self._starts[depth] = torch._C._autograd._get_sequence_nr()

    def leave(self, depth: int, module: torch.nn.Module, path: str | None, output: Any) -> None:
        """The module entered at `depth` returns; its call is kept if it called no others.

        What the outermost module returns without a gradient may be an inner one's output, detached:
        something beside the graph uses it, too.
        """
        if depth == 1:
            inner = (self._outputs.get(place) for place in _places(output, has_gradient=False))
            self._detached |= dict.fromkeys(name for name in inner if name is not None)
        start = self._starts.pop(depth, None)
        end = torch._C._autograd._get_sequence_nr()
        if start is None or path is None or end == start:
            return
        if not self._calls or self._calls[-1].start < start:
            description = described(module)
            activation = description.activation(module) if description is not None else ""
            self._calls.append(ModuleCall(start, end, path, activation))
            self._outputs |= dict.fromkeys(_places(output, has_gradient=True), path)

    def read(self, losses: Iterable[torch.Tensor]) -> None:
        """Record the graph that leads to the losses, if it has new edges."""
        self._looks -= 1
        graph = FlowGraph(self._calls)
        made = (loss.grad_fn for loss in losses if loss.grad_fn is not None)
        graph.walk(made, _operation, _inputs, _MAX_NODES)
        for path in self._detached:
            graph.detach(path)
        self._graphs.add(graph)
        if self._looks <= 0:
            self.is_open = False


def _operation(node: Any) -> Operation:
    word = operation(node).lower()
    moves = word in _MOVES or word.endswith("accumulategrad")
    return node, node._sequence_nr(), "" if moves else word


def _inputs(node: Any) -> Iterator[Any]:
    functions: Sequence[tuple[Any, int]] = node.next_functions
    return (function for function, _ in functions if function is not None)


def _places(output: Any, *, has_gradient: bool) -> list[tuple[Any, ...]]:
    """Where the tensors of an output lie, with what makes others at the same place unlikely."""
    return [
        (place, tensor.dtype, tensor.shape)
        for tensor in tensors_within(output)
        if tensor.requires_grad is has_gradient and (place := memory_of(tensor)) is not None
    ]
