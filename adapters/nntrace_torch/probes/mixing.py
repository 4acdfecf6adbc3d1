"""Does the output of one example depend on another example? (PRB03)"""

import torch
from torch import nn

from nntrace_torch.probes.dependencies import CLEAN, FOUND, NOTED, UNKNOWN, Answer, Forward, changed

_FEWEST = 3  # examples
_PAIRS = 16  # other examples that are tried one by one
_SEQUENCE_FIRST = (nn.RNNBase, nn.MultiheadAttention, nn.Transformer)


def mixing(forward: Forward) -> Answer:
    """Change all examples but one, and see whether that one's output stays."""
    if forward.is_packed:
        return Answer(UNKNOWN, "a packed sequence has no axis of examples")
    data = forward.data()
    axis = 1 if _is_sequence_first(forward.module, data) else 0
    sized = [tensor for _, tensor in data if tensor.dim() > axis]
    if not sized:
        return Answer(UNKNOWN, "the model is given no tensor with an axis of examples")
    examples = max(sized, key=lambda tensor: tensor.dim()).shape[axis]
    if examples < _FEWEST:
        return Answer(UNKNOWN, f"a batch of {examples} is too small to exchange others than one")
    if reason := _no_examples(data, axis, examples):
        return Answer(UNKNOWN, reason)
    before = forward.outputs()
    rows = [(place, _by_example(out, axis, examples)) for place, out in enumerate(before)]
    own = [(place, out) for place, out in rows if out is not None]
    if not own:
        return Answer(UNKNOWN, "no output has a part for each example")
    again = forward.outputs()
    if any(changed(a, b).any() for a, b in zip(before, again, strict=True)):
        return Answer(UNKNOWN, "the output differs by itself from call to call")

    def depends(kept: int, moved: list[int]) -> list[int]:
        """The outputs of example `kept` that change with the examples `moved`."""
        order = list(range(examples))
        for one in moved:
            order[one] = (one + 1) % examples if (one + 1) % examples != kept else kept - 1
        index = torch.tensor(order)
        after = forward.outputs(
            lambda _, t: (
                t.index_select(axis, index.to(t.device))
                if t.dim() > axis and t.shape[axis] == examples
                else t
            )
        )
        found = []
        for place, out in own:
            other = _by_example(after[place], axis, examples)
            if other is None or changed(out[kept], other[kept]).any():
                found.append(place)
        return found

    kept = examples // 2
    others = [one for one in range(examples) if one != kept]
    mixed = depends(kept, others)
    norms = _norms_over_examples(forward.module)
    by_design = "; batch norm does in training, by design" if norms else ""
    if not mixed:
        return Answer(
            CLEAN, f"the output of an example depends on no other of {examples}{by_design}"
        )
    if all(before[place].shape[:2] == (examples, examples) for place in mixed):
        return Answer(
            NOTED, f"an output of {examples} × {examples} compares the examples, by design"
        )
    if any(_has_no_statistics(norm) for norm in norms):
        return Answer(NOTED, "batch norm without running statistics mixes examples, by design")
    near = sorted(others, key=lambda one: abs(one - kept))[:_PAIRS]
    which = [one for one in near if depends(kept, [one])]
    return Answer(
        FOUND,
        f"the output of example {kept} depends on other examples: "
        f"{', '.join(map(str, which)) or 'on several together'}",
        {"example": kept, "depends_on": which, "examples": examples},
    )


def _no_examples(data: list[tuple[int, torch.Tensor]], axis: int, examples: int) -> str | None:
    """Why the rows may be no examples."""
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
    """[examples, …]; rows of (example, time) together are those of the example."""
    if output.dim() > axis and output.shape[axis] == examples:
        return output.movedim(axis, 0)
    if output.dim() and output.shape[0] == examples:  # of the sequence its end, or its mean
        return output
    if axis == 0 and output.dim() > 1 and output.shape[0] % examples == 0 and output.shape[0]:
        return output.reshape(examples, -1, *output.shape[1:])
    return None


def _is_sequence_first(module: nn.Module, data: list[tuple[int, torch.Tensor]]) -> bool:
    """Whether examples lie along the second axis, as PyTorch's own sequence layers have it."""
    layers = [part for part in module.modules() if isinstance(part, _SEQUENCE_FIRST)]
    told = [layer.batch_first for layer in layers if hasattr(layer, "batch_first")]
    return bool(told) and not any(told) and any(tensor.dim() > 1 for _, tensor in data)


def _norms_over_examples(module: nn.Module) -> list[nn.Module]:
    kind = nn.modules.batchnorm._BatchNorm
    return [part for part in module.modules() if isinstance(part, kind)]


def _has_no_statistics(norm: nn.Module) -> bool:
    return getattr(norm, "running_mean", None) is None
