"""A batch that the program itself skips is told of, however it asks whether its loss is finite."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nntrace.diagnosis import diagnose
from nntrace.rules import select_rules

QUESTIONS = {
    "unequal to itself": lambda loss: loss != loss,
    "not equal to itself": lambda loss: not (loss == loss),  # noqa: SIM201
    "not below a limit": lambda loss: not (loss < 1e4),
    "isnan without a graph": lambda loss: torch.isnan(loss.detach()),
    "isfinite of its data": lambda loss: not loss.data.isfinite(),
    "unequal without a graph": lambda loss: loss.detach() != loss.detach(),
    "by NumPy": lambda loss: np.isnan(loss.detach().cpu().numpy()),
    "by its number": lambda loss: math.isnan(loss.item()),
}


def skipping(is_broken, breaks=lambda step: step % 2):
    """A program that skips every batch whose loss is broken: one of two."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(4):
        chosen = torch.full((6, 1), not breaks(step))
        loss = (model(torch.randn(6, 4)).square() * chosen).sum() / chosen.sum()
        if is_broken(loss):
            continue
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_skipped_batch_is_told_of_with_its_origin(question, trace_here):
    trace = trace_here(lambda: skipping(QUESTIONS[question]))
    [finding] = diagnose(trace, rules=select_rules(["NUM08"])).findings
    assert "`div` in the loss gives the first NaN: divisor is 0" in finding.message
    assert "the batch was skipped" in finding.message
    assert "/ chosen.sum()" in finding.location.source


def test_what_is_asked_of_finite_losses_is_no_story(trace_here):
    def ask(loss):
        return any(question(loss) for question in QUESTIONS.values())

    assert trace_here(lambda: skipping(ask, breaks=lambda step: False)).events_of("origin") == ()


def test_an_infinity_of_the_programs_own_that_is_compared_is_no_story(trace_here):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(6):
            scores = model(torch.randn(2, 4))
            costs = scores.masked_fill(torch.arange(5) > 2, float("inf"))[0]
            least = costs[4]
            for cost in costs:
                if cost < least:
                    least = cost
            loss = least.square() + scores.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert trace_here(program).events_of("origin") == ()
