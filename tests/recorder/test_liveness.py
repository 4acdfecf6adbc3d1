import numpy as np
import pytest

from nntrace.recorder.liveness import WINDOW_ROWS, Liveness, RectifiedOutside
from nntrace.recorder.sample import Layout


def rows(count, units=4, firing=()):
    """`count` rows in which only the given units fire, in the first row."""
    values = np.zeros((count, units), dtype=np.float32)
    for unit in firing:
        values[0, unit] = 1
    return values.ravel(), Layout(count, 1, units)


def test_nothing_is_said_before_256_rows_were_seen():
    liveness = Liveness()
    assert liveness.update(0, *rows(WINDOW_ROWS - 1)) is None
    assert liveness.update(0, *rows(1)) == 1.0


def test_units_that_never_fired_are_dead():
    assert Liveness().update(0, *rows(WINDOW_ROWS, firing=[0])) == pytest.approx(0.75)


def test_a_sparse_batch_of_living_units_is_not_dead():
    liveness = Liveness()
    fractions = [liveness.update(0, *rows(64, firing=[turn % 4])) for turn in range(12)]
    assert fractions[:3] == [None] * 3
    assert set(fractions[3:]) == {0.0}


def test_a_unit_that_fires_again_is_alive_again():
    liveness = Liveness()
    assert liveness.update(0, *rows(WINDOW_ROWS, firing=[1, 2, 3])) == pytest.approx(0.25)
    assert liveness.update(0, *rows(WINDOW_ROWS, firing=[0, 1, 2, 3])) == 0


def test_a_nonfinite_value_counts_as_firing():
    values, layout = rows(WINDOW_ROWS)
    values[0] = np.nan
    assert Liveness().update(0, values, layout) == pytest.approx(0.75)


def test_sites_do_not_share_their_windows():
    liveness = Liveness()
    liveness.update(0, *rows(WINDOW_ROWS))
    assert liveness.update(1, *rows(10)) is None


def test_positions_are_rows_as_examples_are():
    values = np.zeros(WINDOW_ROWS * 3, dtype=np.float32)
    assert Liveness().update(0, values, Layout(WINDOW_ROWS // 4, 4, 3)) == 1.0


def test_a_layer_that_changes_its_width_starts_anew():
    liveness = Liveness()
    liveness.update(0, *rows(WINDOW_ROWS, units=4))
    assert liveness.update(0, *rows(10, units=5)) is None


def test_of_outputs_that_are_rectified_later_units_nowhere_above_zero_are_dead():
    values, layout = rows(WINDOW_ROWS, firing=[1])
    values -= np.float32(0.5)
    assert Liveness().update(0, values, layout) == 0
    assert Liveness().update(0, values, layout, is_rectified_later=True) == pytest.approx(0.75)


def rectified(*graphs):
    """What is known after these graphs, each a list of edges between names."""
    known = RectifiedOutside()
    for graph in graphs:
        vertices = list(dict.fromkeys(name for edge in graph for name in edge))
        edges = [[vertices.index(one), vertices.index(two)] for one, two in graph]
        known.learn({"vertices": vertices, "edges": edges})
    return known


def test_a_module_whose_output_only_a_functional_relu_takes_is_rectified_outside():
    assert "conv" in rectified([("conv", ":relu"), (":relu", "fc")])
    assert "conv" in rectified(
        [("conv", ":maxpool2dwithindices"), (":maxpool2dwithindices", ":relu")]
    )


@pytest.mark.parametrize(
    "graphs",
    [
        [[("conv", ":gelu")]],
        [[("conv", ":relu"), ("conv", ":add")]],
        [[("conv", ":relu")], [("conv", ":mse_loss")]],
        [[("conv", ":maxpool2dwithindices"), (":maxpool2dwithindices", "fc")]],
        [[("conv", ":maxpool2dwithindices")]],
        [[("other", ":relu")]],
    ],
)
def test_a_module_whose_output_anything_else_takes_is_not(graphs):
    assert "conv" not in rectified(*graphs)


def test_a_unit_that_is_known_to_fire_without_a_look_is_alive_again():
    liveness = Liveness()
    values, layout = rows(WINDOW_ROWS, firing=[1, 2, 3])
    assert liveness.update(0, values, layout) == pytest.approx(0.25)
    assert liveness.update(0, values, layout, all_fire=True) == 0
    assert liveness.update(0, *rows(1)) == 0
