"""Masks of attention that are added and hide nothing, or are inverted, are noticed."""

import pytest
import torch
from nntrace_torch.samples.masks import (
    is_added_triangle,
    seen_keys,
    shows_one_id,
    shows_what_is_behind,
)
from torch import nn
from tracing import payloads

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


LENGTHS = torch.tensor([5, 4, 2, 5, 3])
IS_TOKEN = (torch.arange(5) < LENGTHS[:, None])[:, None, None]  # [examples, heads, queries, keys]


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (~IS_TOKEN, True),
        (torch.zeros(5, 2, 1, 5).masked_fill(IS_TOKEN, -torch.inf), True),
        (~IS_TOKEN & ONES.tril().bool(), True),  # a causal mask besides
        (IS_TOKEN, False),
        (IS_TOKEN.flip(-1), False),  # padding in front
        (~IS_TOKEN[1:], True),
        (~IS_TOKEN[[1, 2, 4]], False),  # none is the longest
    ],
)
def test_a_mask_that_hides_the_longest_sequence_whole_is_told_from_others(mask, found):
    assert shows_what_is_behind(seen_keys(mask)) is found


@pytest.mark.parametrize("mask", [IS_TOKEN & False, torch.randn(5, 2, 5, 5), ONES.tril().bool()])
def test_a_mask_that_is_the_same_for_all_examples_is_not_about_padding(mask):
    assert seen_keys(mask) is None


@pytest.mark.parametrize(("inverted", "padding", "found"), [(1, 0, 1), (0, 0, 0), (1, 7, 0)])
def test_ids_tell_padding_from_sequences_whatever_their_length(inverted, padding, found):
    is_token = torch.arange(8) < torch.tensor([5, 4, 2, 5, 3])[:, None]
    ids = (torch.arange(40) % 7 + 1).view(5, 8).where(is_token, torch.tensor(0))
    ids[:, -1] += padding  # what is seen is not one and the same
    assert shows_one_id(~is_token if inverted else is_token, ids) == found


@pytest.mark.parametrize(("shown", "kinds", "found"), [(8, 4, True), (7, 4, False), (8, 3, False)])
def test_a_few_ids_or_kinds_of_them_do_not_tell_padding_from_sequences(shown, kinds, found):
    is_seen = (torch.arange(20) < shown)[None]
    ids = (torch.arange(20) % kinds + 1).where(~is_seen, torch.tensor(0))
    assert shows_one_id(is_seen, ids) is found


@pytest.mark.parametrize(
    ("shows_words", "gives_ids", "number"),
    [(False, False, 1), (False, True, 1), (True, False, 0), (True, True, 0)],
)
def test_an_inverted_padding_mask_is_told_once(trace_here, shows_words, gives_ids, number):
    torch.manual_seed(0)
    ids = torch.randint(1, 9, (10, 5)).where(IS_TOKEN[:, 0, 0].repeat(2, 1), torch.tensor(0))
    table, layer = nn.Embedding(9, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.layer = table, layer

        def forward(self, given, is_padding):
            read = given if given.is_floating_point() else self.table(given)
            return self.layer(read, src_key_padding_mask=is_padding)

    model = Reader()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def train():
        for _ in range(6):
            is_padding = (ids == 0) == shows_words
            out = model(ids if gives_ids else torch.randn(10, 5, 8), is_padding)
            out[ids != 0].square().mean().backward()
            optimizer.step()

    found = payloads(trace_here(train), "padded")
    assert [payload["reads"] for payload in found] == ["mask"] * number


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("hides_words", "number"), [(True, 1), (False, 0)])
def test_scores_that_are_filled_at_the_words_are_told_once(trace_here, heads, hides_words, number):
    torch.manual_seed(0)
    ids = torch.randint(1, 9, (10, 5)).where(IS_TOKEN[:, 0, 0].repeat(2, 1), torch.tensor(0))
    model = nn.Embedding(9, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def train():
        for _ in range(6):
            read = model(ids)
            cut = read if heads == 1 else read.view(10, 5, heads, 4).transpose(1, 2)
            filled = (ids != 0) == hides_words
            filled = filled[:, None] if heads == 1 else filled[:, None, None]
            scores = (cut @ cut.transpose(-2, -1)).masked_fill(filled, -1e9)
            (scores.softmax(-1) @ cut).square().mean().backward()
            optimizer.step()

    found = payloads(trace_here(train), "padded")
    assert [(one["reads"], one["file"]) for one in found] == [("mask", __file__)] * number


def test_a_history_that_ends_at_the_last_position_is_no_padding(trace_here):
    """Some users have none, and nobody's is full."""
    torch.manual_seed(0)
    lengths = torch.tensor([0, 4, 2, 3, 1])[:, None]
    items = torch.randint(1, 9, (5, 6)).where(torch.arange(6) >= 6 - lengths, torch.tensor(0))
    table, layer = nn.Embedding(9, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Recommender(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.layer = table, layer

        def forward(self, items):
            return self.layer(self.table(items), src_key_padding_mask=items == 0)

    model = Recommender()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def train():
        for _ in range(6):
            model(items)[items != 0].square().mean().backward()
            optimizer.step()

    assert payloads(trace_here(train), "padded") == []
