import numpy as np
import pytest

from nntrace.recorder import sorting
from nntrace.recorder.sorting import RowSorter, columnsort, spare_size

LENGTHS = [784, 1536, 2500, 3840, 4095, 4096]


def rows_of(length):
    rng = np.random.default_rng(length)
    rows = rng.standard_normal((5, length)).astype(np.float32)
    rows[1] = np.round(rows[1])  # many equal values
    rows[2, ::7] = np.nan
    rows[2, 1::7] = np.inf
    rows[2, 2::7] = -np.inf
    rows[3] = np.sort(rows[3])[::-1]
    rows[4] = np.nan
    return rows


@pytest.mark.parametrize("length", LENGTHS)
def test_a_columnsort_gives_the_rows_that_numpy_gives(length):
    rows = rows_of(length)
    expected = np.sort(rows, axis=1)
    columnsort(rows, np.empty(spare_size(rows), np.float32))
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("is_faster", [True, False])
@pytest.mark.parametrize("length", [1, 512, 1024, *LENGTHS, 5000])
def test_rows_of_any_length_are_sorted_whichever_way_is_faster(monkeypatch, is_faster, length):
    monkeypatch.setattr(sorting, "_columnsort_is_faster", lambda: is_faster)
    sorter = RowSorter()
    for rows in (rows_of(length), rows_of(length)[:2]):
        expected = np.sort(rows, axis=1)
        sorter.sort(rows)
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(("columnsort_ns", "found"), [(1, True), (3, False)])
def test_the_way_that_takes_less_time_is_chosen(monkeypatch, columnsort_ns, found):
    monkeypatch.setattr(
        sorting, "_least_time", lambda sort, rows: 2 if sort is np.ndarray.sort else columnsort_ns
    )
    assert sorting._columnsort_is_faster.__wrapped__() is found
