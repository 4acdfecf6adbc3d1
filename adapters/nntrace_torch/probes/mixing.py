"""Does the output of one example depend on another one, or on its place among them? (PRB03)"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from nntrace_torch.probes.dependencies import CLEAN, FOUND, NOTED, UNKNOWN, Answer, Forward, changed
from nntrace_torch.probes.order import placed
from nntrace_torch.probes.sensitivity import depends_on, sensitivity
from nntrace_torch.program.module_tree import modules_of
from nntrace_torch.replay.guard import ReplayRefusedError

_FEWEST = 3  # examples
_PAIRS = 16  # other examples that are tried one by one, and named in the message
_FEW_PAIRS = 4  # the same within a training run, whose time this takes
_MOST_NAMED = 64  # other examples named in the evidence
_BATCHED = 3  # axes of what a sequence layer is given: time, examples, features
_SEQUENCE_FIRST = (nn.RNNBase, nn.MultiheadAttention, nn.Transformer)


def mixing(forward: Forward, *, examples: int | None = None, exact: bool = True) -> Answer:
    """Look for an example whose output depends on others, by exchanging them and by its gradient.

    One example in the middle is kept and all others are exchanged.

    Args:
        forward: the call to replay.
        examples: the size of the first axis, if it is sure to be that of the examples.
        exact: whether to take the gradient, for which the activations of a forward are kept.
    """
    batch = _batch(forward, examples)
    if isinstance(batch, str):
        return Answer(UNKNOWN, batch)
    axis, examples = batch.axis, batch.examples
    kept = examples // 2
    others = [one for one in range(examples) if one != kept]
    by_gradient = _gradients(forward, kept, axis, examples) if exact else {}
    exchanged, refusal = _exchanged(batch, kept, others)
    if exchanged is None and not by_gradient:
        return Answer(UNKNOWN, f"the model takes its examples in the order they have only{refusal}")
    mixed = sorted({*by_gradient, *(exchanged or ())})
    norms = _norms_over_examples(forward.module)
    if not mixed:
        in_rows = partial(_by_example, axis=0, examples=examples)
        if axis == 0 and (answer := placed(forward, in_rows, examples)) is not None:
            return answer
        text = f"the output of an example depends on no other of {examples}"
        return Answer(CLEAN, text + _by_design(norms))
    if all(batch.outputs[place].shape[:2] == (examples, examples) for place in mixed):
        return Answer(
            NOTED, f"an output of {examples} × {examples} compares the examples, by design"
        )
    if any(_has_no_statistics(norm) for norm in norms):
        return Answer(NOTED, "batch norm without running statistics mixes examples, by design")
    if by_gradient:
        return _found_by_gradient(by_gradient, kept, examples)
    near = sorted(others, key=lambda one: abs(one - kept))[: _PAIRS if exact else _FEW_PAIRS]
    which = [one for one in near if _exchanged(batch, kept, others, [one])[0]]
    though = ", though it has no gradient there" if exact else ""
    return Answer(
        FOUND,
        f"the output of example {kept} changes with other examples{though}: "
        f"{', '.join(map(str, which)) or 'with several together'}",
        {"example": kept, "depends_on": which, "examples": examples},
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A call whose tensors have an axis of examples.

    Attributes:
        outputs: all outputs of the call.
        by_example: those with a part for each example, as [examples, …], by their place.
    """

    forward: Forward
    axis: int
    examples: int
    outputs: Sequence[torch.Tensor]
    by_example: Mapping[int, torch.Tensor]

    def changed_with(self, order: list[int], kept: int) -> list[int]:
        """The places of the outputs of example `kept` that change with the order of the others."""
        index = torch.tensor(order, device="cpu")
        after = self.forward.outputs(
            lambda _, t: (
                t.index_select(self.axis, index.to(t.device))
                if t.dim() > self.axis and t.shape[self.axis] == self.examples
                else t
            )
        )
        found = []
        for place, output in self.by_example.items():
            other = _by_example(after[place], self.axis, self.examples)
            if other is None or changed(output[kept], other[kept]).any():
                found.append(place)
        return found


def _batch(forward: Forward, examples: int | None) -> _Batch | str:
    """The call's axis of examples and what it returns for each, or why there are none."""
    if forward.is_packed:
        return "a packed sequence has no axis of examples"
    data = forward.data()
    axis = int(examples is None and _is_time_first(forward))
    sized = [tensor for _, tensor in data if tensor.dim() > axis]
    if not sized:
        return "the model is given no tensor with an axis of examples"
    examples = examples or int(_largest(sized).shape[axis])
    if examples < _FEWEST:
        return f"a batch of {examples} is too small to exchange others than one"
    if reason := _no_examples(data, axis, examples):
        return reason
    outputs = forward.outputs()
    rows = {place: _by_example(out, axis, examples) for place, out in enumerate(outputs)}
    by_example = {place: out for place, out in rows.items() if out is not None}
    if not by_example:
        return "no output has a part for each example"
    again = forward.outputs()
    if any(changed(a, b).any() for a, b in zip(outputs, again, strict=True)):
        return "the output differs by itself from call to call"
    return _Batch(forward, axis, examples, outputs, by_example)


def _exchanged(
    batch: _Batch, kept: int, others: list[int], moved: list[int] | None = None
) -> tuple[set[int] | None, str]:
    """The outputs that changed in any order, or None if the model refused all orders.

    A batch that must be sorted by the lengths of its sequences refuses most orders.

    Returns:
        The places of the outputs, or None; and the last refusal, empty if there was none.
    """
    found: set[int] | None = None
    refusal = ""
    for order in _orders(kept, others, moved):
        try:
            found = {*(found or ()), *batch.changed_with(order, kept)}
        except Exception as error:  # the model's own
            refusal = f": {str(error).strip().partition(chr(10))[0] or type(error).__name__}"
    return found, refusal


def _orders(kept: int, others: list[int], moved: list[int] | None = None) -> list[list[int]]:
    """Orders in which the `moved` examples are replaced by the next, the first, or the last one.

    Several orders, because a sum or a rank can stay the same in one of them.
    """
    following = dict(zip(others, [*others[1:], others[0]], strict=True))
    orders = []
    for stand_in in (None, others[0], others[-1]):
        order = list(range(len(others) + 1))
        for one in others if moved is None else moved:
            order[one] = following[one] if stand_in is None else stand_in
        orders.append(order)
    if moved is None:  # an order that keeps a sorted batch sorted
        ends = [others[0]] * kept, [others[-1]] * (len(others) - kept)
        orders.append([*ends[0], kept, *ends[1]])
    return orders


def _gradients(forward: Forward, kept: int, axis: int, examples: int) -> dict[int, torch.Tensor]:
    """Norms of the gradients of the outputs that depend on other examples, by output."""
    try:
        found = sensitivity(
            forward, kept, axis, examples, lambda out: _by_example(out, axis, examples)
        )
    except (Exception, ReplayRefusedError):  # no backward pass: exchanging examples must do
        return {}
    return {place: norms for place, norms in found.items() if depends_on(norms, kept)}


def _found_by_gradient(found: dict[int, torch.Tensor], kept: int, examples: int) -> Answer:
    norms = torch.stack(list(found.values())).amax(0)
    which = depends_on(norms, kept)
    strongest = max(which, key=lambda one: float(norms[one]))
    own, theirs = float(norms[kept]), float(norms[strongest])
    shown = ", ".join(map(str, which[:_PAIRS])) + (", …" if len(which) > _PAIRS else "")
    size = f"the largest is {theirs / own:.2g} times its own" if own > 0 else "and none to its own"
    return Answer(
        FOUND,
        f"the output of example {kept} has a gradient with respect to {len(which)} other examples "
        f"({shown}); {size}",
        {
            "example": kept,
            "depends_on": which[:_MOST_NAMED],
            "examples": examples,
            "gradient_of_own": own,
            "gradient_of_other": theirs,
        },
    )


def _by_design(norms: list[nn.Module]) -> str:
    if not norms:
        return ""
    layers = "one layer" if len(norms) == 1 else f"{len(norms)} layers"
    return f"; batch norm ({layers}) does in training, by design"


def _no_examples(data: list[tuple[int, torch.Tensor]], axis: int, examples: int) -> str | None:
    """A sentence on why the rows may not be examples; None if nothing speaks against it."""
    for _, tensor in data:
        if tensor.layout is not torch.strided:
            return "the model is given a sparse matrix: its rows may be nodes of one graph"
        shape = tensor.shape
        if tensor.dim() == 2 and shape[0] == shape[1] == examples and len(data) > 1:
            return "the model is given a square matrix: its rows may be nodes of one graph"
        is_index = not tensor.is_floating_point() and tensor.dtype is not torch.bool
        if is_index and tensor.dim() > axis and shape[axis] != examples and tensor.numel() > 1:
            return "the model is given indices besides the batch: its rows may be nodes of a graph"
    return None


def _by_example(output: torch.Tensor, axis: int, examples: int) -> torch.Tensor | None:
    """The output as [examples, …], or None; rows per (example, time) are grouped by example."""
    if output.dim() > axis and output.shape[axis] == examples:
        return output.movedim(axis, 0)
    if output.dim() and output.shape[0] == examples:  # the end or the mean of each sequence
        return output
    if axis == 0 and output.dim() > 1 and output.shape[0] % examples == 0 and output.shape[0]:
        return output.reshape(examples, -1, *output.shape[1:])
    return None


def sequence_first(module: nn.Module) -> nn.Module | None:
    """The first layer of PyTorch's that takes examples along the second axis, if all of them do."""
    layers = [part for part in modules_of(module) if isinstance(part, _SEQUENCE_FIRST)]
    told = [layer for layer in layers if hasattr(layer, "batch_first")]
    return told[0] if told and not any(layer.batch_first for layer in told) else None


def _is_time_first(forward: Forward) -> bool:
    """Whether the model takes its examples along the second axis, as its sequence layers do.

    One that transposes what it is given, or takes it apart, gives them another number of examples.
    """
    layer = sequence_first(forward.module)
    sized = [tensor for _, tensor in forward.data() if tensor.dim() > 1]
    if layer is None or not sized:
        return False
    given: list[torch.Tensor] = []

    def note(_: nn.Module, args: Any, kwargs: Any) -> None:
        leaves = pytree.tree_leaves((args, kwargs))
        given.extend(t for t in leaves if isinstance(t, torch.Tensor) and t.dim() == _BATCHED)

    def read(call: Callable[..., Any], args: Any, kwargs: Any) -> None:
        hook = layer.register_forward_pre_hook(note, with_kwargs=True)
        try:
            call(*args, **kwargs)
        finally:
            hook.remove()

    forward.replay(read)
    return not given or given[0].shape[1] == _largest(sized).shape[1]


def _largest(tensors: list[torch.Tensor]) -> torch.Tensor:
    """The first of those with the most axes: what a model is given besides are masks and states."""
    return max(tensors, key=torch.Tensor.dim)


def _norms_over_examples(module: nn.Module) -> list[nn.Module]:
    kind = nn.modules.batchnorm._BatchNorm
    return [part for part in modules_of(module) if isinstance(part, kind)]


def _has_no_statistics(norm: nn.Module) -> bool:
    return getattr(norm, "running_mean", None) is None
