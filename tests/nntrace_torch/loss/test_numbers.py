"""A loss function's value that is added to the loss as a number is noticed."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from tracing import payloads

TARGETS = torch.randn(6, 2)


def told(trace_here, add, steps=8):
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)

    def train():
        for step in range(steps):
            predicted = layer(torch.randn(6, 3))
            one = functional.mse_loss(predicted, TARGETS)
            other = functional.l1_loss(predicted, TARGETS)
            optimizer.zero_grad()
            add(one, other, step).backward()
            optimizer.step()

    return [event for event in payloads(trace_here(train), "attached") if "function" in event]


AS_NUMBERS = [
    lambda one, other, step: one + other.item() * 0.5,
    lambda one, other, step: one + 0.5 * other.detach(),
    lambda one, other, step: one + torch.tensor(0.5 * other.item()),
]


@pytest.mark.parametrize("add", AS_NUMBERS)
def test_a_result_that_is_added_without_its_graph_is_told_once(trace_here, add):
    [payload] = told(trace_here, add)
    assert (payload["what"], payload["function"]) == ("number", "l1_loss")
    assert payload["weight"] == pytest.approx(0.5, rel=1e-3)
    assert payload["file"] == __file__
    assert told(trace_here, add, steps=3) == []


@pytest.mark.parametrize(
    "add",
    [
        lambda one, other, step: one + 0.5 * other,
        lambda one, other, step: one,
        lambda one, other, step: one + 0.1,
        lambda one, other, step: one + other.item() * 0.9**step,  # a baseline that fades
        lambda one, other, step: one / other.item(),
        lambda one, other, step: one.sqrt() + other.item(),  # cannot be told
    ],
)
def test_other_uses_of_a_number_are_not(trace_here, add):
    assert told(trace_here, add) == []
