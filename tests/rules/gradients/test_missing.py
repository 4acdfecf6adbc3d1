import pytest
from rules.builders import event, findings, gradient, site, skip_reasons, trace_of

from nntrace.rules import Severity


def trace(*groups, steps=20, **columns):
    return trace_of(steps=steps, sites=[row for rows in groups for row in rows], **columns)


def called(path):
    return [site(path, "activation", rms=1.0)]


def test_a_layer_that_is_called_and_never_gets_a_gradient_is_an_error():
    rows = [gradient("a.weight", None, n=0), called("a"), gradient("b.weight", 0.1)]
    [finding] = findings("GRD03", trace(*rows))
    assert finding.level is Severity.ERROR
    assert finding.evidence["parameters"] == ["a.weight"]


@pytest.mark.parametrize(("arrived", "said"), [(0.1, "cleared"), (0.0, "does not depend")])
def test_gradients_that_arrive_and_are_gone_at_the_step_were_cleared(arrived, said):
    output = site("a", "activation_grad", rms=arrived)
    [finding] = findings("GRD03", trace(gradient("a.weight", None, n=0), called("a"), [output]))
    assert said in finding.message


def test_a_loss_that_is_added_as_a_number_is_an_error_at_the_line_of_the_backward():
    place = {"file": "train.py", "line": 7}
    told = event("attached", 3, what="number", function="mse_loss", weight=0.5, **place)
    [finding] = findings("GRD03", trace(gradient("b.weight", 0.1), events=[told]))
    assert (finding.level, finding.location.line) == (Severity.ERROR, 7)
    assert "`mse_loss`" in finding.message
    other = event("attached", 3, what="target", **place)
    assert findings("GRD03", trace(gradient("b.weight", 0.1), events=[other])) == []


@pytest.mark.parametrize(
    ("sizes", "decay", "found"), [((1, 2), 0, 0), ((1, 2), 0.1, 1), ((1, 1), 0, 1)]
)
def test_what_changes_without_a_gradient_and_without_decay_has_another_master(sizes, decay, found):
    gradients, updates = gradient("a.weight", None, n=0)
    values = site("a.weight", "param", rms=list(sizes) * 10)
    own = [gradients, {**updates, "weight_decay": decay}, values]
    assert len(findings("GRD03", trace(own, called("a"), gradient("b.weight", 0.1)))) == found


@pytest.mark.parametrize(("size", "found"), [(0.0, 0), (0.1, 1)])
def test_a_module_that_a_frozen_mask_holds_at_zero_needs_no_gradient(size, found):
    mask = site("a.mask", "param", rms=[0.0], parent="a", requires_grad=False)
    rows = [gradient("a.weight", None, n=0), [mask], [site("a", "activation", rms=size)]]
    assert len(findings("GRD03", trace(*rows, gradient("b.weight", 0.1)))) == found


def test_a_layer_that_is_never_called_is_a_warning():
    rows = [gradient("a.weight", None, n=0), called("b"), gradient("b.weight", 0.1)]
    [finding] = findings("GRD03", trace(*rows))
    assert finding.level is Severity.WARNING


def test_an_expert_that_was_not_chosen_is_left_to_the_rule_on_unused_layers():
    at_times = [site("experts.0", "activation", n=[64, None] * 10)]
    rows = [gradient("experts.1.weight", None, n=0), at_times, gradient("experts.0.weight", 0.1)]
    assert findings("GRD03", trace(*rows, called("b"))) == []


@pytest.mark.parametrize(
    ("path", "numel", "level"),
    [
        ("eps", 10, Severity.WARNING),  # of the model itself, an option that is not in use
        ("eps", 12, Severity.ERROR),
        ("b.temperature", 10, Severity.WARNING),
        ("a.weight", 10, Severity.ERROR),  # a small head of its own
    ],
)
def test_a_hundredth_of_what_is_trained_beside_what_learns_is_a_warning(path, numel, level):
    unused = gradient(path, None, n=0, shape=(numel,))
    rows = [unused, called("a"), called("b"), called(""), gradient("b.weight", 0.1, shape=(1089,))]
    [finding] = findings("GRD03", trace(*rows))
    assert finding.level is level


@pytest.mark.parametrize(("own_n", "level"), [(0, Severity.ERROR), (16, Severity.WARNING)])
def test_the_weights_that_attention_uses_without_a_call_are_cut_off_with_it(own_n, level):
    own = gradient("attn.in_proj_weight", 0.1 if own_n else None, n=own_n)
    rows = [own, gradient("attn.out.weight", None, n=0), called("attn"), called("b")]
    [finding] = findings("GRD03", trace(*rows, gradient("b.weight", 0.1)))
    assert finding.level is level
    assert "attn.out.weight" in finding.evidence["parameters"]


@pytest.mark.parametrize(("rest", "level"), [((65, 64), Severity.INFO), ((63, 64), Severity.ERROR)])
def test_a_lesser_part_of_a_librarys_model_may_be_called_for_nothing(rest, level):
    rows = [gradient("pooler.weight", None, n=0), gradient("layer.weight", 0.1, shape=rest)]
    for row in (row for group in rows for row in group):
        row["file"] = "/venv/lib/python3.11/site-packages/bert/model.py"
    [finding] = findings("GRD03", trace(*rows, called("pooler"), called("layer")))
    assert finding.level is level


def of_library(number, rows):
    return [{**row, "library_object": number, "file": "train.py"} for row in rows]


@pytest.mark.parametrize(("rest", "level"), [((65, 64), Severity.INFO), ((63, 64), Severity.ERROR)])
def test_a_lesser_part_of_what_a_library_built_for_the_program_may_be_called_for_nothing(
    rest, level
):
    pooler = of_library(0, gradient("bert.pooler.weight", None, n=0))
    layer = of_library(0, gradient("bert.layer.weight", 0.1, shape=rest))
    rows = trace(pooler, layer, called("bert.pooler"), called("bert.layer"))
    [finding] = findings("GRD03", rows)
    assert finding.level is level


@pytest.mark.parametrize("number", [1, None])
def test_the_lesser_of_two_models_without_a_gradient_is_an_error_though_libraries_built_it(number):
    cut = of_library(number, gradient("image.weight", None, n=0))
    other = of_library(0, gradient("text.weight", 0.1, shape=(640, 64)))
    [finding] = findings("GRD03", trace(cut, other, called("image"), called("text")))
    assert finding.level is Severity.ERROR


def test_a_gradient_that_was_asked_for_in_vain_counts_though_no_optimizer_holds_the_parameter():
    [asked] = gradient("encoder.weight", None, n=0, update=None)
    rows = [[{**asked, "requires_grad": True}], called("encoder"), gradient("b.weight", 0.1)]
    [finding] = findings("GRD03", trace(*rows))
    assert finding.evidence["parameters"] == ["encoder.weight"]


def test_one_gradient_in_the_whole_run_is_enough():
    late = gradient("a.weight", 0.1, n=[*[0] * 19, 10])
    assert not findings("GRD03", trace(late, called("a"), gradient("b.weight", 0.1)))


def test_a_target_network_that_no_optimizer_holds_is_healthy():
    target = gradient("target.weight", None, n=0, update=None)
    assert not findings("GRD03", trace(target, called("target"), gradient("b.weight", 0.1)))


def constant_objective(line):
    return event("objective", 0, terms=[], weights=[], file="train.py", line=line)


def test_gradients_that_flow_back_and_are_gone_at_the_step_were_cleared_in_between():
    flowing = [site("a", "activation_grad", rms=0.1)]
    rows = [gradient("a.weight", None, n=0), called("a"), flowing]
    [finding] = findings("GRD03", trace(*rows))
    assert "cleared in between" in finding.message
    assert "zero_grad" in finding.advice


def test_a_loss_that_is_made_of_numbers_is_told_at_the_line_of_its_backward():
    rows = trace(gradient("a.weight", None, n=0), called("a"), events=[constant_objective(12)])
    [finding] = findings("GRD03", rows)
    assert "does not depend on the model" in finding.message
    assert finding.location.line == 12


@pytest.mark.parametrize(("steps", "skipped"), [(4, True), (5, False)])
def test_five_sampled_steps_are_needed_to_miss_a_gradient(steps, skipped):
    rows = trace(gradient("a.weight", None, n=0), gradient("b.weight", 0.1), steps=steps)
    assert bool(skip_reasons("GRD03", rows)) is skipped


@pytest.mark.parametrize(("joined", "word"), [("/", "GradientTape"), (".", "detach")])
def test_where_nothing_has_a_gradient_advice_is_in_the_words_of_the_framework(joined, word):
    rows = gradient(f"a{joined}weight", None, n=0)
    rows += [site(f"a{joined}weight", "param", parent="a")]
    rows += [site(f"a{joined}weight", "update", rms=0.0)]
    [finding] = findings("GRD03", trace(rows, called("a")))
    assert word in finding.advice


@pytest.mark.parametrize(("with_gradient", "found"), [(16, 1), (17, 0)])
def test_gradients_that_end_while_the_optimizer_steps_on_are_an_error(with_gradient, found):
    n = [10] * with_gradient + [0] * (21 - with_gradient)
    rows = [gradient("a.weight", 0.1, n=n), called("a"), gradient("b.weight", 0.1, n=n)]
    results = findings("GRD03", trace(*rows, steps=21))
    assert [finding.steps for finding in results] == [(with_gradient, 20)] * found


def test_gradients_that_end_of_one_part_alone_are_its_freezing():
    frozen = gradient("a.weight", 0.1, n=[10] * 5 + [0] * 15)
    assert not findings("GRD03", trace(frozen, called("a"), gradient("b.weight", 0.1)))
