import pytest
from rules.builders import findings, run_rule, site, skip_reasons, trace_of
from rules.updates.parameter_rows import optimizer

from nntrace.rules import Finding, Severity

FLAT = [2.0 - 0.002 * n for n in range(100)]


def decayed(gradient, *, decay=0.1, size=1.0, update=0.1, decoupled=False, loss=FLAT, lr=0.1):
    common = {"shape": [8, 8], "numel": 64, "optimizer": "Adam"}
    sites = [
        site("fc.weight", "param", rms=size, **common),
        site("fc.weight", "param_grad", rms=gradient, **common),
        site("fc.weight", "update", rms=update, weight_decay=decay, **common),
    ]
    return trace_of(loss=loss, sites=sites, lr=lr, events=[optimizer(decoupled=decoupled)])


@pytest.mark.parametrize(("gradient", "found"), [(0.099, 1), (0.101, 0)])
def test_decay_larger_than_the_gradient_dominates(gradient, found):
    assert len(findings("UPD12", decayed(gradient))) == found


@pytest.mark.parametrize(("update", "found"), [(0.0141, 1), (0.0145, 0)])
def test_decoupled_decay_is_held_against_the_rest_of_the_update(update, found):
    assert len(findings("UPD12", decayed(1.0, update=update, decoupled=True))) == found


@pytest.mark.parametrize(
    ("gradient", "update", "found"), [(None, 0.0, 0), (0.0, 0.01, 0), (None, 0.01, 1)]
)
def test_steps_in_which_a_weight_got_no_example_say_nothing_of_decay(gradient, update, found):
    trace = decayed(gradient, update=update, decoupled=True)
    assert len([r for r in run_rule("UPD12", trace) if isinstance(r, Finding)]) == found


@pytest.mark.parametrize(("end", "found"), [(1.2, 1), (0.8, 0)])
def test_a_small_gradient_after_learning_is_none_of_the_decay_s(end, found):
    losses = [2.0 - (2.0 - end) * min(1.0, n / 50) for n in range(100)]
    assert len(findings("UPD12", decayed(0.01, loss=losses))) == found


@pytest.mark.parametrize(
    ("gradient", "decay", "advice"),
    [
        (0.05, 0.1, "by about 20,"),  # until it is a tenth of the gradient
        (1e-9, 20.0, "divide the weight decay by about 200000"),  # until it is a usual one
    ],
)
def test_the_advice_says_by_how_much_to_divide_the_decay(gradient, decay, advice):
    [finding] = findings("UPD12", decayed(gradient, decay=decay))
    assert advice in finding.advice


def test_without_decay_nothing_is_judged():
    assert skip_reasons("UPD12", decayed(0.1, decay=0.0))


@pytest.mark.parametrize(("decay", "found"), [(1e-3, 1), (0.9e-3, 0)])
@pytest.mark.parametrize("shape", [[8], [8, 8]])
def test_decay_of_biases_is_noted(decay, found, shape):
    row = site("fc.bias", "update", rms=0.1, shape=shape, numel=8, weight_decay=decay)
    results = findings("UPD14", trace_of(steps=2, sites=[row]))
    assert [finding.level for finding in results] == [Severity.INFO] * (found * (len(shape) == 1))


@pytest.mark.parametrize(
    ("path", "kind"),
    [("AdamW.group0.0", "Parameter"), ("_flat_param", "Sequential"), ("a._flat_param", "Linear")],
)
def test_one_vector_of_all_parameters_is_no_bias(path, kind):
    """ZeRO's, which no model has, and that of PyTorch's first FSDP."""
    values = {"shape": [385], "numel": 385, "weight_decay": 0.01, "module_type": kind}
    row = site(path, "update", rms=0.1, **values)
    assert findings("UPD14", trace_of(steps=2, sites=[row])) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"weight_decay": 0.01}, 1),
        ({"weight_decay": 0.0}, 0),
        ({"weight_decay": 0.01, "decoupled": True, "class": "AdamW"}, 0),
        ({"weight_decay": 0.01, "class": "SGD"}, 0),
    ],
)
def test_l2_within_adam_is_noted(values, found):
    assert len(findings("UPD15", trace_of(steps=2, events=[optimizer(**values)]))) == found
