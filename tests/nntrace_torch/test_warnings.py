"""PyTorch's warnings point at the line of the program, as they do without nntrace."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_versions import VERSION


def pairs(steps):
    """An optimizer, then for each step a prediction of shape (4, 1) and a target of shape (4,)."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    yield optimizer
    for _ in range(steps):
        yield model(torch.randn(4, 3)), torch.randn(4)


def two_losses():
    optimizer, *rest = pairs(3)
    for prediction, target in rest:
        first = functional.mse_loss(prediction, target)
        second = functional.mse_loss(prediction + 1, target)
        optimizer.zero_grad()
        (first + second).backward()
        optimizer.step()


def a_number_with_its_graph():
    optimizer, *rest = pairs(3)
    for prediction, _ in rest:
        loss = prediction.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # Programs still write `%`, which reads the number by another function than `float`.
        _ = f"{float(loss):.1f}" + "%f" % loss  # noqa: UP031


def a_module():
    optimizer, *rest = pairs(3)
    for prediction, target in rest:
        optimizer.zero_grad()
        nn.MSELoss()(prediction, target).backward()
        optimizer.step()


def a_backward_hook_without_an_input_that_needs_gradients():
    """Its warning counts five levels up: through autograd to the line that calls `backward`."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    model.register_full_backward_hook(lambda module, inputs, outputs: None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()


def shown(run):
    """File, line, category and text of each warning that is shown, by Python's default filter."""
    globals().pop("__warningregistry__", None)  # what has been shown before
    vars(nn.modules.loss).pop("__warningregistry__", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run()
    return [(one.filename, one.lineno, one.category, str(one.message)) for one in caught]


PROGRAMS = (
    two_losses,
    a_number_with_its_graph,
    a_module,
    a_backward_hook_without_an_input_that_needs_gradients,
)


@pytest.fixture
def always():
    """PyTorch gives the warnings that it gives once in a process each time."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.parametrize("program", PROGRAMS)
def test_warnings_are_shown_as_often_and_with_the_same_lines(program, trace_here, always):
    bare = shown(program)
    traced = shown(lambda: trace_here(program))
    assert traced == bare
    if not bare and VERSION <= (2, 6):  # none more, but whether as often cannot be seen
        pytest.skip("PyTorch gave no such warning up to 2.6")
    assert bare
