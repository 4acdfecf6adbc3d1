import numpy as np
import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 20
FALLING = list(np.geomspace(1, 0.01, STEPS))


def parameter(path, gradient, *, kind="Linear", size=0.1, update=1e-4):
    owner = {"module_type": kind, "parent": path.rpartition(".")[0], "shape": [8, 8], "numel": 64}
    roles = [
        site(path, "param", rms=size, **owner),
        site(path, "param_grad", rms=gradient, **owner),
    ]
    return roles if update is None else [*roles, site(path, "update", rms=update, **owner)]


def trace(*parameters, steps=STEPS, loss=1.0, **columns):
    sites = [row for rows in parameters for row in rows]
    return trace_of(steps=steps, loss=loss, sites=sites, **columns)


# GRD04


@pytest.mark.parametrize(("zeros", "found"), [(10, 1), (9, 0)])
def test_a_gradient_of_zero_for_ten_samples_to_the_end_is_an_error(zeros, found):
    gone = [0.1] * (STEPS - zeros) + [0.0] * zeros
    results = findings("GRD04", trace(parameter("a.weight", gone), parameter("b.weight", 0.1)))
    assert len(results) == found
    assert all(f.level is Severity.ERROR and f.steps == (10, 19) for f in results)


@pytest.mark.parametrize(("before", "explains"), [(0, ("UPD12",)), (1, ())])
def test_a_gradient_of_zero_from_the_first_step_has_no_cause_that_takes_steps(before, explains):
    rows = parameter("a.weight", [0.1] * before + [0.0] * (STEPS - before))
    [finding] = findings("GRD04", trace(rows, parameter("b.weight", 0.1)))
    assert finding.explains == explains
    assert ("UPD12" in finding.not_explained_by) is bool(explains)


def test_a_gradient_that_comes_back_is_healthy():
    back = [0.0] * 19 + [0.1]
    assert not findings("GRD04", trace(parameter("a.weight", back)))


def test_an_expert_that_was_given_no_example_is_not_blamed():
    unused = site("a", "activation", n=[64] * 9 + [0] * 11, rms=1.0)
    rows = [*parameter("a.weight", [0.1] * 9 + [0.0] * 11), unused]
    assert not findings("GRD04", trace(rows, parameter("b.weight", 0.1)))


def test_what_no_optimizer_holds_is_not_meant():
    assert not findings("GRD04", trace(parameter("a.weight", 0.0, update=None), parameter("b", 1)))


@pytest.mark.parametrize(("weight", "found"), [(0.1, 0), (0.0, 1)])
@pytest.mark.parametrize("layer", ["a.", ""])  # part of a model, or all there is
def test_a_bias_whose_weights_get_a_gradient_is_taken_away_again(layer, weight, found):
    bias = [row | {"shape": [8], "numel": 8} for row in parameter(f"{layer}bias", 0.0, size=1)]
    rows = trace(parameter(f"{layer}weight", weight), bias, parameter("b.weight", 0.1))
    assert len(findings("GRD04", rows)) == found


@pytest.mark.parametrize(
    ("numel", "twin", "level"),
    [(1, 0.1, Severity.INFO), (1, 0.0, Severity.ERROR), (64, 0.1, Severity.ERROR)],
)
def test_one_factor_of_the_first_block_may_have_no_effect(numel, twin, level):
    """A mix of this block's values with the first block's, which are the same there."""
    sites = [
        [row | {"numel": numel} for row in parameter(f"blocks.{number}.mix", gradient)]
        for number, gradient in enumerate((0.0, twin, twin))
    ]
    [finding] = findings("GRD04", trace(*sites, parameter("head.weight", 0.1)))
    assert finding.level is level


@pytest.mark.parametrize(
    ("numel", "number", "level"),
    [(1, 0, Severity.INFO), (2, 0, Severity.ERROR), (1, None, Severity.ERROR)],
)
def test_a_number_within_what_a_library_built_may_have_no_effect_yet(numel, number, level):
    own = {"numel": numel, "library_object": number}
    scale = [row | own for row in parameter("act.scale", 0.0)]
    [finding] = findings("GRD04", trace_of(steps=20, sites=[*scale, *parameter("fc.weight", 1.0)]))
    assert finding.level is level


@pytest.mark.parametrize(
    ("used", "gradients", "level"),
    [
        (65, 0.0, Severity.INFO),
        (64, 0.0, Severity.ERROR),
        (65, [0.1] * 2 + [0.0] * 18, Severity.ERROR),
    ],
    ids=["a minor part", "a half", "not from the start"],
)
def test_a_library_may_build_layers_for_inputs_that_the_program_lacks(used, gradients, level):
    sizes = {"encoder.weight": (used, 1.0), "static.weight": (64, gradients)}
    sites = [
        [row | {"numel": numel, "library_object": 0} for row in parameter(path, rms)]
        for path, (numel, rms) in sizes.items()
    ]
    [finding] = findings("GRD04", trace(*sites))
    assert finding.level is level


@pytest.mark.parametrize(
    ("frozen", "mask", "output", "found"),
    [(False, 0.0, 0.0, 0), (True, 0.0, 0.0, 1), (False, 0.1, 0.0, 1), (False, 0.0, 0.1, 1)],
)
def test_a_branch_that_a_frozen_mask_holds_at_zero_learns_nothing_on_purpose(
    frozen, mask, output, found
):
    own = site("a.mask", "param", rms=[mask], parent="a", requires_grad=frozen)
    rows = [*parameter("a.weight", 0.0), own, site("a", "activation", rms=output)]
    rows = [row | {"parent": "a"} if row["path"] == "a.weight" else row for row in rows]
    assert len(findings("GRD04", trace(rows, parameter("b.weight", 0.1)))) == found


def test_rows_that_nobody_looked_up_are_healthy():
    table = parameter("table.weight", 0.0, kind="Embedding")
    assert not findings("GRD04", trace(table, parameter("b.weight", 0.1)))


@pytest.mark.parametrize(("end", "found"), [(0.06, 1), (0.04, 0)])
def test_a_model_that_has_fitted_its_data_needs_no_gradient(end, found):
    rows = trace(parameter("a.weight", 0.0), loss=[1.0] * 5 + [end] * 15)
    assert len(findings("GRD04", rows)) == found


@pytest.mark.parametrize(("gradient", "found"), [(0.0, 1), ([0.1] * 5 + [0.0] * 15, 0)])
def test_what_never_had_a_gradient_has_not_lost_it_by_fitting(gradient, found):
    rows = [parameter("a.weight", gradient), parameter("b.weight", 0.1)]
    assert len(findings("GRD04", trace(*rows, loss=[1.0] * 5 + [0.04] * 15))) == found


def test_nine_samples_are_too_few():
    assert skip_reasons("GRD04", trace(parameter("a.weight", 0.0), steps=9))


@pytest.mark.parametrize(
    ("path", "found"), [("lstm/lstm_cell/recurrent_kernel", True), ("lstm/lstm_cell/kernel", False)]
)
def test_recurrent_weights_that_are_never_used_mean_sequences_of_one_step(path, found):
    [finding] = findings("GRD04", trace(parameter(path, 0.0), parameter("b.weight", 0.1)))
    assert ("one time step" in finding.message) is found
    assert ("time axis" in (finding.advice or "")) is found


@pytest.mark.parametrize(
    "path", ["r.weight_hh_l0_reverse", "bidirectional/backward_gru/gru_cell/recurrent_kernel"]
)
def test_of_two_directions_the_backward_one_may_have_read_one_step(path):
    [finding] = findings("GRD04", trace(parameter(path, 0.0), parameter("r.weight_hh_l0", 0.1)))
    assert "one time step" not in finding.message
    assert "last state of each direction" in finding.advice
    both = [parameter(path, 0.0), parameter("r.weight_hh_l0", 0.0), parameter("b.weight", 0.1)]
    [finding] = findings("GRD04", trace(*both))
    assert "one time step" in finding.message


# GRD05

LONG = 60


def norms(peak, at=30, width=1):
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 0.1, LONG))
    values[at : at + width] = peak
    return list(values)


def spiky(values, loss=1.0):
    return trace_of(steps=LONG, loss=loss, grad_norm=values)


def losses(after):
    rng = np.random.default_rng(1)
    level = np.where(np.arange(LONG) < 30, 1.0, after)
    return list(level * np.exp(rng.normal(0, 0.01, LONG)))


@pytest.mark.parametrize(("peak", "found"), [(8.5, 1), (7.5, 0)])
def test_a_norm_eight_times_that_around_it_is_a_spike(peak, found):
    assert len(findings("GRD05", spiky(norms(peak)))) == found


def test_in_a_noisy_run_it_takes_ten_deviations():
    rng = np.random.default_rng(0)
    noisy = np.exp(rng.normal(0, 1.0, LONG))
    noisy[30] = np.exp(5)
    assert not findings("GRD05", spiky(list(noisy)))


@pytest.mark.parametrize(("times", "found"), [(3, 1), (2, 0)])
def test_three_spikes_whose_aftermath_widens_the_spread_are_one_pattern(times, found):
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 0.5, LONG))
    values[[12, 30, 48][:times]] = 20.0
    assert len(findings("GRD05", spiky(list(values)))) == found


@pytest.mark.parametrize(("longer", "level"), [(1.6, Severity.WARNING), (1.4, Severity.INFO)])
def test_spikes_that_the_optimizer_hardly_hands_on_are_only_noted(longer, level):
    values, updates = np.ones(LONG), np.full(LONG, 1e-3)
    values[[12, 30, 48]], updates[[12, 30, 48]] = 20.0, 1e-3 * longer
    rows = parameter("a.weight", 0.1, update=list(updates))
    [finding] = findings("GRD05", trace(rows, steps=LONG, grad_norm=list(values)))
    assert finding.level is level


@pytest.mark.parametrize(
    ("after", "level"), [(1.2, Severity.WARNING), (1.05, Severity.INFO), (0.8, Severity.INFO)]
)
def test_a_spike_that_harms_is_a_warning(after, level):
    [finding] = findings("GRD05", spiky(norms(20.0), losses(after)))
    assert finding.level is level
    assert finding.steps == (30, 30)


def test_spikes_of_single_episodes_are_a_note():
    values = norms(20.0)
    values[20] = values[45] = 20.0
    events = [event("objective", n, terms=["other"], single_calls=8 * (n + 1)) for n in range(4)]
    rows = trace_of(steps=LONG, loss=losses(1.2), grad_norm=values, events=events)
    assert [finding.level for finding in findings("GRD05", rows)] == [Severity.INFO]


@pytest.mark.parametrize(
    ("names", "level"), [(("D", "G"), Severity.INFO), (("D", "D"), Severity.WARNING)]
)
def test_a_loss_that_is_worse_after_a_spike_says_little_between_adversaries(names, level):
    turns = {"optimizer": [*names] * LONG}
    norm, loss = np.repeat(norms(20.0), 2), np.repeat(losses(1.2), 2)
    norm[61] = 1.0
    rows = trace_of(steps=2 * LONG, loss=list(loss), grad_norm=list(norm), **turns)
    assert [finding.level for finding in findings("GRD05", rows)] == [level]


def test_a_new_level_is_no_spike():
    assert not findings("GRD05", spiky(norms(20.0, width=30)))


def test_three_spikes_are_a_warning():
    values = norms(20.0)
    values[20] = values[45] = 20.0
    [finding] = findings("GRD05", spiky(values))
    assert finding.level is Severity.WARNING


def test_ten_samples_are_too_few_for_a_spike():
    assert skip_reasons("GRD05", trace_of(steps=10, grad_norm=1.0))


# GRD10


@pytest.mark.parametrize(("first", "found"), [(0.9e-3, 1), (1.1e-3, 0)])
def test_neighbours_a_thousandfold_apart_are_a_warning(first, found):
    rows = trace(parameter("a.weight", first), parameter("b.weight", 1.0))
    results = findings("GRD10", rows)
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "a.weight" for f in results)


@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_of_neighbours_are_needed(samples, skipped):
    layers = [parameter("a.weight", 0.9e-3), parameter("b.weight", 1.0)]
    assert bool(skip_reasons("GRD10", trace(*layers, sampled=range(samples)))) is skipped


@pytest.mark.parametrize(("size", "found"), [(1001.0, 0), (999.0, 1)])
def test_the_forbidden_transitions_of_a_crf_are_no_weights(size, found):
    transitions = parameter("crf.transitions", 1.0, size=size)
    layers = [parameter("lstm.weight", 0.5), parameter("linear.weight", 0.5), transitions]
    assert len(findings("GRD10", trace(*layers))) == found


@pytest.mark.parametrize(("calls", "found"), [([64, None] * 10, 0), ([64, 64] * 10, 1)])
def test_an_expert_that_gets_few_examples_is_no_neighbour(calls, found):
    outputs = [site("b", "activation", std=1.0), site("experts.3", "activation", n=calls)]
    paths = {"b.weight": 1.0, "experts.7.weight": 0.9e-3, "c.weight": 1.0}
    layers = [parameter(path, gradient) for path, gradient in paths.items()]
    assert len(findings("GRD10", trace(outputs, *layers))) == found


@pytest.mark.parametrize(("end", "severity"), [(0.06, Severity.WARNING), (0.04, Severity.INFO)])
def test_an_imbalance_of_a_model_that_has_fitted_its_data_is_a_note(end, severity):
    loss = [1.0] * 10 + [end] * 10
    rows = trace(parameter("a.weight", 0.9e-3), parameter("b.weight", 1.0), loss=loss)
    assert [found.level for found in findings("GRD10", rows)] == [severity]


@pytest.mark.parametrize(("update", "severity"), [(5e-9, Severity.WARNING), (7e-9, Severity.INFO)])
def test_a_layer_whose_steps_are_lost_to_rounding_has_no_part_in_the_fit(update, severity):
    small = parameter("a.weight", 0.9e-3, update=update)
    rows = trace(small, parameter("b.weight", 1.0), loss=[1.0] * 10 + [0.01] * 10)
    assert [found.level for found in findings("GRD10", rows)] == [severity]


def test_a_scale_that_is_split_otherwise_between_weight_and_input_is_no_imbalance():
    rows = trace(parameter("a.weight", 1e-4, size=10.0), parameter("b.weight", 1.0, size=0.001))
    assert not findings("GRD10", rows)


def test_a_bias_with_an_axis_for_the_heads_is_no_layer():
    paths = {"attention/key/kernel": 1.0, "attention/key/bias": 1e-9, "dense/kernel": 1.0}
    assert not findings("GRD10", trace(*(parameter(path, g) for path, g in paths.items())))


def test_layers_that_are_not_neighbours_may_be_further_apart():
    gradients = (1e-4, 1e-2, 1.0)
    rows = trace(*(parameter(f"l{i}.weight", g) for i, g in enumerate(gradients)))
    assert not findings("GRD10", rows)


@pytest.mark.parametrize(("kind", "found"), [("BatchNorm2d", 0), ("LayerNorm", 1), ("ReLU", 1)])
def test_layers_with_a_batch_norm_between_them_may_be_far_apart(kind, found):
    between = [
        site(path, "activation", module_type=module)
        for path, module in (("a", "Conv2d"), ("n", kind), ("b", "Conv2d"))
    ]
    rows = trace(between, parameter("a.weight", 1e-4), parameter("b.weight", 1.0))
    assert len(findings("GRD10", rows)) == found


@pytest.mark.parametrize(("feeds", "found"), [(False, 0), (True, 1)])
def test_the_head_of_one_model_and_the_first_layer_of_another_are_no_neighbours(feeds, found):
    outputs = [site(path, "activation", module_type="Linear") for path in ("critic", "actor")]
    edges = [[0, 1], [1, 2]] if feeds else [[0, 2], [1, 2]]
    flow = event("graph", vertices=["critic", "actor", ":sub"], edges=edges)
    layers = [parameter("critic.weight", 1.0), parameter("actor.weight", 1e-4)]
    assert len(findings("GRD10", trace(outputs, *layers, events=[flow]))) == found


@pytest.mark.parametrize(("feeds", "found"), [(False, 0), (True, 1)])
def test_first_layers_of_two_models_that_go_on_are_no_neighbours(feeds, found):
    paths = ("actor.0", "critic.0", "actor.1", "critic.1")
    outputs = [site(path, "activation", module_type="Linear") for path in paths]
    edges = [[0, 2], [1, 3], *([[0, 1]] if feeds else [])]
    flow = event("graph", vertices=list(paths), edges=edges)
    layers = [parameter("actor.0.weight", 1.0), parameter("critic.0.weight", 1e-4)]
    assert len(findings("GRD10", trace(outputs, *layers, events=[flow]))) == found


def test_samples_of_the_first_steps_alone_do_not_speak_for_the_run():
    rows = [*parameter("a.weight", 1e-6), *parameter("b.weight", 1.0)]
    assert skip_reasons("GRD10", trace_of(steps=64, sampled=range(10), sites=rows))


def test_an_imbalance_that_ends_is_healthy():
    settling = [1e-6] * 8 + [0.5] * 12
    assert not findings("GRD10", trace(parameter("a.weight", settling), parameter("b.weight", 1.0)))
