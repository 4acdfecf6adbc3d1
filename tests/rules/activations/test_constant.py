import pytest
from rules.activations.unit_rows import FALLING, INPUT, STEPS, WIDTH, layer, module, trace
from rules.builders import batches, event, findings, site, skip_reasons

from nntrace.rules import Severity


@pytest.mark.parametrize(
    ("shape", "found"), [([4, 8, WIDTH], 0), ([8, 4, WIDTH], 1), ([8, 8, WIDTH], 1), ([4, 8], 1)]
)
def test_the_same_image_at_each_step_of_time_is_not_the_same_for_every_example(shape, found):
    steps = layer("a", example_std=0.0)
    steps[1]["shape"] = shape
    given = batches(STEPS, batch_size=8)
    rows = trace(INPUT, steps, layer("b"), layer("head"), batches=given)
    assert len(findings("ACT07", rows)) == found


def constant(share):
    same = round(share * STEPS)
    return [1.0] * (STEPS - same) + [0.0] * same


@pytest.mark.parametrize(("share", "found"), [(0.9, 1), (0.85, 0)])
def test_a_layer_that_answers_the_same_to_all_is_an_error(share, found):
    rows = trace(INPUT, layer("a"), layer("b", example_std=constant(share)), layer("head"))
    results = findings("ACT07", rows)
    assert len(results) == found
    assert all(f.level is Severity.ERROR and f.site.path == "b" for f in results)


@pytest.mark.parametrize(("width", "said"), [(1, True), (WIDTH, False)])
def test_a_norm_over_a_single_value_is_told_of(width, said):
    norm = [site("b", "activation", module_type="LayerNorm", shape=[8, 20, width], example_std=0.0)]
    [finding] = findings("ACT07", trace(INPUT, layer("a"), norm, layer("head")))
    assert ("single value" in finding.advice) is said


@pytest.mark.parametrize(("width", "level"), [(1, Severity.WARNING), (WIDTH, Severity.INFO)])
def test_a_norm_over_a_single_value_is_a_warning_though_the_rest_learns(width, level):
    norm = [site("b", "activation", module_type="LayerNorm", shape=[8, 20, width], example_std=0.0)]
    layers = [norm, layer("c"), layer("head")]
    [finding] = findings("ACT07", trace(INPUT, layer("a"), *layers, loss=FALLING))
    assert finding.level is level


@pytest.mark.parametrize(("varies", "found"), [(0.9e-6, 1), (1.1e-6, 0)])
def test_variation_below_rounding_is_none(varies, found):
    rows = trace(INPUT, layer("a"), layer("b", example_std=varies), layer("head"))
    assert len(findings("ACT07", rows)) == found


@pytest.mark.parametrize(
    ("behind", "loss", "level"),
    [(1.0, FALLING, Severity.INFO), (1.0, 1.0, Severity.ERROR), (0.0, FALLING, Severity.ERROR)],
)
def test_a_constant_branch_of_a_model_that_learns_is_information(behind, loss, level):
    layers = [layer("b", example_std=0.0), layer("c", example_std=behind), layer("head")]
    [finding] = findings("ACT07", trace(INPUT, layer("a"), *layers, loss=loss))
    assert (finding.site.path, finding.level) == ("b", level)


@pytest.mark.parametrize(("end", "level"), [(0.49, Severity.INFO), (0.51, Severity.ERROR)])
def test_a_model_that_learns_beside_a_constant_branch_has_lost_half_of_its_loss(end, level):
    layers = [layer("b", example_std=0.0), layer("c"), layer("head")]
    losses = [1.0] * 5 + [end] * 15
    [finding] = findings("ACT07", trace(INPUT, layer("a"), *layers, loss=losses))
    assert finding.level is level


@pytest.mark.parametrize(
    ("width", "behind", "found"), [(WIDTH, 1.0, 0), (WIDTH + 1, 1.0, 1), (WIDTH, 0.0, 1)]
)
def test_a_layer_that_may_take_the_state_a_recurrence_begins_with_is_none(width, behind, found):
    state = [site("input.1", "input", std=0.0, example_std=0.0, shape=[8, width])]
    layers = [layer("a"), layer("b", example_std=0.0), layer("head", example_std=behind)]
    rows = trace(INPUT, state, *layers)
    assert len(findings("ACT07", rows)) == found


def test_a_constant_output_of_a_module_without_weights_is_judged_beside_a_constant_input():
    state = [site("input.1", "input", std=0.0, example_std=0.0, shape=[8, WIDTH])]
    gate = module("gate", "Sigmoid", std=0.0, rms=0.5, example_std=0.0)
    [finding] = findings("ACT07", trace(INPUT, state, layer("a"), gate, layer("head")))
    assert finding.site.path == "gate"


def test_whether_later_layers_differ_is_asked_of_the_steps_of_their_own_model():
    rare = [1.0] * 5 + [None] * (STEPS - 5)
    same = [0.0] * 5 + [None] * (STEPS - 5)
    layers = [layer(path, example_std=rare) for path in ("a", "c", "head")]
    layers.insert(1, layer("b", example_std=same))
    [finding] = findings("ACT07", trace(INPUT, *layers, loss=FALLING))
    assert finding.level is Severity.INFO


def test_what_follows_a_constant_is_not_blamed_too():
    rows = trace(INPUT, layer("a", example_std=0.0), layer("b", example_std=0.0), layer("head"))
    assert [f.site.path for f in findings("ACT07", rows)] == ["a"]


def test_a_table_of_positions_and_what_is_made_of_it_depend_on_no_data():
    table = module("positions", "Embedding", rms=1.0, example_std=0.0)
    rows = trace(INPUT, layer("a"), table, layer("b", example_std=0.0), layer("head"))
    assert not findings("ACT07", rows)


def test_a_table_in_which_all_look_up_one_row_is_blamed_where_nothing_else_sees_the_data():
    table = module("words", "Embedding", rms=1.0, example_std=0.0)
    rows = trace(INPUT, table, layer("b", example_std=0.0), layer("head"))
    assert not findings("ACT07", rows), "the head varies"
    rows = trace(INPUT, table, layer("b", example_std=0.0), layer("head", example_std=0.0))
    assert [f.site.path for f in findings("ACT07", rows)] == ["words"]


@pytest.mark.parametrize(
    ("shape", "fed", "found"),
    [
        ([1, 6, WIDTH], False, 0),
        ([9, WIDTH], False, 0),
        ([5, WIDTH], False, 1),
        ([9, 2 * WIDTH], False, 1),
        ([1, 6, WIDTH], True, 1),
    ],
)
def test_a_module_that_gives_out_its_own_parameter_depends_on_no_data(shape, fed, found):
    of_it = {"module_type": "ConstantInput", "parent": "b", "shape": shape}
    own = [site("b.input", "param", rms=1.0, **of_it)]
    given = [
        site("b", "activation", module_type="ConstantInput", shape=[8, 6, WIDTH], example_std=0.0)
    ]
    edges = [[0, 2], [1, 2], [2, 3], *([[0, 1]] if fed else [])]
    graph = event("graph", 0, vertices=["a", "b", "c", "head"], edges=edges)
    layers = [layer("a"), own, given, layer("c"), layer("head")]
    assert len(findings("ACT07", trace(INPUT, *layers, events=[graph]))) == found


def test_inputs_that_do_not_vary_are_another_rules_matter():
    same = [site("input.0", "input", std=1.0, example_std=0.0, shape=[8, WIDTH])]
    assert not findings("ACT07", trace(same, layer("a", example_std=0.0), layer("head")))


def test_batches_of_one_say_nothing():
    assert skip_reasons("ACT07", trace(INPUT, layer("a", example_std=None)))


def test_a_norm_of_single_values_answers_the_same_to_all_but_for_amplified_rounding():
    norm = layer("norm", "GroupNorm", example_std=9e-5, rms=9e-5)
    [finding] = findings("ACT07", trace(INPUT, layer("a"), norm, layer("head")))
    assert finding.site.path == "norm"


@pytest.mark.parametrize(("before", "found"), [(1.1e-3, 1), (0.9e-3, 0)])
def test_a_signal_that_had_faded_before_is_not_this_rules(before, found):
    layers = [layer("a", example_std=before), layer("b", example_std=0.0), layer("head")]
    assert len(findings("ACT07", trace(INPUT, *layers))) == found


@pytest.mark.parametrize(("dead", "own"), [(0.5, True), (1.0, False)])
def test_a_constant_layer_is_the_work_of_dead_units_only_where_all_are_dead(dead, own):
    relu = module("relu", "ReLU", min=0.0, zero_fraction=dead, dead_fraction=dead)
    same = layer("b", example_std=0.0)
    [finding] = findings("ACT07", trace(INPUT, layer("a"), relu, same, layer("head")))
    assert ("ACT04" in finding.not_explained_by) is own
    assert ("ACT04" in finding.explains) is own
