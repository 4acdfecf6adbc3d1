"""The gradient of one example's output with respect to the inputs of every example (PRB03).

Exact where there is a gradient: an operation that keeps examples apart gives zeros for the others.
Integer inputs count through the embeddings they look up. Operations without any gradient, such as
a choice or a count, are not seen; for those `mixing` exchanges the inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from nntrace_torch.probes.dependencies import Forward, floating

_TOLERANCE = 1e-5  # of the largest gradient: what rounding leaves of a sum that cancels out


def sensitivity(
    forward: Forward,
    kept: int,
    axis: int,
    examples: int,
    rows: Callable[[torch.Tensor], torch.Tensor | None],
) -> dict[int, torch.Tensor]:
    """How much each output of example `kept` depends on every example.

    Args:
        forward: the call to replay.
        kept: the index of the example.
        axis: the inputs' axis of examples.
        examples: the number of examples.
        rows: turns an output into [examples, …]; None for an output without a part per example.

    Returns:
        By the output's place: norms of the gradient [examples] as shares of the largest, 0 where
        there is no gradient. Outputs without any gradient are left out.

    Raises:
        Exception: the model has no backward pass.
        ReplayRefusedError: a replay would have side effects.
    """
    random = torch.Generator().manual_seed(0)

    def read(call: Callable[..., Any], args: Any, kwargs: Any) -> dict[int, torch.Tensor]:
        lookups = _Lookups(axis, examples)
        leaves, form = pytree.tree_flatten((args, kwargs))
        given = [_source(leaf, axis, examples) for leaf in leaves]
        # Not the leaves themselves: the program may write to its inputs.
        seen = [
            leaf if source is None else source.clone()
            for leaf, source in zip(leaves, given, strict=True)
        ]
        args, kwargs = pytree.tree_unflatten(seen, form)
        with lookups:
            outputs = floating(call(*args, **kwargs))
        sources = [*(source for source in given if source is not None), *lookups.found]
        norms = {}
        for place, out in enumerate(outputs):
            own = rows(out)
            if own is None or not own.requires_grad or not sources:
                continue
            weights = torch.randn(own[kept].shape, generator=random, device="cpu").to(own)
            found = torch.autograd.grad(
                (own[kept] * weights).sum(), sources, retain_graph=True, allow_unused=True
            )
            if (norm := _by_example(found, axis)) is not None:
                norms[place] = norm
        return norms

    return forward.replay(read, gradients=True)


def depends_on(norms: torch.Tensor, kept: int) -> list[int]:
    """The examples other than `kept` whose gradient is larger than rounding explains."""
    return [one for one in (norms > _TOLERANCE).nonzero().flatten().tolist() if one != kept]


def _source(leaf: Any, axis: int, examples: int) -> torch.Tensor | None:
    """The tensor to differentiate with respect to; None for other than floating-point examples."""
    if not isinstance(leaf, torch.Tensor) or not leaf.is_floating_point():
        return None
    if leaf.layout is not torch.strided or leaf.dim() <= axis or leaf.shape[axis] != examples:
        return None
    return leaf.detach().requires_grad_()


def _by_example(gradients: Sequence[torch.Tensor | None], axis: int) -> torch.Tensor | None:
    """The gradient norm of each example over all inputs [examples], as shares of the largest.

    None when there is no gradient, when it is not finite, or when it is zero everywhere.
    """
    squares: Any = 0.0
    for gradient in gradients:
        if gradient is not None:
            rows = gradient.detach().movedim(axis, 0).flatten(1) if gradient.dim() > 1 else gradient
            squares = squares + rows.double().reshape(len(rows), -1).square().sum(1).cpu()
    if not isinstance(squares, torch.Tensor) or not torch.isfinite(squares).all():
        return None
    norms = squares.sqrt()
    largest = float(norms.max())
    return norms / largest if largest > 0 else None


class _Lookups(TorchFunctionMode):
    """Keeps the results of embeddings that looked up all examples."""

    def __init__(self, axis: int, examples: int) -> None:
        super().__init__()
        self._axis = axis
        self._examples = examples
        self.found: list[torch.Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is functional.embedding:
            shape = result.shape
            if len(shape) > self._axis + 1 and shape[self._axis] == self._examples:
                self.found.append(result)
        return result
