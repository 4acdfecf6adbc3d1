"""Keeps the inputs of training functions that other graphs call, in the calling graph."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import ops

from nntrace_keras.graphs.board import Board
from nntrace_keras.graphs.on_graph import is_compiled, list_on
from nntrace_keras.graphs.steps import GraphSteps, note_step, steps_in


def keep_inputs(
    steps: GraphSteps, use_board: Callable[[], Board], function: Any, inputs: Sequence[Any]
) -> None:
    """Keep the inputs of a training function that is called in the graph being built.

    Args:
        steps: all steps in graphs.
        use_board: returns the board.
        function: what is called.
        inputs: its arguments and the tensors that it captures.
    """
    graph: Any = ops.get_default_graph()
    if not getattr(graph, "building_function", False):
        return
    is_nested = bool(getattr(graph.outer_graph, "building_function", False))
    is_for_xla = is_compiled(graph.outer_graph)  # the graph's own context is that of the call
    for number in steps_in(function.graph):
        note_step(number)
        second = steps.made[number].second
        if second is None or second.graph is not function.graph or is_for_xla:
            continue  # XLA's graphs cannot keep tensors of unknown shape
        if is_nested:
            second.with_update = True
        kept = list_on(graph, "_nntrace_keeps")
        if second.keeps_inputs or (number in kept and not is_nested):
            continue  # of several calls in a function the first is the one that is sampled
        kept.append(number)
        given = {
            inside.name: tensor
            for inside, tensor in zip(function.graph.inputs, inputs, strict=True)
            if isinstance(tensor, ops.SymbolicTensor)
        }
        second.kept.every = not is_nested
        with record.stop_recording(), tf.name_scope("nntrace"):
            if not is_nested and second.kept.keep_recent(given):
                continue
            state = use_board().read()
            wanted = Board.wants(state, number) if is_nested else None
            second.kept.keep(given, wanted, Board.is_whole(state))
