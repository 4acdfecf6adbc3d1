from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nntrace.recorder.histograms import BinCounts

FLOATS = st.floats(width=32, allow_subnormal=True)


def histograms(*rows, is_wanted=None):
    """Of rows of any lengths; those in turn of equal length are counted together."""
    bins = BinCounts(np.ones(len(rows), dtype=bool) if is_wanted is None else is_wanted)
    for _, numbers in groupby(range(len(rows)), key=lambda number: len(rows[number])):
        numbers = np.array(list(numbers))
        bins.count(numbers, np.sort([np.array(rows[number], np.float32) for number in numbers]))
    return bins.histograms()


def histogram(*values):
    found = histograms(values)
    assert found.lengths.tolist() == [len(found.edges)]
    return found.edges, found.counts


def test_a_histogram_counts_powers_of_two_by_sign():
    edges, counts = histogram(0, -0.0, 1, 1.5, 2, -1, -3, 0.25, 1e-44)
    assert dict(zip(edges.tolist(), counts.tolist(), strict=True)) == {
        -2.0: 1,
        -1.0: 1,
        0.0: 3,
        0.25: 1,
        1.0: 2,
        2.0: 1,
    }


def test_histograms_of_several_rows_follow_one_another():
    found = histograms([1, 2, 2], [], [4])
    assert found.lengths.tolist() == [2, 0, 1]
    assert found.edges.tolist() == [1, 2, 4]
    assert found.counts.tolist() == [1, 2, 1]


def test_rows_that_are_not_wanted_have_no_histogram():
    found = histograms([1, 2], [4, 4], [8, 9], is_wanted=np.array([True, False, True]))
    assert found.lengths.tolist() == [2, 1]
    assert found.edges.tolist() == [1, 2, 8]


def test_zeros_of_both_signs_and_subnormal_numbers_are_one_bin():
    edges, counts = histogram(*[0.0, -0.0] * 50, 1e-44, -1e-44)
    assert edges.tolist() == [0]
    assert counts.tolist() == [102]


def test_a_histogram_keeps_nonfinite_values():
    edges, counts = histogram(np.inf, -np.inf, np.nan, 1)
    assert edges.tolist() == [-np.inf, 1.0, np.inf]
    assert counts.sum() == 4


@given(hnp.arrays(np.float32, st.integers(1, 200), elements=FLOATS))
def test_a_histogram_counts_every_value_once_in_ascending_bins_that_hold_it(values):
    edges, counts = histogram(*values)
    assert counts.sum() == len(values)
    assert (counts > 0).all()
    assert (np.diff(edges[np.isfinite(edges)]) > 0).all()
    with np.errstate(over="ignore"):
        for edge, count in zip(edges, counts, strict=True):
            if np.isfinite(edge) and edge:
                low, high = sorted((abs(edge), abs(2 * edge)))
                inside = (np.abs(values) >= low) & (np.abs(values) < high)
                assert (inside & (np.sign(values) == np.sign(edge))).sum() == count
