"""Gradients that no optimizer step ever uses are told of."""

import torch
from torch.nn import functional
from torch_programs import classify, mlp
from tracing import payloads

INPUTS = torch.randn(6, 4)


def test_backward_passes_without_an_optimizer_step_are_recorded(trace_here):
    model = mlp()

    def program():
        for _ in range(40):
            functional.cross_entropy(model(INPUTS), torch.arange(6) % 3).backward()

    trace = trace_here(program)
    found = payloads(trace, "idle")
    assert [payload["backwards"] for payload in found] == [32, 36, 40]
    assert found[0]["file"] == __file__
    assert len(trace.steps) == 0


def test_updates_by_hand_and_gradients_of_inputs_are_not_idle(trace_here):
    def by_hand():
        model = mlp()
        for _ in range(40):
            functional.cross_entropy(model(INPUTS), torch.arange(6) % 3).backward()
            for parameter in model.parameters():
                parameter.data -= 0.1 * parameter.grad
                parameter.grad = None

    def attack():
        model = mlp()
        picture = INPUTS.clone().requires_grad_()
        for _ in range(40):
            functional.cross_entropy(model(picture), torch.arange(6) % 3).backward()

    for program in (by_hand, attack):

        def train_too(program=program):
            program()
            classify(mlp(), INPUTS, steps=1)

        assert not payloads(trace_here(train_too), "idle")
