"""What CTC is given is recorded: labels that no path can spell, and rows that are no logarithms."""

import pytest
import torch
from nntrace_torch.loss.alignment import _filling, _is_too_short
from torch import nn
from torch.nn import functional

FRAMES, EXAMPLES, CLASSES = 12, 4, 6
ALL_FRAMES, THREE = torch.full((EXAMPLES,), FRAMES), torch.full((EXAMPLES,), 3)
LABELS = torch.tensor([[1, 2, 3], [2, 3, 4], [5, 4, 5], [3, 1, 2]])


def seen(trace_here, compute, *given, **options):
    """The first recorded call; `compute` makes the rows that CTC is given of the outputs."""
    layer = nn.Linear(3, CLASSES)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)

    def train():
        for _ in range(3):
            rows = compute(layer(torch.randn(FRAMES, EXAMPLES, 3)))
            functional.ctc_loss(rows, *given, **options).backward()
            optimizer.step()

    events = trace_here(train).events_of("alignment")
    return events[0].payload


def log_softmax(x):
    return x.log_softmax(-1)


def test_a_call_that_is_right(trace_here):
    payload = seen(trace_here, log_softmax, LABELS, ALL_FRAMES, THREE)
    assert (payload["frames"], payload["examples"], payload["classes"]) == (12, 4, 6)
    assert (payload["blanks"], payload["too_short"]) == (0.0, 0.0)
    assert payload["log_sum"] < 1e-3
    assert not payload["as_many_as_labels"]
    assert payload["file"] == __file__


def test_labels_that_are_the_blank_are_counted_within_their_lengths(trace_here):
    payload = seen(trace_here, log_softmax, LABELS - 1, ALL_FRAMES, THREE)
    assert payload["blanks"] == pytest.approx(2 / 12)
    assert not payload["blanks_fill_up"]
    lengths = torch.tensor([3, 3, 2, 1])
    padded = LABELS.masked_fill(torch.arange(3) >= lengths[:, None], 0)
    assert seen(trace_here, log_softmax, padded, ALL_FRAMES, lengths)["blanks"] == 0.0
    assert seen(trace_here, log_softmax, padded, ALL_FRAMES, THREE)["blanks_fill_up"]


def test_labels_may_stand_in_one_row_and_lengths_in_a_list(trace_here):
    payload = seen(trace_here, log_softmax, LABELS.flatten(), [12] * 4, [3] * 4, blank=5)
    assert payload["blank"] == 5
    assert payload["blanks"] == pytest.approx(2 / 12)


def test_frames_that_are_as_many_as_labels_or_fewer(trace_here):
    assert seen(trace_here, log_softmax, LABELS, THREE, THREE)["as_many_as_labels"]
    frames = torch.tensor([2, 12, 12, 12])
    payload = seen(trace_here, log_softmax, LABELS, frames, THREE, zero_infinity=True)
    assert (payload["too_short"], payload["infinity_is_zero"]) == (0.25, True)


@pytest.mark.parametrize(("compute", "shares"), [(lambda x: 3 * x, 0), (lambda x: x.softmax(2), 1)])
def test_rows_that_are_no_log_probabilities(trace_here, compute, shares):
    payload = seen(trace_here, compute, LABELS, ALL_FRAMES, THREE)
    assert payload["log_sum"] > 0.1
    assert payload["probabilities"] == bool(shares)


def test_equal_neighbours_need_a_blank_between_them():
    assert _is_too_short(2, [1, 1])
    assert not _is_too_short(3, [1, 1])
    assert not _is_too_short(2, [1, 2])


@pytest.mark.parametrize(("row", "filling"), [([1, 0, 0], 2), ([0, 1], 0), ([0, 0], 2), ([], 0)])
def test_blanks_that_fill_up_a_row_are_those_at_its_end(row, filling):
    assert _filling(row, 0) == filling
