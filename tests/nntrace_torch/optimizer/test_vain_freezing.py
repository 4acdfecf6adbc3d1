"""`part.requires_grad = False` and `p.require_grad = False` freeze nothing, and are noticed."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from tracing import payloads


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.backbone(x))


def train(model, parameters, each_step=lambda step: None):
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    for step in range(24):
        each_step(step)
        optimizer.zero_grad()
        model(torch.randn(4, 4)).square().mean().backward()
        optimizer.step()


def told(trace_here, prepare, given=lambda model: model.parameters(), **options):
    model = Net()
    prepare(model)
    run = trace_here(lambda: train(model, list(given(model)), **options))
    return payloads(run, "trainable")


def set_of_the_module(model):
    model.backbone.requires_grad = False


def misspell(model):
    for parameter in model.backbone.parameters():
        parameter.require_grad = False


def freeze(model):
    set_of_the_module(model)
    model.backbone.requires_grad_(False)


def test_the_attribute_of_a_module_freezes_nothing(trace_here):
    [payload] = told(trace_here, set_of_the_module)
    assert payload["switch"] == "backbone.requires_grad"
    assert payload["still_trained"][0] == "backbone.0.weight"
    assert len(payload["still_trained"]) == 4


def test_nor_does_a_misspelled_attribute_of_a_parameter(trace_here):
    [payload] = told(trace_here, misspell)
    assert payload["switch"] == "backbone.0.weight.require_grad"


@pytest.mark.parametrize("prepare", [set_of_the_module, misspell])
def test_the_statement_is_named_that_sets_it(trace_here, prepare):
    [payload] = told(trace_here, prepare)
    lines = Path(__file__).read_text().splitlines()
    assert payload["file"] == __file__
    assert "= False" in lines[payload["line"] - 1]


def test_what_is_frozen_indeed_or_in_no_optimizer_is_left_alone(trace_here):
    assert told(trace_here, freeze) == []
    assert told(trace_here, set_of_the_module, given=lambda m: m.head.parameters()) == []


def test_so_is_what_is_set_true_again_and_an_attribute_of_another_name(trace_here):
    def toggle(step):
        vars(model.backbone)["requires_grad"] = step % 2 == 0

    model = Net()
    run = trace_here(lambda: train(model, list(model.parameters()), toggle))
    assert run.events_of("trainable") == ()

    def mark(model):
        for parameter in model.parameters():
            parameter.is_shared = False

    assert told(trace_here, mark) == []


def test_training_is_the_same_with_it(trace_here):
    torch.manual_seed(0)
    model = Net()
    set_of_the_module(model)
    other = copy.deepcopy(model)
    torch.manual_seed(1)
    trace_here(lambda: train(model, list(model.parameters())))
    torch.manual_seed(1)
    train(other, list(other.parameters()))
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True)
    )
