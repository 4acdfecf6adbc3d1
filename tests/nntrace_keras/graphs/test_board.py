"""The board tells the host the same, whether XLA compiles the graph that writes it or not."""

import pytest
import tensorflow as tf
from nntrace_keras.graphs.board import MAX_GRAPHS, RING_ROWS, UNKNOWN, Board


def _writer(board, graph, *, compiled, later=False):
    def write(loss):
        state = board.read()
        facts = {"applied": True, "lr": 0.5, "batch_size": 8, "loss_scale": UNKNOWN}
        at_once = UNKNOWN if later else loss
        place = board.add_row(state, graph, board.wants(state, graph), loss=at_once, **facts)
        if later:
            board.add_loss(place, loss)

    signature = [tf.TensorSpec((), tf.float32)]
    return tf.function(write, jit_compile=compiled, input_signature=signature, autograph=False)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("graph", [0, 3, MAX_GRAPHS + 6])
def test_a_compiled_graph_writes_the_rows_of_one_that_is_not(graph, later):
    seen = []
    for compiled in (False, True):
        board = Board()
        write = _writer(board, graph, compiled=compiled, later=later)
        for number in range(5):
            if number == 2:
                board.news()
                board.arm(7)
            write(tf.constant(0.25 * number))
        seen.append((board.variable.numpy().tolist(), board.news()))

    assert seen[0] == seen[1]
    rows, sampled, lost = seen[1][1]
    assert [(row.number, row.turn, row.loss) for row in rows] == [
        (2, 7, 0.5), (3, 7, 0.75), (4, 7, 1.0)
    ]  # fmt: skip
    assert lost == 0
    assert list(sampled.values()) == [min(graph, MAX_GRAPHS - 1)]


def test_a_compiled_graph_goes_on_at_the_beginning_of_a_full_ring():
    board = Board()
    write = _writer(board, 0, compiled=True)
    for number in range(RING_ROWS + 2):
        write(tf.constant(float(number)))

    rows, _, lost = board.news()

    assert lost == 2
    assert [row.loss for row in rows] == [float(number) for number in range(2, RING_ROWS + 2)]


def test_a_compiled_graph_holds_no_scatter():
    board = Board()
    write = _writer(board, 0, compiled=True, later=True).get_concrete_function()

    assert not [op for op in write.graph.get_operations() if "Scatter" in op.type]
