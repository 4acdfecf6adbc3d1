"""An optimizer is announced with its settings and its line, and keeps its name when built anew."""

import inspect
import sys
from types import SimpleNamespace

import torch
from torch_programs import classify, mlp
from tracing import payloads

from nntrace.schema import Role

INPUTS = torch.randn(6, 4)


def test_an_optimizer_built_anew_for_the_same_parameters_keeps_its_name(trace_here):
    def program():
        model = mlp()
        for _ in range(3):
            optimizer = torch.optim.Adam(model.parameters(), weight_decay=0.1)
            classify(model, INPUTS, steps=2, optimizer=optimizer)

    trace = trace_here(program)
    assert set(trace.steps.optimizer) == {"Adam"}
    found = payloads(trace, "optimizer")
    assert [payload["built"] for payload in found] == [1, 2, 3]
    assert found[0]["stateful"] is True
    assert found[0]["decoupled"] is False


def test_an_optimizer_that_never_stepped_is_not_counted_among_those_built_before(trace_here):
    def program():
        model = mlp()
        for steps in (0, 0, 2, 2):
            optimizer = torch.optim.Adam(model.parameters())
            classify(model, INPUTS, steps=steps, optimizer=optimizer)

    trace = trace_here(program)
    assert set(trace.steps.optimizer) == {"Adam"}
    assert [payload["built"] for payload in payloads(trace, "optimizer")] == [1, 2]


def test_an_optimizer_tells_in_which_cell_of_a_notebook_it_steps(trace_here, monkeypatch):
    shell = SimpleNamespace(execution_count=0)
    ipython = SimpleNamespace(get_ipython=lambda: shell)

    def program():
        model = mlp()
        for cell in (7, 8):
            shell.execution_count = cell
            optimizer = torch.optim.Adam(model.parameters())
            classify(model, INPUTS, steps=2, optimizer=optimizer)

    monkeypatch.setitem(sys.modules, "IPython", ipython)
    found = payloads(trace_here(program), "optimizer")
    assert [(one["built"], one["cell"]) for one in found] == [(1, 7), (2, 8)]


def test_optimizers_of_one_line_for_different_models_are_different(trace_here):
    def program():
        for _ in range(2):
            model = mlp()
            classify(model, INPUTS, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

    trace = trace_here(program)
    assert len(set(trace.steps.optimizer)) == 2
    assert [payload["built"] for payload in payloads(trace, "optimizer")] == [1, 1]
    assert payloads(trace, "optimizer")[0]["stateful"] is False


def test_updates_know_rate_and_decay_of_their_group(trace_here):
    def program():
        model = mlp()
        weights, biases = (
            [p for p in model.parameters() if (p.dim() > 1) is many] for many in (True, False)
        )
        groups = [{"params": weights, "weight_decay": 0.01}, {"params": biases, "lr": 0.2}]
        optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.0)
        classify(model, INPUTS, optimizer=optimizer)

    updates = trace_here(program).sites_of(Role.UPDATE)
    found = [(len(one.shape), round(one.lr, 6), round(one.weight_decay, 6)) for one in updates]
    assert sorted(found) == [(1, 0.2, 0.0), (1, 0.2, 0.0), (2, 0.1, 0.01), (2, 0.1, 0.01)]


def test_an_optimizer_is_announced_with_its_settings_and_its_line(trace_here):
    model = mlp()
    line = inspect.currentframe().f_lineno + 3

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        classify(model, torch.randn(6, 4), optimizer=optimizer)

    (payload,) = payloads(trace_here(program), "optimizer")
    assert payload["name"] == payload["class"] == "SGD"
    assert payload["parameters"] == 4
    assert (payload["lr"], payload["momentum"], payload["weight_decay"]) == (0.1, 0.9, 0.01)
    assert payload["file"] == __file__
    assert payload["line"] == line


def test_the_two_averages_of_adam_are_among_its_settings(trace_here):
    model = mlp()

    def program():
        optimizer = torch.optim.AdamW(model.parameters(), betas=(0.5, 0.9))
        classify(model, torch.randn(6, 4), optimizer=optimizer)

    (payload,) = payloads(trace_here(program), "optimizer")
    assert (payload["beta1"], payload["beta2"]) == (0.5, 0.9)
