"""Masks of ones and zeros that are added to the scores of attention are noticed."""

import pytest
import torch
from nntrace_torch.samples.masks import is_added_triangle
from torch import nn

ONES = torch.ones(5, 5)
HIDING = nn.Transformer.generate_square_subsequent_mask(5)


@pytest.mark.parametrize("mask", [ONES.tril(), ONES.triu(1), ONES.tril()[None, None]])
def test_a_triangle_of_ones_is_added_and_hides_nothing(mask):
    assert is_added_triangle(mask)


@pytest.mark.parametrize("mask", [ONES, 0 * ONES, HIDING, ONES.tril().bool(), -ONES.triu(1)])
def test_other_masks_are_left_alone(mask):
    assert not is_added_triangle(mask)


@pytest.mark.parametrize(("mask", "number"), [(ONES.tril(), 1), (HIDING, 0)])
def test_a_model_that_adds_one_is_told_once_with_its_line(trace_here, mask, number):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)

    def train():
        for _ in range(3):
            layer(torch.randn(2, 5, 8), src_mask=mask).square().mean().backward()
            optimizer.step()

    found = [e.payload for e in trace_here(train).events_of("axes") if e.payload["what"] == "mask"]
    assert [payload["file"] for payload in found] == [__file__] * number
