"""`optimizer.lr = 1e-4` changes nothing, and is noticed, with its line."""

import linecache
from pathlib import Path

import pytest
import torch
from torch import nn
from tracing import payloads


def told(trace_here, change, kind=torch.optim.SGD, **settings):
    """What is told of a program that changes its optimizer before each of a few steps."""

    def train():
        model = nn.Linear(4, 2)
        optimizer = kind(model.parameters(), lr=0.1, **settings)
        for step in range(6):
            change(optimizer, step)
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()

    return payloads(trace_here(train), "vain_setting")


def lower_the_attribute(optimizer, step):
    optimizer.lr = 0.1 * 0.5**step


def lower_the_default(optimizer, step):
    optimizer.defaults["lr"] = 0.1 * 0.5**step


@pytest.mark.parametrize(
    ("change", "setting"), [(lower_the_attribute, "lr"), (lower_the_default, "defaults['lr']")]
)
def test_a_rate_that_no_optimizer_reads_is_told_once(trace_here, change, setting):
    [payload] = told(trace_here, change)
    assert (payload["optimizer"], payload["setting"]) == ("SGD", setting)
    assert (payload["value"], payload["in_force"]) == (0.05, 0.1)
    assert Path(payload["file"]) == Path(__file__)
    assert linecache.getline(__file__, payload["line"]).strip().endswith("= 0.1 * 0.5**step")


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0.01), ("weight_decay", 1e-4)])
def test_other_settings_are_told_too(trace_here, name, value):
    [payload] = told(trace_here, lambda optimizer, _: setattr(optimizer, name, value))
    assert (payload["setting"], payload["value"]) == (name, value)


def test_a_rate_that_is_in_force_is_a_note_of_the_programs_own(trace_here):
    def follow(optimizer, step):
        optimizer.lr = optimizer.param_groups[0]["lr"] = 0.1 * 0.5**step

    assert told(trace_here, follow) == []


def test_so_is_the_rate_that_a_warm_up_climbs_to(trace_here):
    def warm_up(optimizer, step):
        optimizer.lr = 0.1
        optimizer.param_groups[0]["lr"] = 0.1 * (step + 1) / 6

    assert told(trace_here, warm_up) == []


def test_an_optimizer_of_the_programs_own_may_read_its_attributes(trace_here):
    class Own(torch.optim.SGD):
        def step(self, closure=None):
            self.param_groups[0]["lr"] = self.lr / 2
            return super().step(closure)

    assert told(trace_here, lower_the_attribute, Own) == []


def test_what_is_no_number_is_passed_over(trace_here):
    assert told(trace_here, lambda optimizer, _: setattr(optimizer, "lr", "slow")) == []
