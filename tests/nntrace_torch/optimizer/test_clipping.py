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


def faults(trace):
    return [event for event in trace.events_of("clipping") if event.payload["fault"]]


def scaled(*, unscales, enabled=True, steps=12):
    def run():
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        scaler = torch.amp.GradScaler("cpu", enabled=enabled)
        for _ in range(steps):
            optimizer.zero_grad()
            scaler.scale(model(torch.randn(4, 3)).square().mean()).backward()
            if unscales:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()

    return run


def test_the_line_of_the_first_call_is_known(trace_here):
    [event] = trace_here(program("before")).events_of("clipping")
    assert event.payload["file"] == __file__


def test_gradients_clipped_with_the_scale_of_the_loss_in_them_are_told_once(trace_here):
    [event] = faults(trace_here(scaled(unscales=False)))
    assert event.payload["fault"] == "scaled"
    assert event.payload["file"] == __file__


@pytest.mark.parametrize(("unscales", "enabled"), [(True, True), (False, False)])
def test_gradients_without_that_scale_are_not(trace_here, unscales, enabled):
    assert faults(trace_here(scaled(unscales=unscales, enabled=enabled))) == []


def test_gradients_clipped_after_the_step_are_told_once_with_the_line(trace_here):
    [event] = faults(trace_here(program("after")))
    assert event.payload["fault"] == "late"
    assert event.payload["file"] == __file__


@pytest.mark.parametrize("place", ["before", "accumulated", "each"])
def test_gradients_clipped_before_a_step_are_not(trace_here, place):
    trace = trace_here(program(place))
    assert faults(trace) == []
    assert (trace.steps.clip_limit == 1.0).any()
