import pytest
from rules.builders import event, findings, site, trace_of
from rules.updates.parameter_rows import judged

FRESH = (1 / (3 * 64)) ** 0.5


def frozen(std, *, kurtosis=-1.2, numel=4096, path="trunk.weight", shape=(64, 64)):
    return site(
        path,
        "param",
        n=4096,
        std=std,
        kurtosis=kurtosis,
        requires_grad=False,
        shape=list(shape),
        numel=numel,
        fan_in=64,
        fan_out=64,
    )


def head(numel=4096, shape=(10, 64)):
    common = {"shape": list(shape), "numel": numel, "fan_in": 64, "fan_out": 10}
    return [
        site("head.weight", "param", std=0.1, requires_grad=True, **common),
        site("head.weight", "update", rms=0.1, **common),
    ]


@pytest.mark.parametrize(
    ("std", "kurtosis", "found"),
    [
        (FRESH, -1.2, 1),
        (1.02 * FRESH, -1.2, 1),
        (1.03 * FRESH, -1.2, 0),
        (FRESH, -0.5, 0),
        ((2 / 64) ** 0.5, 0.0, 1),
    ],
)
def test_a_frozen_trunk_as_it_was_initialised(std, kurtosis, found):
    sites = [frozen(std, kurtosis=kurtosis), *head(640)]
    assert len(findings("UPD05", trace_of(steps=20, sites=sites))) == found


@pytest.mark.parametrize(("numel", "found"), [(4000, 1), (4200, 0)])
def test_most_of_the_model_must_be_frozen(numel, found):
    assert len(findings("UPD05", trace_of(steps=20, sites=[frozen(FRESH), *head(numel)]))) == found


@pytest.mark.parametrize(("numel", "found"), [(8000, 1), (8400, 0)])
def test_frozen_layers_of_unknown_fan_go_by_those_beside_them(numel, found):
    unknown = frozen(FRESH, path="conv.weight", numel=numel) | {"fan_in": None}
    sites = [frozen(FRESH), unknown, *head(7000)]
    assert len(findings("UPD05", trace_of(steps=20, sites=sites))) == found


@pytest.mark.parametrize(("bias", "found"), [(0.0, 1), (1e-4, 0), (None, 0)])
def test_frozen_layers_whose_biases_are_zero_are_fresh_whatever_drew_their_weights(bias, found):
    """As the layers of Hugging Face's models are, whose fan is not known."""
    trunk = frozen(0.02, kurtosis=0.0) | {"fan_in": None}
    beside = site("trunk.bias", "param", rms=bias, requires_grad=False, shape=[64], numel=64)
    trace = trace_of(steps=20, sites=[trunk, *[beside] * (bias is not None), *head(640)])
    assert len(findings("UPD05", trace)) == found


def test_a_frozen_copy_of_a_trained_part_is_meant():
    sites = [frozen(FRESH, shape=(10, 64), path="teacher.weight"), *head(640)]
    assert findings("UPD05", trace_of(steps=20, sites=sites)) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, 1),
        ({"small": True}, 1),
        ({"spread": 1.03}, 0),
        ({"order": ("judge", "gen")}, 0),
        ({"trainable": True}, 0),
    ],
)
def test_a_fresh_judge_of_what_is_trained_is_not_to_be_frozen(change, found):
    results = findings("UPD05", judged(**{"trainable": False, **change}))
    assert len([f for f in results if "all that is trained" in f.message]) == found


@pytest.mark.parametrize(
    ("bias", "held", "found"),
    [(0.0, False, 1), (0.001, False, 0), (None, False, 0), (0.0, True, 0)],
)
def test_a_new_head_on_a_model_with_adapters_is_not_to_be_frozen(bias, held, found):
    """The block between adapter and head was loaded; `held` is a head that is trained."""
    order = ["adapter", "block", "head"]
    shape = {"shape": [4, 64], "numel": 256, "fan_in": 64, "fan_out": 4}
    rows = [
        *(site(path, "activation", std=1.0) for path in order),
        *(site(path, "activation_grad", rms=0.1) for path in order),
        site("adapter.weight", "param", parent="adapter", shape=[8, 64], numel=512),
        site("adapter.weight", "update", parent="adapter", shape=[8, 64], numel=512, rms=0.1),
        frozen(0.3, kurtosis=2.0, path="block.weight") | {"parent": "block"},
        site("head.weight", "param", parent="head", requires_grad=held, std=0.019, kurtosis=0.1,
             rms=0.019, n=256, **shape),
    ]  # fmt: skip
    if bias is not None:
        rows.append(site("head.bias", "param", parent="head", shape=[4], numel=4, rms=bias, n=4))
    if held:
        rows.append(site("head.weight", "update", parent="head", rms=0.1, **shape))
    graph = event("graph", vertices=order, edges=[[0, 1], [1, 2]])
    trace = trace_of(steps=20, loss=[2.3] * 20, sites=rows, events=[graph])
    assert len(findings("UPD05", trace)) == found


def test_a_trunk_that_is_unfrozen_later_is_not_frozen():
    trained = site("trunk.weight", "update", shape=[64, 64], rms=[None] * 10 + [0.1] * 10)
    sites = [frozen(FRESH), trained, *head()]
    assert findings("UPD05", trace_of(steps=20, sites=sites)) == []
