"""Weights that a program replaces at each step: `w = (w - rate * gradient).requires_grad_()`.

The new tensors have the shapes of the old ones, in the order of the loss's graph. At least two must
be replaced together: a single one may be an input that is changed (an adversarial example, an image
that is optimised) or the position of a sampler (Langevin, Hamiltonian Monte Carlo).
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

_FEWEST = 2


class Leaves:
    """The leaves that a backward pass gave gradients, of which the next may have new ones."""

    def __init__(self, leaves: Sequence[torch.Tensor] = ()) -> None:
        self._references = [weakref.ref(leaf) for leaf in leaves]
        self._shapes = [leaf.shape for leaf in leaves]

    def replaced_by(self, leaves: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
        """By the place of each leaf the one that took it; empty unless all were replaced."""
        old = [reference() for reference in self._references]
        if len(leaves) != len(old) or len(old) < _FEWEST:
            return {}
        if {id(leaf) for leaf in leaves} & {id(leaf) for leaf in old if leaf is not None}:
            return {}
        waiting: dict[torch.Size, list[torch.Tensor]] = {}
        for leaf in reversed(leaves):
            waiting.setdefault(leaf.shape, []).append(leaf)
        found: dict[int, torch.Tensor] = {}
        for place, shape in enumerate(self._shapes):
            if not waiting.get(shape):
                return {}
            found[place] = waiting[shape].pop()
        return found

    def followed_by(self, leaves: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
        """By their places, the leaves of which it is known which took whose; empty if none did."""
        if [leaf.shape for leaf in leaves] != self._shapes:
            return {}
        if all(
            reference() is leaf for reference, leaf in zip(self._references, leaves, strict=True)
        ):
            return {}
        return dict(enumerate(leaves))

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return any(reference() is tensor for reference in self._references)

    def __getitem__(self, place: int) -> torch.Tensor | None:
        """A leaf, if it is still alive."""
        return self._references[place]()


@contextmanager
def lent(gradients: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Iterator[None]:
    """Have parameters hold gradients in `.grad`, where a sample looks for them, for a moment."""
    pairs = list(gradients)
    before = [(parameter, parameter.grad) for parameter, _ in pairs]
    try:
        for parameter, gradient in pairs:
            parameter.grad = gradient
        yield
    finally:
        for parameter, gradient_before in before:
            parameter.grad = gradient_before


def renamed(
    parameters: Sequence[torch.Tensor], replaced: Mapping[int, torch.Tensor]
) -> list[torch.Tensor]:
    """The parameters, each that was replaced (by its id) as what took its place."""
    return [replaced.get(id(parameter), parameter) for parameter in parameters]
