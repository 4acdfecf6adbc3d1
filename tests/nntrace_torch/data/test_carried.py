"""A recurrent state that goes on from one shuffled batch to the next is noticed."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tracing import payloads


def detached(state):
    return tuple(map(torch.detach, state)) if isinstance(state, tuple) else state.detach()


def told(trace_here, *, kind=nn.GRU, shuffle=True, carry=True, pieces=1):
    loader = DataLoader(TensorDataset(torch.randn(64, 6, 3)), batch_size=8, shuffle=shuffle)

    def train():
        layer, head = kind(3, 4, batch_first=True), nn.Linear(4, 1)
        optimizer = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.01)
        state = None
        for (x,) in loader:
            state = state if carry else None
            for piece in x.chunk(pieces, dim=1):
                out, state = layer(piece, state)
                state = detached(state)
                optimizer.zero_grad()
                head(out).square().mean().backward()
                optimizer.step()

    return payloads(trace_here(train), "carried")


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_state_carried_across_shuffled_batches_is_told_once(trace_here, kind):
    [payload] = told(trace_here, kind=kind)
    assert payload["class"] == kind.__name__
    assert payload["file"] == __file__


def test_a_state_may_go_on_in_batches_in_their_order(trace_here):
    assert told(trace_here, shuffle=False) == []


def test_a_state_may_go_on_within_a_batch(trace_here):
    assert told(trace_here, carry=False, pieces=2) == []


def test_a_state_that_begins_anew_is_not_carried(trace_here):
    assert told(trace_here, carry=False) == []
