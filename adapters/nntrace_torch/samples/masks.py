"""Finds attention masks of floating-point ones and zeros, which are added and so hide nothing."""

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.sources import caller

_MOST_LOOKS = 8
_FEWEST_POSITIONS = 4


class AddedMasks:
    """Looks at the masks of the first sampled calls of fused attention."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = 0

    def look(self, mask: torch.Tensor | None) -> None:
        """A call was given this mask [..., queries, keys]."""
        if mask is None or self._looks == _MOST_LOOKS:
            return
        self._looks += 1
        if is_added_triangle(mask):
            self._looks = _MOST_LOOKS
            payload = {"what": "mask", **caller().place}
            self._recorder.add_event(EventKind.AXES, payload, severity="warning")


def is_added_triangle(mask: torch.Tensor) -> bool:
    """Whether a mask to be added has ones on one side of its diagonal, and zeros elsewhere."""
    if not mask.is_floating_point() or mask.requires_grad or mask.dim() < 2:
        return False
    square = mask.detach()[(0,) * (mask.dim() - 2)]
    if square.shape[0] != square.shape[1] or len(square) < _FEWEST_POSITIONS:
        return False
    ones = torch.ones_like(square)
    triangles = (ones.tril(), ones.triu(), ones.tril(-1), ones.triu(1))
    return any(bool((square == triangle).all()) for triangle in triangles)
