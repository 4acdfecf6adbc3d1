import warnings

import numpy as np
import pytest

from nntrace.recorder.batches import SeenExamples, summarise
from nntrace.recorder.sample import BatchSample


def floats(*values):
    return np.array(values, dtype=np.float32)


def summary(**facts):
    return summarise(BatchSample(step=3, phase="train", **facts), SeenExamples())


def test_a_batch_of_which_nothing_is_known_has_a_row_all_the_same():
    row = summary().row()
    assert (row["step"], row["phase"]) == (3, "train")
    assert row["fingerprint"] is None
    assert row["input_mean"] is None


def test_the_fingerprint_depends_on_the_examples_and_their_order():
    hashes = np.array([1, 2, 3], dtype=np.int64)
    same, swapped = hashes.copy(), hashes[::-1]
    prints = [summary(example_hashes=h).fingerprint for h in (hashes, same, swapped)]
    assert prints[0] == prints[1] != prints[2]


def test_duplicates_are_the_examples_that_occurred_before():
    hashes = np.array([5, 5, 7, 5, 7], dtype=np.int64)
    assert summary(example_hashes=hashes).duplicate_examples == 3


def test_the_labels_of_copies_within_a_batch_and_of_earlier_ones_are_told():
    seen = SeenExamples()
    batches = [((1, 2, 1), (4, 6, 4)), ((1, 3, 4), (4, 5, 6)), ((1, 3, 4), (0.5, 4, 6))]
    samples = [
        BatchSample(0, "train", epoch=0, example_hashes=np.array(hashes), targets=floats(*targets))
        for hashes, targets in batches
    ]
    rows = [summarise(sample, seen) for sample in samples]
    assert [row.repeated_examples for row in rows] == [0, 1, 3]
    assert [row.copied_labels for row in rows] == [(4,), (4,), ()]


def test_moments_leave_out_what_is_not_finite():
    row = summary(inputs=floats(1, 3, np.nan, np.inf), targets=floats(np.nan))
    assert (row.input_mean, row.input_std, row.input_min, row.input_max) == (2, 1, 1, 3)
    assert row.target_mean is None
    assert row.input_integer_valued is False


def test_labels_are_counted_by_value():
    row = summary(targets=floats(2, 0, 2, -1), labels=True)
    assert row.label_values == (-1, 0, 2)
    assert row.label_counts == (1, 1, 2)


def test_the_label_that_the_loss_leaves_out_is_not_counted():
    row = summary(targets=floats(2, 255, 2, 0, 255), labels=True, ignored=255)
    assert row.label_values == (0, 2)
    assert row.label_counts == (1, 2)
    assert summary(targets=floats(255), labels=True, ignored=255).label_values == ()


def test_a_huge_vocabulary_of_labels_is_cut_short():
    row = summary(targets=np.arange(10_000, dtype=np.float32), labels=True)
    assert len(row.label_values) == len(row.label_counts) == 4096


def test_row_sums_are_taken_over_the_class_axis():
    row = summary(predictions=floats(0.1, 0.9, 0.5, 0.7).reshape(2, 2), classes=2)
    assert row.row_sum_min == pytest.approx(1.0)
    assert row.row_sum_max == pytest.approx(1.2)
    assert (row.output_min, row.output_max) == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize(
    "predictions", [floats(np.inf, -np.inf), floats(3e38, 3e38), floats(np.nan, 1)]
)
def test_predictions_that_overflowed_raise_no_warning_in_the_users_program(predictions):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = summary(
            inputs=predictions, targets=predictions, predictions=predictions.reshape(1, 2)
        )
    assert row.row_sum_max is not None


def test_no_predictions_have_no_row_sums():
    assert summary(predictions=np.empty((0, 3), dtype=np.float32)).row_sum_min is None


def test_the_narrowest_and_the_widest_feature_are_told_without_flags_and_constants():
    rows = np.zeros((100, 4), dtype=np.float32)
    rows[:, 0] = np.linspace(0.0, 1.0, 100)
    rows[:, 1] = np.linspace(0.0, 5000.0, 100)
    rows[:50, 2] = 1.0  # a flag
    rows[0, 3] = 9.0  # one value in most rows
    batch = BatchSample(0, "train", inputs=rows.reshape(-1), input_features=4)
    record = summarise(batch, SeenExamples())
    assert (record.feature_low, record.feature_high) == (0, 1)
    assert record.feature_spread_low == pytest.approx(0.8, rel=0.01)
    assert record.feature_spread_high == pytest.approx(4000.0, rel=0.01)


def test_a_feature_that_is_one_value_in_most_of_few_rows_has_no_spread():
    rows = np.tile(np.linspace(0.0, 5.0, 30, dtype=np.float32)[:, None], (1, 3))
    rows[:, 2] = 0.0
    rows[:3, 2] = [1.0, 2.0, 4.0]  # a tenth of thirty rows
    batch = BatchSample(0, "train", inputs=rows.reshape(-1), input_features=3)
    record = summarise(batch, SeenExamples())
    assert record.feature_spread_low == pytest.approx(record.feature_spread_high)


def test_the_log_sum_of_large_outputs_is_finite():
    rows = np.array([[1000.0, 0.0], [-1000.0, -2000.0]], dtype=np.float32)
    record = summarise(BatchSample(0, "train", predictions=rows), SeenExamples())
    assert (record.row_lse_min, record.row_lse_max) == (-1000.0, 1000.0)


def test_the_log_sum_of_log_probabilities_is_zero():
    rows = np.log(np.array([[0.2, 0.8], [0.5, 0.5]], dtype=np.float32))
    record = summarise(BatchSample(0, "train", predictions=rows), SeenExamples())
    assert record.row_lse_min == pytest.approx(0.0, abs=1e-6)
    assert record.row_lse_max == pytest.approx(0.0, abs=1e-6)
