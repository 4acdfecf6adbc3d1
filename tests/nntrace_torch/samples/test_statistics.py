"""What is recorded of a tensor against float64 NumPy on all of it, for every layout in memory."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from tracing import tracing

from nntrace.schema import QUANTILES, Role
from nntrace.trace import Trace

SHAPE = (32, 24, 16, 16)  # 196 608 elements: 48 times what is sampled by default


def normal(generator):
    return generator.standard_normal(SHAPE)


def heavy_tailed(generator):
    return generator.standard_t(3, SHAPE)


def sparse(generator):
    return np.where(generator.random(SHAPE) < 0.95, 0, generator.standard_normal(SHAPE))


def channel_scaled(generator):
    return generator.standard_normal(SHAPE) * 10.0 ** np.linspace(-2, 1, 24)[:, None, None]


def far_from_zero(generator):
    return generator.standard_normal(SHAPE) + 50


def constant(generator):
    return np.full(SHAPE, 0.7)


VALUES = (normal, heavy_tailed, sparse, channel_scaled, far_from_zero, constant)
LAYOUTS = {
    "contiguous": lambda x: x.contiguous(),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.contiguous().transpose(2, 3),
    "expanded": lambda x: x[:1].expand(32, -1, -1, -1),
    "sliced": lambda x: torch.cat([x, x + 100], dim=3)[..., :16],
    "bfloat16": lambda x: x.bfloat16(),
    "float16": lambda x: x.half(),
    "float64": lambda x: x.double(),
}


class Gives(nn.Module):
    """Returns the tensor as it is laid out."""

    def __init__(self, tensor):
        super().__init__()
        self.tensor = tensor
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.tensor.view_as(self.tensor)


def record(run, tensor, **sampling):
    """Every statistic of a module's output that is this tensor."""
    model = nn.Sequential(Gives(tensor), nn.Identity())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(run, **sampling):
        (model(torch.zeros(2, 2)).float().mean() * model[0].weight.sum()).backward()
        optimizer.step()
    trace = Trace.open(run)
    site = next(s for s in trace.sites if (s.path, s.role) == ("0", Role.ACTIVATION))
    names = ("mean", "std", "rms", "min", "max", "zero_fraction", "skew", "kurtosis", "n")
    found = {name: trace.series(site.role, name, site)[0] for name in (*names, *QUANTILES)}
    return {name: float(value) for name, value in found.items()}


def definitions(tensor):
    values = tensor.double().numpy().reshape(-1)
    mean, std = values.mean(), values.std()
    scaled = (values - mean) / std if std else np.full(1, np.nan)
    return {
        "mean": mean,
        "std": std,
        "rms": math.sqrt((values**2).mean()),
        "min": values.min(),
        "max": values.max(),
        "zero_fraction": (values == 0).mean(),
        "skew": (scaled**3).mean(),
        "kurtosis": (scaled**4).mean() - 3,
        **{name: np.quantile(values, q) for name, q in QUANTILES.items()},
    }


def tensor_of(values, layout):
    return LAYOUTS[layout](torch.from_numpy(values(np.random.default_rng(11))).float())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("values", VALUES)
def test_exact_statistics_are_those_of_the_whole_tensor(tmp_path, values, layout):
    tensor = tensor_of(values, layout)
    expected = definitions(tensor.float())
    found = record(tmp_path / "run", tensor, exact=True)
    assert found["n"] == tensor.numel()
    for name, value in expected.items():
        # These are differences of larger numbers, which set what 1e-5 is of.
        moment = 3 + abs(expected["kurtosis"])
        scale = {"mean": expected["rms"], "skew": moment, "kurtosis": moment}.get(name, 0)
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-5 * scale, nan_ok=True), name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("values", VALUES)
def test_a_sample_has_the_standard_deviation_of_the_whole_tensor(tmp_path, values, layout):
    tensor = tensor_of(values, layout)
    expected = definitions(tensor)
    found = record(tmp_path / "run", tensor)
    assert 2048 <= found["n"] <= 4096
    # The standard error of a standard deviation, from the fourth moment of the whole.
    kurtosis = 0 if math.isnan(expected["kurtosis"]) else expected["kurtosis"] + 2
    distinct = min(found["n"], found["n"] / 32 if layout == "expanded" else found["n"])
    error = expected["std"] * math.sqrt(max(kurtosis, 0) / distinct) / 2
    assert found["std"] == pytest.approx(expected["std"], rel=1e-6, abs=3 * error)
