import numpy as np
import pytest
from rules.builders import findings, run_rule, site, skip_reasons, trace_of

from nntrace.rules import Severity
from nntrace.trace import Trace

STEPS = 20


def weight(kurtosis, skew=0.0, kind="Linear", numel=4096, **ends):
    owner = {"module_type": kind, "parent": "a", "shape": [64, 64], "numel": numel}
    start = [0.0] * 5
    return site(
        "a.weight",
        "param",
        kurtosis=start + [kurtosis] * 15,
        skew=start + [skew] * 15,
        **owner,
        **ends,
    )


def test_the_end_of_a_run_is_its_last_steps_though_the_first_are_sampled_more_densely():
    sampled = [*range(36), 70, 80, 90, 99]
    rows = weight(0.0) | {"stats": {"kurtosis": [0.0] * 37 + [20.0] * 3, "skew": [0.0] * 40}}
    assert len(findings("PAR04", trace_of(steps=100, sampled=sampled, sites=[rows]))) == 1


@pytest.mark.parametrize(
    ("kurtosis", "skew", "found"),
    [(10.5, 0, 1), (9.5, 0, 0), (0, 2.1, 1), (0, -2.1, 1), (0, 1.9, 0)],
)
def test_weights_that_leave_the_bell_shape_are_noted(kurtosis, skew, found):
    results = findings("PAR04", trace_of(steps=STEPS, sites=[weight(kurtosis, skew)]))
    assert len(results) == found
    assert all(f.level is Severity.INFO for f in results)


@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_of_a_matrix_are_needed(samples, skipped):
    trace = trace_of(steps=STEPS, sampled=range(samples), sites=[weight(20.0)])
    assert bool(skip_reasons("PAR04", trace)) is skipped


@pytest.mark.parametrize(
    ("kurtosis", "low", "found"), [(-1.6, -0.01, 1), (-1.4, -0.01, 0), (-1.6, -0.010001, 0)]
)
def test_weights_in_two_heaps_at_fixed_bounds_are_clipped(kurtosis, low, found):
    rows = weight(kurtosis, min=[-0.1] * 5 + [low] * 15, max=[0.1] * 5 + [0.01] * 15)
    results = findings("PAR04", trace_of(steps=STEPS, sites=[rows]))
    assert [f.evidence["bound"] for f in results] == pytest.approx([0.01] * found)


def test_weights_that_started_so_are_not():
    rows = site(
        "a.weight",
        "param",
        kurtosis=20.0,
        skew=0.0,
        module_type="Linear",
        shape=[64, 64],
        numel=4096,
    )
    assert not findings("PAR04", trace_of(steps=STEPS, sites=[rows]))


@pytest.mark.parametrize("odd", [{"kind": "LSTM"}, {"kind": "LayerNorm"}, {"numel": 255}])
def test_gates_norms_and_small_matrices_have_shapes_of_their_own(odd):
    assert skip_reasons("PAR04", trace_of(steps=STEPS, sites=[weight(50.0, **odd)]))


# PAR07

RNG = np.random.default_rng(0)
SMOOTH = np.cumsum(np.cumsum(RNG.normal(size=(16, 1, 28, 28)), axis=2), axis=3)


def tensor(values, role="param", step=0, path="conv.weight"):
    return {
        "step": step,
        "role": role,
        "path": path,
        "shape": list(values.shape),
        "dtype": "float32",
        "kept_shape": list(values.shape),
        "stride": 1,
        "values": values.reshape(-1).tolist(),
    }


def filters(correlation, size=5):
    """Filters whose neighbours correlate about so much, before their mean is taken out."""
    noise = RNG.normal(size=(256, 1, size + 1, size + 1))
    return noise[:, :, 1:, 1:] + correlation * (noise[:, :, :-1, 1:] + noise[:, :, 1:, :-1])


def run(values, images=SMOOTH, step=200):
    rows = [
        tensor(images, role="input", path="input.0"),
        tensor(RNG.normal(size=values.shape)),
        tensor(values, step=step),
    ]
    return Trace.from_rows(tensors=rows, steps=[{"step": 0}], sites=[])


def test_filters_like_noise_are_noted():
    [finding] = findings("PAR07", run(filters(0.0)))
    assert finding.level is Severity.INFO
    assert finding.steps == (200, 200)


def test_images_may_have_their_channels_last():
    assert findings("PAR07", run(filters(0.0), images=np.moveaxis(SMOOTH, 1, 3)))


def test_filters_with_structure_are_not():
    assert not findings("PAR07", run(filters(0.7)))


def test_the_threshold_is_a_correlation_of_neighbours():
    level = findings("PAR07", run(filters(0.2)), smoothness=1.0)[0].evidence["smoothness"]
    assert findings("PAR07", run(filters(0.0)), smoothness=0.15)
    assert run_rule("PAR07", run(filters(0.2)), smoothness=level - 0.05) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"values": filters(0.0, size=3)},
        {"values": filters(0.0), "step": 199},
        {"values": filters(0.0), "images": RNG.normal(size=(16, 1, 28, 28))},
    ],
)
def test_small_kernels_early_filters_and_images_of_noise_say_nothing(odd):
    assert skip_reasons("PAR07", run(**odd))


# PAR05


def filters_of(dead, *, count=32, **columns):
    owner = {"module_type": "Conv2d", "parent": "a", "shape": [count, 8, 3, 3], "numel": 2304}
    return site("a.weight", "param", dead_fraction=dead, unit_axis=0, **owner, **columns)


@pytest.mark.parametrize(("dead", "found"), [(0.11, 1), (0.09, 0)])
def test_a_tenth_of_filters_next_to_zero_is_a_warning(dead, found):
    results = findings("PAR05", trace_of(steps=STEPS, sites=[filters_of(dead)]))
    assert len(results) == found
    assert all(f.level is Severity.WARNING for f in results)


@pytest.mark.parametrize(("count", "found"), [(9, 0), (10, 1)])
def test_it_takes_two_filters(count, found):
    rows = [filters_of(0.2, count=count)]
    assert len(findings("PAR05", trace_of(steps=STEPS, sites=rows))) == found


@pytest.mark.parametrize(("begins", "found"), [(0.0, 0), (0.01, 1)])
def test_filters_of_an_adapter_that_begins_at_zero_may_stay_there(begins, found):
    other = {**filters_of(0.0), "path": "b.weight"}
    rows = [filters_of(0.2, rms=[begins] + [0.1] * (STEPS - 1)), other]
    assert len(findings("PAR05", trace_of(steps=STEPS, sites=rows))) == found


@pytest.mark.parametrize(("zeros", "found"), [(0.59, 1), (0.61, 0)])
def test_weights_that_are_pruned_one_by_one_may_leave_filters_empty(zeros, found):
    rows = [filters_of(0.2, zero_fraction=zeros)]
    assert len(findings("PAR05", trace_of(steps=STEPS, sites=rows))) == found


def test_filters_that_come_to_life_are_healthy():
    rows = [filters_of([0.5] * 10 + [0.0] * 10)]
    assert not findings("PAR05", trace_of(steps=STEPS, sites=rows))


@pytest.mark.parametrize(
    "odd", [{"requires_grad": False}, {"count": 32, "dead": [0.5] * 2 + [None] * 18}]
)
def test_frozen_layers_and_two_samples_say_nothing(odd):
    rows = [filters_of(**{"dead": 0.5, **odd})]
    assert skip_reasons("PAR05", trace_of(steps=STEPS, sites=rows))
