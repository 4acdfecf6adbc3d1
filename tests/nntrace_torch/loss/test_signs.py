"""Labels of zeros and ones for loss functions that want -1 and 1 are noticed."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from tracing import payloads

ZERO_OR_ONE, SIGNS = torch.tensor([0.0, 1.0, 0.0, 1.0]), torch.tensor([-1.0, 1.0, -1.0, 1.0])
CALLS = {
    "cosine_embedding_loss": lambda x, y: functional.cosine_embedding_loss(x, x.flip(0), y),
    "margin_ranking_loss": lambda x, y: nn.MarginRankingLoss()(x[:, 0], x[:, 1], y),
    "hinge_embedding_loss": lambda x, y: functional.hinge_embedding_loss(x[:, 0], target=y),
    "soft_margin_loss": lambda x, y: functional.soft_margin_loss(x[:, 0], y),
}


def told(trace_here, call, labels):
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)

    def train():
        for _ in range(8):
            call(layer(torch.randn(len(labels), 3)), labels).backward()
            optimizer.step()

    return payloads(trace_here(train), "signs")


@pytest.mark.parametrize("name", CALLS)
def test_zeros_and_ones_are_told_once_for_each_function(trace_here, name):
    [payload] = told(trace_here, CALLS[name], ZERO_OR_ONE)
    assert (payload["function"], payload["zeros"]) == (name, 0.5)
    assert payload["file"] == __file__


def test_a_share_of_zeros_that_is_no_binary_fraction_is_told_too(trace_here):
    [payload] = told(trace_here, CALLS["soft_margin_loss"], torch.tensor([0.0, 1.0, 1.0]))
    assert payload["zeros"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("labels", [SIGNS, SIGNS.clamp(min=-0.5), torch.ones(4)])
def test_other_labels_are_not(trace_here, labels):
    assert told(trace_here, CALLS["soft_margin_loss"], labels) == []


def test_ties_among_signs_may_be_zero(trace_here):
    assert told(trace_here, CALLS["margin_ranking_loss"], torch.tensor([0.0, 1, 0, -1])) == []


HINGES = {
    "clamp": lambda score, y: torch.clamp(1 - y * score, min=0),
    "relu": lambda score, y: torch.relu(1 - score * y),
    "max": lambda score, y: torch.max(torch.zeros_like(score), 1 - y * score),
}


@pytest.mark.parametrize("name", HINGES)
def test_a_hinge_written_by_hand_is_told(trace_here, name):
    def call(outputs, y):
        return HINGES[name](outputs[:, 0], y).mean()

    [payload] = told(trace_here, call, ZERO_OR_ONE)
    assert payload["function"] == "hinge"
    assert told(trace_here, call, SIGNS) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: torch.relu(1 - x[:, 0]).mul(y).mean(),
        lambda x, y: torch.relu(1 - x[:, 0].square() * y).mean(),  # a distance, which is masked
        lambda x, y: torch.relu(x[:, 1] - x[:, 0] * y).mean(),
    ],
)
def test_zeros_and_ones_elsewhere_about_a_bound_are_masks(trace_here, call):
    assert told(trace_here, call, ZERO_OR_ONE) == []
