"""Which way the gradient of a loss written by hand moves predictions is looked at."""

import pytest
import torch
from nntrace_torch.loss.direction import meetings
from torch import nn
from torch_versions import shapes_in_graphs

ROWS, CLASSES = 32, 4


def one_hot(y):
    return nn.functional.one_hot(y, CLASSES).float()


def likelihood(out, y, sign):
    return sign * (one_hot(y) * out.log_softmax(1)).sum(1).mean()


def picked(out, y, sign):
    return sign * out.log_softmax(1)[torch.arange(len(y)), y].mean()


def gathered(out, y, sign):
    return sign * out.softmax(1).log().gather(1, y[:, None]).mean()


def binary(out, y, sign):
    p, t = out.sigmoid(), one_hot(y)
    return sign * (t * p.clamp(1e-6).log() + (1 - t) * (1 - p).clamp(1e-6).log()).mean()


def dice(out, y, sign):
    p, t = out.sigmoid(), one_hot(y)
    return sign * (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


def focal(out, y, sign):
    log_p = out.log_softmax(1)
    return sign * ((1 - log_p.exp()) ** 2 * (log_p * one_hot(y))).sum(1).mean()


def events(trace_here, loss, steps=12):
    torch.manual_seed(0)
    layer = nn.Linear(6, CLASSES)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)

    def train():
        for _ in range(steps):
            x, y = torch.randn(ROWS, 6), torch.randint(0, CLASSES, (ROWS,))
            optimizer.zero_grad()
            loss(layer(x), y).backward()
            optimizer.step()

    return trace_here(train).events_of("direction")


@shapes_in_graphs
@pytest.mark.parametrize("loss", [likelihood, picked, gathered, binary, dice, focal])
def test_a_loss_that_falls_as_predictions_get_worse_is_told_once(trace_here, loss):
    [event] = events(trace_here, lambda out, y: loss(out, y, 1.0))
    assert event.payload["file"] == __file__


@pytest.mark.parametrize("loss", [likelihood, picked, gathered, binary, dice, focal])
def test_the_same_loss_with_its_minus_is_left_alone(trace_here, loss):
    assert events(trace_here, lambda out, y: loss(out, y, -1.0)) == ()


def weighed(out, y):
    return (out.log_softmax(1)[torch.arange(ROWS), y] * torch.rand(ROWS)).mean()


def expected_cost(out, y):
    return (out.softmax(1) * one_hot(y)).sum(1).mean()


def unlikely(out, y):
    return -(one_hot(y) * (1 - out.softmax(1)).log()).sum(1).mean()


@pytest.mark.parametrize("loss", [weighed, expected_cost])
def test_probabilities_that_cost_something_may_be_lowered(loss):
    out = torch.randn(ROWS, CLASSES, requires_grad=True) * 1
    assert list(meetings(loss(out, torch.randint(0, CLASSES, (ROWS,))))) == []


def test_what_shall_become_unlikely_is_wanted_to_be_small(trace_here):
    assert events(trace_here, unlikely) == ()


def test_a_loss_function_beside_it_is_not_judged(trace_here):
    def both(out, y):
        return nn.functional.cross_entropy(out, y) + likelihood(out, y, 1.5)

    assert events(trace_here, both) == ()
