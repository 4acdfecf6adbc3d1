"""A batch norm that two inputs of one forward pass share is told of."""

import torch
from torch import nn
from torch.nn import functional
from torch_programs import classify
from tracing import payloads

INPUTS = torch.randn(6, 4)


class Twins(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.inside(x) - self.inside(x.flip(0)))


def test_a_batch_norm_called_twice_in_one_forward_is_recorded_once(trace_here):
    trace = trace_here(lambda: classify(Twins(), INPUTS, steps=3))
    assert [payload["path"] for payload in payloads(trace, "reused")] == ["inside.1"]


def test_a_batch_norm_called_in_two_forwards_of_a_step_is_not_reused(trace_here):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def twice(outputs, targets):
        return functional.cross_entropy(outputs + model(INPUTS), targets)

    assert not payloads(trace_here(lambda: classify(model, INPUTS, loss_function=twice)), "reused")
