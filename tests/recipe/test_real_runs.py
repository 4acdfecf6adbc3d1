"""The card of real PyTorch programs."""

from collections.abc import Callable

import torch
from torch import nn
from torch_programs import classify

from nntrace.diagnosis import diagnose
from nntrace.recipe import Outcome, State, read
from nntrace.trace import Trace


def outcomes(trace: Trace) -> dict[str, Outcome]:
    return {o.step.number: o for o in read(trace, diagnose(trace)).outcomes}


def overfit(*, detached: bool = False) -> None:
    """One batch of 24 separable examples, until nothing of the loss is left."""
    torch.manual_seed(0)
    inputs = torch.randn(24, 4) * 0.1
    inputs[torch.arange(24), torch.arange(24) % 3] += 2.0
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
    if detached:
        model[0].register_forward_hook(lambda module, args, output: output.detach())
    adam = torch.optim.Adam(model.parameters(), lr=3e-3 if detached else 3e-2)
    classify(model, inputs, steps=150, optimizer=adam)


def test_a_program_that_overfits_one_batch_has_that_step_verified(
    trace_here: Callable[..., Trace],
) -> None:
    card = outcomes(trace_here(overfit))
    for number in ("1.2", "2.1", "2.6", "2.7", "2.9", "2.10", "2.11", "2.12", "2.13", "3.6", "3.7"):
        assert card[number].state is State.VERIFIED, card[number]
    assert not [outcome for outcome in card.values() if outcome.state is State.FAILED]
    assert card["2.12"].evidence == "4 of 4 trainable parameters changed"


def test_a_detached_layer_fails_the_step_on_learning_parameters(
    trace_here: Callable[..., Trace],
) -> None:
    card = outcomes(trace_here(lambda: overfit(detached=True)))
    assert card["2.12"].state is State.FAILED
    assert card["2.12"].findings[0].code == "GRD03"
    assert card["2.10"].state is State.UNCHECKED
