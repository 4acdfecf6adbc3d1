import numpy as np
import pytest
from rules.builders import site, trace_of

from nntrace.rules.common.untrained import share_as_initialised


def kernel(values):
    fans = {"fan_in": values.shape[0], "fan_out": values.shape[1], "numel": values.size}
    centred = values - values.mean()
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2 - 3.0
    return site(
        "kernel", "param", **fans, n=values.size, std=float(values.std()), kurtosis=float(kurtosis)
    )


def share(values):
    trace = trace_of(steps=1, sites=[kernel(values)])
    return share_as_initialised(trace, trace.sites)[1]


@pytest.mark.parametrize("shape", [(8, 32), (16, 32), (64, 64)])
@pytest.mark.parametrize("seed", range(6))
def test_what_glorot_draws_is_known_however_small(shape, seed):
    limit = (6.0 / sum(shape)) ** 0.5
    drawn = np.random.default_rng(seed).uniform(-limit, limit, shape)
    assert share(drawn) == 1.0
    assert share(1.15 * drawn) == 0.0


@pytest.mark.parametrize(("deviation", "found"), [(0.02, 1.0), (0.03, 0.0)])
def test_what_is_drawn_for_transformers_is_known_at_any_width(deviation, found):
    assert share(np.random.default_rng(0).normal(0.0, deviation, (64, 256))) == found


def test_a_handful_of_elements_tells_nothing():
    assert np.isnan(share(np.random.default_rng(0).uniform(-0.4, 0.4, (8, 31))))


@pytest.mark.parametrize(("kind", "found"), [("GRU", 1.0), ("LSTM", 0.0), ("Linear", 0.0)])
def test_what_pytorch_draws_for_gates_is_known_by_the_hidden_width(kind, found):
    drawn = np.random.default_rng(0).uniform(-(48**-0.5), 48**-0.5, (32, 3 * 48))
    trace = trace_of(steps=1, sites=[{**kernel(drawn), "module_type": kind}])
    assert share_as_initialised(trace, trace.sites)[1] == found
