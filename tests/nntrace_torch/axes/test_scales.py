"""Scores of attention that are multiplied by the root of the width are found in a loss's graph."""

import pytest
import torch
from nntrace_torch.axes.scales import enlarged_scores
from torch import nn
from torch.nn import functional
from tracing import payloads

BATCH, HEADS, LENGTH, WIDTH = 2, 2, 5, 8
ROOT = WIDTH**0.5


def projected():
    return [torch.randn(BATCH, HEADS, LENGTH, WIDTH, requires_grad=True) for _ in range(3)]


def found(attended):
    return [(round(one.factor, 3), one.width) for one in enlarged_scores(attended.sum())]


def behind_a_mask(query, key, value, factor):
    scores = query @ key.transpose(-2, -1) * factor
    hidden = torch.ones(LENGTH, LENGTH).triu(1).bool()
    return scores.masked_fill(hidden, -1e9).softmax(-1) @ value


def by_division(query, key, value, factor):
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / (1 / factor)
    return functional.dropout(scores.softmax(-1), 0.1) @ value


def in_the_query(query, key, value, factor):
    return ((query * factor) @ key.transpose(-2, -1)).softmax(-1) @ value


def fused(query, key, value, factor):
    return functional.scaled_dot_product_attention(query, key, value, scale=factor)


@pytest.mark.parametrize("attend", [behind_a_mask, by_division, in_the_query, fused])
def test_the_root_of_the_width_is_found_where_it_multiplies(attend):
    assert found(attend(*projected(), ROOT)) == [(2.828, WIDTH)]
    for factor in (1 / ROOT, 1.0, 3.0):
        assert found(attend(*projected(), factor)) == []


def test_factors_on_both_sides_of_the_product_are_taken_together():
    query, key, value = projected()
    assert found(in_the_query(query / WIDTH, key, value, ROOT)) == []
    assert found(in_the_query(query, key * ROOT, value, 1.0)) == [(2.828, WIDTH)]


@pytest.mark.parametrize("attend", [behind_a_mask, in_the_query, fused])
def test_cosines_are_multiplied_on_purpose(attend):
    query, key, value = projected()
    unit = [functional.normalize(one, dim=-1) for one in (query, key)]
    assert found(attend(*unit, value, ROOT)) == []


def test_a_factor_that_is_learned_is_no_mistake():
    query, key, value = projected()
    factor = torch.tensor(ROOT, requires_grad=True)
    assert found(behind_a_mask(query, key, value, factor)) == []


def test_it_is_told_with_the_line_that_built_a_layer(trace_here):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Linear(WIDTH, 3 * WIDTH)

        def forward(self, x):
            query, key, value = self.project(x).chunk(3, -1)
            return behind_a_mask(query, key, value, ROOT)

    def train():
        model = Attention()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            model(torch.randn(BATCH, LENGTH, WIDTH)).square().mean().backward()
            optimizer.step()

    [payload] = payloads(trace_here(train), "axes")
    assert (payload["what"], payload["width"]) == ("scale", WIDTH)
    assert payload["file"] == __file__
