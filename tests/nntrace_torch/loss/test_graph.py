"""What the graph tells of the operations that made predictions."""

import pytest
import torch
from nntrace_torch.loss.graph import is_doubled

SCORES = torch.zeros(4, 3, requires_grad=True)


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (SCORES.softmax(1).softmax(1), True),
        (SCORES.sigmoid().sigmoid(), True),
        (SCORES.softmax(1), False),
        ((10 * SCORES.softmax(1)).softmax(1), False),  # a temperature
        (SCORES.sigmoid().softmax(1), False),
        (SCORES, False),
    ],
)
def test_predictions_are_doubled_if_the_same_function_made_what_it_was_given(predictions, expected):
    assert is_doubled(predictions) is expected
