import numpy as np
import pytest
from rules.builders import event, findings, gradient, site, trace_of
from rules.updates.parameter_rows import STEPS, judged, optimizer, parameter, trace

from nntrace.rules import Severity

PLACE = {"file": "train.py", "line": 7}


def held_by(name, path, *, update):
    rows = parameter(path, update=update)
    return [row | {"optimizer": name} if row["role"] == "update" else row for row in rows]


def test_an_optimizer_that_makes_no_step_beside_one_that_does_is_a_warning():
    rows = [
        held_by("Adam", "encoder.weight", update=np.nan),
        held_by("SGD", "a.weight", update=1.0),
    ]
    [finding] = findings("UPD04", trace(*rows))
    assert finding.level is Severity.WARNING
    assert finding.evidence == {"parameters": ["encoder.weight"], "optimizer": "Adam"}
    assert "Adam makes no step" in finding.message


def test_an_optimizer_whose_steps_were_not_sampled_is_none_of_those():
    rows = [
        held_by("Adam", "encoder.weight", update=np.nan),
        held_by("SGD", "a.weight", update=1.0),
    ]
    names = ["SGD"] * (STEPS - 1) + ["Adam"]
    assert findings("UPD04", trace(*rows, optimizer=names)) == []


@pytest.mark.parametrize(
    ("shape", "rms", "found"),
    [((9, 5), np.nan, True), ((5,), np.nan, False), ((9, 5), 1e-3, False)],
    ids=["in its place", "of another kind", "that gets gradients"],
)
def test_what_took_the_place_of_what_the_optimizer_holds_is_told_as_that(shape, rms, found):
    old = [
        row | {"optimizer": "SGD", "module_type": "Parameter"}
        for row in gradient("SGD.group0.4", rms, shape=shape)
    ]
    if np.isnan(rms):
        old[0]["stats"] = {}
    rows = [parameter("a.weight"), parameter("head.weight", update=None), old]
    [finding] = findings("UPD04", trace(*rows, events=[optimizer(0, 1, name="SGD", **PLACE)]))
    assert finding.level is Severity.ERROR
    assert ("took their place" in finding.message) == found
    assert finding.evidence["parameters"][0] == "head.weight"
    assert not found or finding.location.line == 7


def test_a_layer_with_gradients_that_nothing_steps_is_an_error():
    rows = [parameter("a.weight"), parameter("b.weight"), parameter("head.weight", update=None)]
    [finding] = findings("UPD04", trace(*rows))
    assert finding.level is Severity.ERROR
    assert finding.evidence["parameters"] == ["head.weight"]


def test_a_backbone_left_out_below_a_trained_head_is_only_noted():
    rows = [parameter("back.weight", update=None), parameter("head.weight")]
    [finding] = findings("UPD04", trace(*rows))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(
    ("spread", "level"), [(1.0, Severity.WARNING), (1.05, Severity.INFO)], ids=["fresh", "trained"]
)
def test_a_backbone_left_out_as_it_was_initialised_is_a_warning(spread, level):
    shape = {"shape": [64, 64], "numel": 4096, "parent": "back", "module_type": "Linear"}
    values = {"std": spread / (3 * 64) ** 0.5, "kurtosis": -1.2, "rms": 0.1, "n": 4096}
    backbone = [
        site("back.weight", "param", fan_in=64, fan_out=64, **values, **shape),
        site("back.weight", "param_grad", fan_in=64, fan_out=64, rms=0.1, n=4096, **shape),
    ]
    [finding] = findings("UPD04", trace(backbone, parameter("head.weight")))
    assert finding.level is level


def never_asked_for(spread=1.0, passed=True, copied=False, looked=(), looks=0.1, dot="/"):
    """A dense layer nobody asks the gradients of, before a head that is trained."""
    kernel = {"shape": [64, 64], "numel": 4096, "module_type": "Dense", "fan_in": 64, "fan_out": 64}
    values = {"std": spread / (3 * 64) ** 0.5, "kurtosis": -1.2, "rms": looks, "n": 4096}
    trained = parameter("head/kernel")
    for row in trained:
        row |= {"parent": "head", "shape": [64, 64] if copied else [64, 1]}
    gradient = [site("enc", "activation_grad", rms=0.1)] if passed else []
    return trace(
        [site("enc", "activation", std=1.0), *gradient],
        [site(f"enc{dot}kernel", "param", parent="enc", requires_grad=True, **kernel, **values)],
        [*looked],
        [site("head", "activation", std=1.0)],
        trained,
    )


def test_first_layers_whose_gradients_nobody_asks_for_are_a_warning():
    [finding] = findings("UPD04", never_asked_for())
    assert finding.level is Severity.WARNING
    assert finding.evidence["parameters"] == ["enc/kernel"]


def test_a_model_that_was_called_once_and_is_not_trained_is_left_alone():
    """As one that is built to read its strides, before the one that is trained."""
    called_once = never_asked_for(passed=False, looked=[site("enc", "activation_grad")])
    assert findings("UPD04", called_once) == []


def test_layers_that_were_looked_at_and_got_no_gradient_are_not_asked_for_either():
    looked = [site("enc/kernel", "param_grad", parent="enc", n=0)]
    [finding] = findings("UPD04", never_asked_for(looked=looked))
    assert finding.evidence["parameters"] == ["enc/kernel"]


@pytest.mark.parametrize(("dot", "found"), [(".", 0), ("/", 1)])
def test_layers_of_pytorch_that_were_frozen_after_a_first_call_need_no_gradients(dot, found):
    assert len(findings("UPD04", never_asked_for(dot=dot))) == 1
    once = [0.1] + [None] * (STEPS - 1)
    assert len(findings("UPD04", never_asked_for(looks=once, dot=dot))) == found


@pytest.mark.parametrize("change", [{"spread": 1.05}, {"passed": False}, {"copied": True}])
def test_what_was_loaded_or_cut_off_or_is_a_copy_of_what_is_trained_need_not_learn(change):
    assert findings("UPD04", never_asked_for(**change)) == []


@pytest.mark.parametrize(("frozen", "level"), [(1, Severity.INFO), (2, Severity.ERROR)])
def test_what_was_not_frozen_among_frozen_layers_was_left_to_learn(frozen, level):
    held = {"shape": [64, 64], "numel": 4096, "requires_grad": False, "rms": 1.0}
    rows = [[site(f"{name}.weight", "param", parent=name, **held)] for name in "bc"[:frozen]]
    rows += [parameter("a.lora", update=None), parameter("head.weight")]
    [finding] = findings("UPD04", trace(*rows))
    assert finding.level is level


def test_most_of_the_model_left_out_behind_what_is_trained_is_a_warning():
    rows = [parameter("generator.weight"), parameter("a.weight", update=None)]
    [finding] = findings("UPD04", trace(*rows, parameter("b.weight", update=None)))
    assert finding.level is Severity.WARNING


@pytest.mark.parametrize("small", [False, True])
def test_a_fresh_judge_of_what_is_trained_that_no_optimizer_holds_is_a_warning(small):
    [finding] = findings("UPD04", judged(trainable=True, small=small))
    assert finding.level is Severity.WARNING
    assert finding.evidence["parameters"] == ["judge/kernel"]


@pytest.mark.parametrize(
    "change",
    [
        {"spread": 1.03},
        {"small": True, "bias": 0.1},
        {"order": ("judge", "gen")},
        {"copied": True},
        {"trainable": False},
    ],
    ids=["loaded", "loaded and small", "feeds what is trained", "a copy", "frozen"],
)
def test_a_judge_that_was_loaded_or_copied_or_is_none_need_not_learn(change):
    values = {"trainable": True, "order": ("gen", "judge"), **change}
    results = findings("UPD04", judged(**values))
    assert [finding for finding in results if "all that is trained" in finding.message] == []


def test_a_parameter_without_gradients_is_not_this_rule():
    rows = [parameter("a.weight"), parameter("b.weight", gradient=None, n=0, update=None)]
    assert not findings("UPD04", trace(*rows))


def test_a_parameter_stepped_now_and_then_is_healthy():
    rows = [parameter("a.weight"), parameter("b.weight", update=[None] * 39 + [1e-3])]
    rows[1][2]["stats"]["n"] = [None] * 39 + [4096]
    assert not findings("UPD04", trace(*rows))


def test_a_parameter_that_changes_without_an_optimizer_is_healthy():
    by_hand = parameter("b.weight", size=list(np.linspace(1, 2, STEPS)), update=None)
    assert not findings("UPD04", trace(parameter("a.weight"), by_hand))


@pytest.mark.parametrize(("samples", "found"), [(4, 0), (5, 1)])
def test_five_gradients_without_an_update_are_needed(samples, found):
    some = [4096] * samples + [0] * (STEPS - samples)
    rows = [
        parameter("a.weight"),
        parameter("c.weight"),
        parameter("b.weight", n=some, update=None),
    ]
    assert len(findings("UPD04", trace(*rows))) == found


def test_what_was_unfrozen_after_the_training_step_had_been_built_is_an_error():
    told = event("trainable", 40, never_trained=["base/kernel"], still_trained=[], **PLACE)
    run = trace(parameter("head/kernel"), events=[told])
    [finding] = findings("UPD04", run)
    assert finding.level is Severity.ERROR
    assert "base/kernel" in finding.message
    assert "compile" in finding.advice
    assert finding.location.line == 7


def test_what_is_trained_though_it_was_frozen_is_a_warning():
    told = event("trainable", 40, never_trained=[], still_trained=["base/kernel"], **PLACE)
    run = trace(parameter("head/kernel"), events=[told])
    assert findings("UPD04", run) == []
    [finding] = findings("UPD05", run)
    assert finding.level is Severity.WARNING
    assert "trained all the same: base/kernel" in finding.message


@pytest.mark.parametrize(
    ("switch", "said", "advised"),
    [
        ("net.base.requires_grad", "`base.requires_grad = False`", "`base.requires_grad_("),
        ("requires_grad", "`model.requires_grad = False`", "`model.requires_grad_("),
        ("base.weight.require_grad", "`require_grad = False`", "`parameter.requires_grad ="),
    ],
)
def test_so_is_what_an_attribute_was_to_freeze_that_nothing_reads(switch, said, advised):
    told = event(
        "trainable", 40, never_trained=[], still_trained=["base.weight"], switch=switch, **PLACE
    )
    [finding] = findings("UPD05", trace(parameter("base.weight"), events=[told]))
    assert finding.level is Severity.WARNING
    assert finding.message.startswith("layers that were frozen are trained all the same")
    assert said in finding.message
    assert advised in finding.advice


def test_tensors_of_a_module_that_are_no_parameters_are_an_error():
    loose = event("loose", 9, tensors=["W"], **{"class": "Form"}, file="train.py", line=3)
    rows = gradient("fc.weight", [0.1] * 20)
    [finding] = findings("UPD04", trace_of(steps=20, sites=rows, events=[loose]))
    assert finding.level is Severity.ERROR
    assert "nn.Parameter" in finding.advice
    assert "W" in finding.message
