import numpy as np
import pytest
from rules.activations.test_architecture import graph
from rules.builders import run_rule, site, trace_of

from nntrace.rules import Finding

ENCODES = "trunk mean", "trunk spread", "spread :exp :mul", "mean :add#1"
DECODES = ":mul :add#1", ":add#1 decoder"


def autoencoder(end, *, start=0.4, logarithms=0.01, steps=40, units=4, flow=(*ENCODES, *DECODES)):
    """A trace of a variational autoencoder whose means come from `start` apart to `end`."""
    apart = np.geomspace(start, end, steps // 2).tolist() + [end] * (steps - steps // 2)
    common = {"module_type": "Dense", "n": 128}
    sites = [
        site("trunk", "activation", shape=[32, 16], example_std=1.0, rms=1.0, **common),
        site("mean", "activation", shape=[32, 4], example_std=apart, rms=apart, **common),
        site("spread", "activation", shape=[32, units], example_std=0.01, rms=logarithms, **common),
        site("decoder", "activation", shape=[32, 16], example_std=1.0, rms=1.0, **common),
    ]
    return trace_of(loss=[0.7] * steps, sites=sites, events=[graph(*flow)])


def drowned(trace):
    """What is found; that there is no hidden layer to judge besides is of no interest."""
    return [result for result in run_rule("ACT13", trace) if isinstance(result, Finding)]


@pytest.mark.parametrize(("end", "found"), [(0.09, 1), (0.11, 0)])
def test_means_within_a_tenth_of_the_noise_tell_nothing(end, found):
    results = drowned(autoencoder(end))
    assert len(results) == found
    assert all(finding.site.path == "mean" for finding in results)


@pytest.mark.parametrize(("start", "found"), [(0.1, 1), (0.06, 0)])
def test_means_that_never_lay_further_apart_may_still_come_to_it(start, found):
    assert len(drowned(autoencoder(0.04, start=start))) == found


@pytest.mark.parametrize(
    "other",
    [
        {"logarithms": 4.0},
        {"units": 3},
        {"steps": 8},
        {"flow": ENCODES},
        {"flow": ("trunk mean", "trunk spread", "spread :exp :loss", "mean :add#1", *DECODES[1:])},
        {"flow": ("trunk mean", "trunk spread", "mean :add", "spread :add", ":add decoder")},
    ],
    ids=[
        "no noise left",
        "of another width",
        "few samples",
        "no decoder",
        "of a target",
        "no variance",
    ],
)
def test_other_layers_side_by_side_are_no_code(other):
    assert drowned(autoencoder(0.01, **other)) == []
