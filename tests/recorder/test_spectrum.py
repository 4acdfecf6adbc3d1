import numpy as np
import pytest

from nntrace.recorder.sample import RUN, Layout, fixed_runs
from nntrace.recorder.spectrum import Filters, Turns, effective_rank

RNG = np.random.default_rng(0)


def rank_of(matrix):
    rows, units = matrix.shape
    return effective_rank(matrix.astype(np.float32).reshape(-1), Layout(rows, 1, units))


def test_independent_units_all_count():
    assert rank_of(RNG.normal(size=(4000, 8))) == pytest.approx(8, rel=0.02)


@pytest.mark.parametrize("shape", [(64, 16), (16, 64)])
def test_outputs_on_a_line_have_rank_one_whatever_their_mean(shape):
    line = 5 + RNG.normal(size=(shape[0], 1)) * RNG.normal(size=(1, shape[1]))
    assert rank_of(line) == pytest.approx(1, abs=1e-3)


def test_the_scale_does_not_matter():
    matrix = RNG.normal(size=(64, 16))
    assert rank_of(matrix * 1e20) == pytest.approx(rank_of(matrix), rel=1e-4)


@pytest.mark.parametrize(
    "matrix",
    [
        np.ones((64, 16)),
        RNG.normal(size=(15, 16)),
        RNG.normal(size=(64, 3)),
        np.full((64, 16), np.nan),
    ],
)
def test_what_does_not_vary_and_small_samples_have_no_rank(matrix):
    assert rank_of(matrix) is None


@pytest.mark.parametrize("axis", [0, 3])  # of PyTorch, of Keras
def test_filters_are_found_in_a_sample_of_a_large_weight(axis):
    shape = (64, 32, 3, 3) if axis == 0 else (3, 3, 32, 64)
    weight = RNG.normal(size=shape).astype(np.float32)
    np.moveaxis(weight, axis, 0)[10:26] = 1e-5
    runs, step = fixed_runs(shape, 4096)
    flat = weight.reshape(-1)
    sample = np.concatenate([flat[run * step : run * step + RUN] for run in range(runs)])
    assert Filters().dead_fraction(0, shape, axis, sample) == pytest.approx(16 / 64, abs=0.03)


def test_filters_of_a_small_weight_are_found_whatever_its_number_of_elements():
    weight = RNG.normal(size=(9, 5)).astype(np.float32)
    weight[3] = 0.0
    assert Filters().dead_fraction(0, (9, 5), 0, weight.reshape(-1)) == pytest.approx(1 / 9)


def test_filters_that_are_all_alike_are_not_dead():
    assert Filters().dead_fraction(0, (8, 4), 0, np.full(32, 1e-6, np.float32)) == 0.0
    assert Filters().dead_fraction(0, (8, 4), 0, np.zeros(32, np.float32)) is None


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_filters_of_a_weight_that_is_not_finite_are_not_judged(value):
    row = RNG.normal(size=32).astype(np.float32)
    row[3] = value
    assert Filters().dead_fraction(0, (8, 4), 0, row) is None


def test_filters_of_which_no_element_was_sampled_are_neither_dead_nor_alive():
    shape = (6000, 4)
    weight = RNG.normal(size=shape).astype(np.float32)
    runs, step = fixed_runs(shape, 4096)
    flat = weight.reshape(-1)
    sample = np.concatenate([flat[run * step : run * step + RUN] for run in range(runs)])
    assert Filters().dead_fraction(0, shape, 0, sample) == 0.0


@pytest.mark.parametrize("count", [4, 100, 4096])
def test_a_sample_of_elements_that_are_not_known_has_no_filters(count):
    row = RNG.normal(size=count).astype(np.float32)
    assert Filters().dead_fraction(0, (768, 256), 0, row) is None


def test_each_site_has_its_own_turn():
    turns = Turns()
    assert [turns.next(0) for _ in range(6)] == [True, False, False, False, True, False]
    assert turns.next(1)
