import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nntrace.recorder.histograms import signed_log2_histograms

FLOATS = st.floats(width=32, allow_subnormal=True)


def histogram(*values):
    found = signed_log2_histograms([np.array(values, dtype=np.float32)])
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
    found = signed_log2_histograms([np.array(row, np.float32) for row in ([1, 2, 2], [], [4])])
    assert found.lengths.tolist() == [2, 0, 1]
    assert found.edges.tolist() == [1, 2, 4]
    assert found.counts.tolist() == [1, 2, 1]


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
