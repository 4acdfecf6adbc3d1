"""Notices that a recurrent layer's output after the padding is taken for its answer on a text.

Sequences that were filled up behind have a last position that belongs to none of them. Which
position a program reads is seen in the graph of its loss, by the numbers of the layer's nodes.
"""

from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import nn

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.program.graphs import nodes_of, operation, output_shape, saved, signed
from nntrace_torch.program.sources import Source, Sources
from nntrace_torch.program.tensors import can_sample

_CALLS = 64  # of which landmarks are looked at
_FOUND = 3  # batches in which the same was seen
_FEWEST = 8  # examples, and positions
_LENGTHS = 3  # different ones at least, as texts have
_ELSEWHERE = 0.02  # the most of the filling value that may occur within sequences
_MOST = 1 << 21  # elements


class _Read(NamedTuple):
    """A padded batch of a layer, and the numbers of the nodes that made its output and state."""

    kind: str
    source: Source
    is_bidirectional: bool
    output: tuple[int, int]
    state: int
    time: int
    length: int
    examples: float
    share: float


class PaddedEnds:
    """Looks at what recurrent layers are given, and at what of theirs a loss is computed from."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._calls = 0
        self._reads: list[_Read] = []
        self._found: list[tuple[_Read, str]] = []

    def called(self, layer: nn.Module, given: Any, output: Any) -> None:
        """A recurrent layer was called in a sampled step.

        Args:
            layer: an `RNNBase`.
            given: its arguments.
            output: what it returned.
        """
        self._calls += 1
        if self._calls > _CALLS or not is_landmark(self._calls) or not layer.training:
            return
        sequences, values = given[0] if given else None, output[0]
        if type(sequences) is not torch.Tensor or sequences.dim() != 3 or values.grad_fn is None:
            return
        state = output[1][0] if isinstance(output[1], tuple) else output[1]
        time = 1 if layer.batch_first else 0
        found = _padding(sequences.detach() if time else sequences.detach().transpose(0, 1))
        if found is not None:
            self._reads.append(
                _Read(
                    type(layer).__name__,
                    self._sources.of(layer),
                    bool(layer.bidirectional),
                    (values.grad_fn._sequence_nr(), values.output_nr),
                    state.grad_fn._sequence_nr(),
                    time,
                    values.shape[time],
                    *found,
                )
            )

    def look(self, loss: torch.Tensor) -> None:
        """Before the first backward of a sampled step."""
        reads, self._reads = self._reads, []
        for read in reads:
            what = _what_is_read(loss, read)
            if what:
                self._found.append((read, what))
        if len(self._found) >= _FOUND:
            self._calls = _CALLS
            self._tell(self._found)
            self._found = []

    def _tell(self, found: list[tuple[_Read, str]]) -> None:
        first, what = found[0]
        payload = {
            "class": first.kind,
            "reads": what,
            "examples": fmean(read.examples for read, _ in found),
            "share": fmean(read.share for read, _ in found),
            **first.source.place,
        }
        self._recorder.add_event(EventKind.PADDED, payload, severity="warning")


def _padding(sequences: torch.Tensor) -> tuple[float, float] | None:
    """Of [examples, positions, features] the shares of examples and positions that end in padding.

    None if there is none: one value for all examples behind sequences of different lengths.
    """
    if not can_sample(sequences) or not sequences.is_cpu or sequences.numel() > _MOST:
        return None
    if min(sequences.shape[:2]) < _FEWEST:
        return None
    ends = sequences[:, -1]
    repeats = (sequences[:, -2] == ends).all(-1)
    if not bool(repeats.any()):
        return None
    filler = ends[int(repeats.to(torch.uint8).argmax())]
    is_filler = (sequences == filler).all(-1)
    inside = is_filler.flip(1).to(torch.int64).cumprod(1).sum(1)
    if len(inside.unique()) < _LENGTHS:
        return None
    if int(is_filler.sum() - inside.sum()) > _ELSEWHERE * int(inside.sum()):
        return None
    return float((inside > 0).double().mean()), float(inside.double().mean()) / len(is_filler[0])


def _what_is_read(loss: torch.Tensor, read: _Read) -> str:
    """`output` if only its last position is, `state` if only the last state is; else empty."""
    positions, is_state_read = [], False
    nodes = list(nodes_of(loss.grad_fn))
    outputs = {read.output}
    for node in reversed(nodes):
        if _is_whole_slice(node) and _edge(*node.next_functions[0]) in outputs:
            outputs.add((node._sequence_nr(), 0))
    for node in nodes:
        is_state_read = is_state_read or node._sequence_nr() == read.state
        if (node._sequence_nr(), 0) in outputs:
            continue
        for child, place in node.next_functions:
            if _edge(child, place) in outputs:
                is_time = signed(saved(node, "dim")) == read.time
                is_chosen = operation(node) == "Select" and is_time
                positions.append(signed(saved(node, "index")) if is_chosen else None)
    if positions:
        return "output" if set(positions) <= {-1, read.length - 1} else ""
    return "state" if is_state_read and not read.is_bidirectional else ""


def _edge(node: Any, place: int) -> tuple[int, int] | None:
    return None if node is None else (node._sequence_nr(), place)


def _is_whole_slice(node: Any) -> bool:
    """Whether a node takes all there is, as each `:` of `x[:, -1, :]` does in older PyTorch."""
    return operation(node) == "Slice" and output_shape(node) == saved(node, "self_sym_sizes")
