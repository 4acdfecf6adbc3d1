"""At which time step a recurrent layer breaks: its kernels run over the whole series at once.

The layer is run on ever other beginnings of its input; a broken state stays broken, so that
halving finds the first one that is too long.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from nntrace_torch.replay.guard import tensors_in

FUSED = ("mkldnn_rnn_layer", "cudnn_rnn", "miopen_rnn")  # operations that hide their cells


@contextmanager
def unfused() -> Iterator[None]:
    """Recurrent layers run cell by cell."""
    (enabled, *_) = torch.backends.mkldnn.set_flags(_enabled=False)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=enabled)


def time_step(module: nn.Module | None, frame: FrameType | None) -> int | None:
    """The first time step, from 1, after which the layer's output is not finite.

    None where the module is no recurrent layer of one direction, or its input is packed.

    Args:
        module: the innermost module that is running.
        frame: of an operation within it.
    """
    if not isinstance(module, nn.RNNBase) or module.bidirectional:
        return None
    while frame is not None and not (
        frame.f_code.co_name == "forward" and frame.f_locals.get("self") is module
    ):
        frame = frame.f_back
    if frame is None or frame.f_locals.get("batch_sizes") is not None:
        return None
    series, start = frame.f_locals.get("input"), frame.f_locals.get("hx")
    if not isinstance(series, torch.Tensor) or series.dim() != 3:
        return None
    axis = 1 if module.batch_first else 0

    def breaks(length: int) -> bool:
        output: Any = type(module).forward(module, series.narrow(axis, 0, length), start)
        return not all(bool(torch.isfinite(t).all()) for t in tensors_in(output))

    try:
        with torch.no_grad():
            low, high = 0, series.shape[axis]  # it holds up to `low`, and breaks at `high`
            if not high or not breaks(high):
                return None
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if breaks(middle) else (middle, high)
            return high
    except (RuntimeError, TypeError, ValueError):
        return None
