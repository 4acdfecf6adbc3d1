"""Steps that were not sampled are recorded some at a time, and read as if each had been at once."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from nntrace.recorder import Cadence

STEPS = 90


def trained(losses, each=lambda step, loss: None):
    """A program of so many steps that notes its losses."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = torch.randn(STEPS, 8, 4), torch.randint(3, (STEPS, 8))
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs[step]), targets[step])
        each(step, loss)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 2)


@pytest.mark.parametrize("every", [1, 7, 40, 10_000])
def test_every_step_has_its_own_row_in_order(trace_here, every):
    losses = []
    trace = trace_here(lambda: trained(losses), every=every)
    assert trace.steps.step.tolist() == list(range(STEPS))
    assert trace.steps.loss.tolist() == losses
    assert trace.steps.lr.tolist() == pytest.approx([0.1 / (n + 1) for n in range(STEPS)])
    assert trace.steps.sampled.tolist() == [step % every == 0 for step in range(STEPS)]
    assert (trace.steps.duration_ns[1:] > 0).all()
    assert (trace.steps.time_ns[1:] >= trace.steps.time_ns[:-1]).all()


def test_an_event_stands_at_the_step_in_which_it_happened(trace_here):
    def evaluate(step, loss):
        if step == 37:
            with torch.no_grad():
                other(torch.ones(8, 4))

    other = nn.Linear(4, 3)
    trace = trace_here(lambda: trained([], evaluate), every=10_000)
    assert [event.step for event in trace.events_of("evaluation")] == [37]


def test_a_loss_that_is_changed_in_place_before_backward_is_recorded_as_it_is_then(trace_here):
    losses = []
    trace = trace_here(lambda: trained(losses, lambda _, loss: loss.mul_(2)), every=10_000)
    assert trace.steps.loss.tolist() == losses


def test_the_steps_before_an_error_are_recorded(trace_here):
    def breaks(step, loss):
        if step == 60:
            raise ValueError("the sixtieth")

    def program():
        with pytest.raises(ValueError, match="sixtieth"):
            trained([], breaks)

    assert trace_here(program, every=10_000).steps.step.tolist() == list(range(60))


def test_whether_to_sample_is_asked_where_something_else_is_recorded_every_few_steps(
    trace_here, monkeypatch
):
    monkeypatch.setattr(Cadence, "wants", lambda cadence, step, **spent: step >= 60)

    def evaluate(step, loss):
        if step % 5 == 0:
            with torch.no_grad():
                other(torch.ones(8, 4))

    other = nn.Linear(4, 3)
    trace = trace_here(lambda: trained([], evaluate), every=None)
    later = trace.sampled_steps[trace.sampled_steps >= 60]
    assert later.size > 10
