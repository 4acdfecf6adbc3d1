"""Finds the time step at which a recurrent layer breaks, which its fused kernels hide.

The layers of a stack are run one after another, each direction by itself, one time step at a time,
until an output or a state is no longer finite.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from nntrace_torch.program.containers import tensors_in

FUSED = ("mkldnn_rnn_layer", "cudnn_rnn", "miopen_rnn")  # operations that hide their cells
_MAX_STEPS = 1 << 14  # over all layers and directions


class Moment(NamedTuple):
    """A place in a stack of recurrent layers.

    Attributes:
        time_step: the time step in the order of the input, from 1.
        layer: the layer of the stack, from 1; None where there is only one.
        backwards: whether it is in the direction that reads the series from its end.
    """

    time_step: int
    layer: int | None = None
    backwards: bool = False


@contextmanager
def unfused() -> Iterator[None]:
    """A context in which recurrent layers run cell by cell."""
    (enabled, *_) = torch.backends.mkldnn.set_flags(_enabled=False)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=enabled)


def moment(module: nn.Module | None, frame: FrameType | None) -> Moment | None:
    """The first time step after which an output or a state of the layer is not finite.

    None where the module is no recurrent layer.

    Args:
        module: the innermost module that is running.
        frame: of an operation within it.
    """
    if not isinstance(module, nn.RNNBase):
        return None
    while frame is not None and not (
        frame.f_code.co_name == "forward" and frame.f_locals.get("self") is module
    ):
        frame = frame.f_back
    if frame is None:
        return None
    series, sizes = frame.f_locals.get("input"), frame.f_locals.get("batch_sizes")
    if not isinstance(series, torch.Tensor):
        return None
    try:
        with torch.no_grad():
            return _first_break(module, *_padded(module, series, sizes), frame.f_locals.get("hx"))
    except (RuntimeError, TypeError, ValueError):
        return None


def _padded(
    module: nn.RNNBase, series: torch.Tensor, sizes: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The series as [time, batch, features], and the length of each."""
    if sizes is not None:
        padded, lengths = pad_packed_sequence(PackedSequence(series, sizes))
        return padded, lengths
    if module.batch_first:
        series = series.transpose(0, 1)
    return series, torch.full((series.shape[1],), series.shape[0], device="cpu")


def _first_break(
    module: nn.RNNBase, series: torch.Tensor, lengths: torch.Tensor, start: Any
) -> Moment | None:
    directions = 2 if module.bidirectional else 1
    if series.shape[0] * directions * module.num_layers > _MAX_STEPS:
        return None
    start = tuple(tensors_in(start))
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            number = layer * directions + direction
            one = _one_way(module, number, series.shape[-1])
            begin = tuple(state[number : number + 1] for state in start if state.dim() == 3)
            read = _reversed(series, lengths) if direction else series
            broken, output = _read(one, read, lengths, begin)
            if broken is not None:
                at, row = broken
                time = int(lengths[row]) - at if direction else at + 1
                stack = layer + 1 if module.num_layers > 1 else None
                return Moment(time, stack, backwards=bool(direction))
            outputs.append(_reversed(output, lengths) if direction else output)
        series = torch.cat(outputs, -1)
    return None


def _one_way(module: nn.RNNBase, number: int, features: int) -> nn.RNNBase:
    """A layer of one direction, with the weights of one in the stack."""
    options: dict[str, Any] = {"bias": module.bias}
    if isinstance(module, nn.RNN):
        options["nonlinearity"] = module.nonlinearity
    elif isinstance(module, nn.LSTM):
        options["proj_size"] = module.proj_size
    kind = next(k for k in (nn.LSTM, nn.GRU, nn.RNN) if isinstance(module, k))
    one: nn.RNNBase = kind(features, module.hidden_size, device="meta", **options)
    # Not as parameters: those would be registered, and observed.
    one._flat_weights = [w.detach() for w in module.all_weights[number]]
    return one


def _read(
    layer: nn.RNNBase, series: torch.Tensor, lengths: torch.Tensor, state: Any
) -> tuple[tuple[int, int] | None, torch.Tensor]:
    """The time and row at which a layer breaks, if it does, and its outputs until then."""
    given = []
    held: Any = (state if isinstance(layer, nn.LSTM) else state[0]) if state else None
    for at in range(series.shape[0]):
        output, held = type(layer).forward(layer, series[at : at + 1], held)
        results = (output, *tensors_in(held))
        finite = torch.stack([t.isfinite().all(-1).reshape(-1) for t in results]).all(0)
        bad = (~finite & (lengths.to(finite.device) > at)).nonzero()
        if len(bad):
            return (at, int(bad[0])), output
        given.append(output)
    return None, torch.cat(given)


def _reversed(series: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each series of a padded batch reversed within its own length; the padding stays."""
    time = torch.arange(series.shape[0], device=series.device).unsqueeze(1)
    ends = lengths.to(series.device).unsqueeze(0)
    order = torch.where(time < ends, ends - 1 - time, time)
    return series.gather(0, order.unsqueeze(-1).expand_as(series))
