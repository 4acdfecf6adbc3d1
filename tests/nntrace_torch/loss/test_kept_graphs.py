"""Losses of earlier steps that the program keeps with their graphs."""

import gc
import inspect

import pytest
import torch
from torch.nn import functional
from torch_programs import mlp
from tracing import payloads

from nntrace.schema import EventKind


class Meter:
    def __init__(self):
        self.total = 0.0
        self.history = []


def train(after_step, *, steps=14, kept=None):
    """Steps of SGD; `after_step(kept, loss)` says what is kept of each loss."""
    model, inputs = mlp(), torch.randn(6, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        loss = functional.cross_entropy(model(inputs), torch.arange(6) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        kept = after_step(kept, loss)


def told(trace):
    return payloads(trace, EventKind.KEPT_GRAPHS)


def appended(kept, loss):
    kept.append(loss)
    return kept


def kept_on_an_object(kept, loss):
    kept.total += loss
    return kept


def put_under_a_name(kept, loss):
    kept["loss"] = kept["loss"] + loss
    return kept


@pytest.mark.parametrize(
    ("after_step", "start", "name"),
    [
        (lambda kept, loss: kept + loss, 0.0, "kept"),
        (appended, [], "kept"),
        (put_under_a_name, {"loss": 0.0}, "kept"),
        (kept_on_an_object, Meter(), "kept.total"),
        (lambda kept, loss: appended(kept.history, loss) and kept, Meter(), "kept.history"),
    ],
)
def test_graphs_of_earlier_losses_are_found_where_they_are_kept(
    trace_here, after_step, start, name
):
    [payload] = told(trace_here(lambda: train(after_step, kept=start)))
    assert (payload["name"], payload["steps"]) == (name, 8)


@pytest.mark.parametrize(
    ("after_step", "start"),
    [
        (lambda kept, loss: kept + loss.item(), 0.0),
        (lambda kept, loss: kept + loss.detach(), 0.0),
        (lambda kept, loss: loss, None),
        (lambda kept, loss: [*kept, loss][-7:], []),
    ],
    ids=["item", "detach", "last", "last seven"],
)
def test_what_keeps_no_graphs_or_few_is_left_alone(trace_here, after_step, start):
    assert told(trace_here(lambda: train(after_step, kept=start))) == []


def test_the_line_that_adds_is_named(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        running = 0.0
        for _ in range(12):
            loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss

    [payload] = told(trace_here(program))
    lines, first = inspect.getsourcelines(program)
    assert payload["line"] == first + next(i for i, s in enumerate(lines) if "running +=" in s)
    assert payload["file"] == __file__


def test_graphs_in_cycles_that_nobody_has_collected_yet_are_left_alone(trace_here):
    def in_a_cycle(kept, loss):
        parts = {"loss": loss}
        parts["self"] = parts
        return

    gc.disable()
    try:
        assert told(trace_here(lambda: train(in_a_cycle))) == []
    finally:
        gc.enable()
