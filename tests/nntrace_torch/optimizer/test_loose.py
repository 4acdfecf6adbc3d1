"""Tensors of a module that want gradients and are no parameters are noticed."""

import torch
from torch import nn
from tracing import payloads


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.scale = torch.ones(2, requires_grad=True)
        self.unused = torch.ones(2, requires_grad=True)

    def forward(self, x):
        return self.inner(x) * self.scale


def told(trace_here, *, held=False, by_hand=False, anew=False):
    def train():
        model = Scaled()
        given = [*model.parameters(), *([model.scale] if held else [])]
        optimizer = torch.optim.SGD(given, lr=0.01)
        for _ in range(12):
            if anew:
                model.scale = torch.ones(2, requires_grad=True)
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
            if by_hand:
                with torch.no_grad():
                    model.scale -= 0.01 * model.scale.grad

    return payloads(trace_here(train), "loose")


def test_a_tensor_that_the_loss_depends_on_and_nobody_changes_is_told_once(trace_here):
    [payload] = told(trace_here)
    assert (payload["tensors"], payload["class"]) == (["scale"], "Scaled")
    assert payload["file"] == __file__


def test_so_is_one_in_a_list(trace_here):
    class Weighed(Scaled):
        def __init__(self):
            super().__init__()
            self.scale = None
            self.scales = [torch.ones(2, requires_grad=True)]

        def forward(self, x):
            return self.inner(x) * self.scales[0]

    def train():
        model = Weighed()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(12):
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()

    [event] = trace_here(train).events_of("loose")
    assert event.payload["tensors"] == ["scales.0"]


def test_one_that_an_optimizer_holds_or_the_program_changes_is_left_alone(trace_here):
    assert told(trace_here, held=True) == []
    assert told(trace_here, by_hand=True) == []
    assert told(trace_here, anew=True) == []


def test_points_that_the_program_differentiates_by_are_no_weights(trace_here):
    model = Scaled()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def train():
        for _ in range(12):
            out = model(torch.randn(4, 3))
            (slope,) = torch.autograd.grad(out.sum(), model.scale, create_graph=True)
            (out.square().mean() + slope.square().mean()).backward()
            optimizer.step()

    assert trace_here(train).events_of("loose") == ()
