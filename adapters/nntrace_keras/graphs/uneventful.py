"""Records steps that have nothing but their plain facts, many at a time.

Nearly all steps are such, and recording one by itself takes twenty Python functions.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nntrace_keras.graphs.board import Row
from nntrace_keras.graphs.returned import ReturnedLoss
from nntrace_keras.graphs.unread import Call


class Uneventful(NamedTuple):
    """An unsampled step; `ended_ns` by `time.perf_counter_ns`."""

    ended_ns: int
    waited_ns: int | None
    loss: float | None
    lr: float | None
    batch_size: int | None


def uneventful(
    calls: Sequence[Call], rows: Sequence[Row], returned: ReturnedLoss | None, inside_ns: int | None
) -> list[Uneventful] | None:
    """The steps of calls that made one each; None unless all are applied steps of one graph.

    Args:
        calls: the calls.
        rows: what the graph has noted of each.
        returned: the loss, if the graph returns it.
        inside_ns: how long each call waited for data inside the graph, if known.
    """
    graph = rows[0].graph
    found = []
    for call, row in zip(calls, rows, strict=True):
        if row.graph != graph or not row.applied or row.loss_scale is not None:
            return None
        loss = row.loss
        if loss is None and returned is not None:
            loss = returned.read(call.function, call.result)
        given, examples = call.given
        loss, examples = given if loss is None else loss, row.batch_size or examples
        waited_ns = call.waited_ns if inside_ns is None else inside_ns
        found.append(Uneventful(call.ended_ns, waited_ns, loss, row.lr, examples))
    return found
