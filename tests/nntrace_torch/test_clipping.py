"""Gradients that are clipped where no step uses them any more are noticed."""

import pytest
import torch
from torch import nn


def program(place, steps=12):
    def run():
        model = nn.Linear(3, 1)
        optimizers = [torch.optim.SGD([p], lr=0.01) for p in model.parameters()]
        for _ in range(steps):
            for optimizer in optimizers:
                optimizer.zero_grad()
            for _ in range(2 if place == "accumulated" else 1):
                model(torch.randn(4, 3)).square().mean().backward()
                if place in ("before", "accumulated"):
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                if place == "each":
                    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
                optimizer.step()
            if place == "after":
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    return run


def test_gradients_clipped_after_the_step_are_told_once_with_the_line(trace_here):
    [event] = trace_here(program("after")).events_of("clipped_late")
    assert event.payload["steps"] == 5
    assert event.payload["file"] == __file__


@pytest.mark.parametrize("place", ["before", "accumulated", "each"])
def test_gradients_clipped_before_a_step_are_not(trace_here, place):
    trace = trace_here(program(place))
    assert trace.events_of("clipped_late") == ()
    assert (trace.steps.clip_limit == 1.0).any()
