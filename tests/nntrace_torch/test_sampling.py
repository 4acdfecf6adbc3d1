import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tracing import tracing

from nntrace.schema import Role
from nntrace.trace import Trace


def train(model, inputs, *, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(model(inputs), torch.zeros(len(inputs), 2)).backward()
        optimizer.step()


def two_blocks():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"encoder": nn.Sequential(nn.Linear(4, 8), nn.Tanh()), "head": nn.Linear(8, 2)}
    )


class Stacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = two_blocks()

    def forward(self, x):
        return self.parts["head"](self.parts["encoder"](x))


def first(trace, role, path, stat):
    site = next(site for site in trace.sites if (site.role, site.path) == (role, path))
    return trace.series(role, stat, site)[0]


def sites(run):
    return {(site.path, site.role) for site in Trace.open(run).sites}


def test_only_included_modules_are_recorded(tmp_path):
    with tracing(tmp_path / "run", include=("parts.encoder",)):
        train(Stacked(), torch.randn(5, 4))
    modules = {path for path, role in sites(tmp_path / "run") if role is not Role.INPUT}
    assert {path for path in modules if path.startswith("parts")} == {
        "parts.encoder.0",
        "parts.encoder.0.weight",
        "parts.encoder.0.bias",
        "parts.encoder.1",
    }


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"include": ("encoder.*",)}, "nntrace: include encoder.*: no module is left to sample. "),
        ({"exclude": ("*",)}, "nntrace: exclude *: no module is left to sample. "),
        ({"include": ("parts.head",)}, ""),
        ({"include": ("none",), "kinds": ("input",)}, ""),
        ({"exclude": ("none",)}, ""),
    ],
)
def test_patterns_that_leave_no_module_are_told_when_training_begins(
    tmp_path, capsys, chosen, said
):
    with tracing(tmp_path / "run", **chosen):
        train(Stacked(), torch.randn(5, 4))
        told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("no module is left") == told.count("There are: parts") == bool(said)


def test_only_the_kinds_asked_for_are_recorded(tmp_path):
    with tracing(tmp_path / "run", kinds=("update",)):
        train(Stacked(), torch.randn(5, 4))
    trace = Trace.open(tmp_path / "run")
    assert {site.role for site in trace.sites} == {Role.UPDATE}
    updates = trace.series(Role.UPDATE, "rms")
    assert updates.shape == (3, 4)
    assert (updates > 0).all()


def test_an_excluded_gradient_leaves_no_total_norm(tmp_path):
    with tracing(tmp_path / "part", exclude=("parts.head",)):
        train(Stacked(), torch.randn(5, 4))
    with tracing(tmp_path / "whole"):
        train(Stacked(), torch.randn(5, 4))
    assert np.isnan(Trace.open(tmp_path / "part").steps.grad_norm).all()
    assert (Trace.open(tmp_path / "whole").steps.grad_norm > 0).all()


def test_exact_reads_every_element_of_every_tensor(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 1500), nn.ReLU(), nn.Linear(1500, 2))
    weight = model[0].weight.detach().clone().double().numpy()
    with tracing(tmp_path / "run", exact=True):
        train(model, torch.randn(40, 300), steps=1)
    trace = Trace.open(tmp_path / "run")
    assert first(trace, Role.PARAM, "0.weight", "n") == 300 * 1500
    assert first(trace, Role.ACTIVATION, "0", "n") == 40 * 1500
    assert first(trace, Role.PARAM, "0.weight", "std") == pytest.approx(weight.std(), rel=1e-6)


def test_a_very_deep_model_is_sampled_with_fewer_elements_from_the_first_step_on(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(300)), nn.Linear(64, 2))
    with tracing(tmp_path / "run"):
        train(model, torch.randn(64, 64), steps=1)
    trace = Trace.open(tmp_path / "run")
    assert first(trace, Role.ACTIVATION, "0", "n") == 2048
    assert 1024 < first(trace, Role.PARAM, "299.weight", "n") <= 2048
