import numpy as np
import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity


def weight(path, std, *, mean=0.0, shape=(64, 64), fans=(64, 64), grad=0.01, update=1e-4):
    """A weight matrix with its gradient and update; `std` and `mean` may be series."""
    owner = {
        "shape": list(shape),
        "numel": int(np.prod(shape)),
        "parent": path.rpartition(".")[0],
        "module_type": "Linear",
    }
    if fans:
        owner |= {"fan_in": fans[0], "fan_out": fans[1]}
    rms = np.hypot(np.asarray(std, dtype=float), np.asarray(mean, dtype=float))
    rms = rms if rms.ndim else float(rms)
    return [
        site(path, "param", std=std, mean=mean, rms=rms, **owner),
        site(path, "param_grad", rms=grad, **owner),
        site(path, "update", rms=update, **owner),
    ]


def module(path, kind, **values):
    return site(path, "activation", module_type=kind, **values)


def trace(*layers, steps=20, **columns):
    return trace_of(steps=steps, sites=[row for rows in layers for row in rows], **columns)


# INI01


def test_random_weights_are_no_constant_weights():
    assert not findings("INI01", trace(weight("a.weight", 0.1), weight("b.weight", 0.1)))


def test_a_matrix_of_zeros_that_is_stepped_and_stays_so_is_an_error():
    [finding] = findings("INI01", trace(weight("a.weight", 0.1), weight("b.weight", 0.0)))
    assert finding.level is Severity.ERROR
    assert finding.evidence["weights"] == ["b.weight"]
    assert "1 of 2" in finding.message


def test_zeros_that_are_left_within_a_few_steps_are_healthy():
    branch = weight("b.weight", [0.0, 0.0, *[0.01] * 18])
    assert not findings("INI01", trace(weight("a.weight", 0.1), branch))


@pytest.mark.parametrize(("steps", "skipped"), [(10, True), (11, False)])
def test_whether_zeros_are_left_takes_ten_steps_to_see(steps, skipped):
    rows = trace(weight("a.weight", 0.1), weight("b.weight", 0.0), steps=steps)
    assert bool(skip_reasons("INI01", rows)) is skipped


def test_steps_at_a_learning_rate_of_zero_do_not_count():
    layers = [weight("a.weight", 0.1), weight("b.weight", 0.0)]
    assert skip_reasons("INI01", trace(*layers, lr=[*[0.0] * 15, *[0.1] * 5]))


def test_two_layers_in_a_row_filled_with_a_number_are_blamed_though_they_move():
    moving = [0.0, *[0.05] * 19]
    layers = [weight("a.weight", moving, mean=0.1), weight("b.weight", moving, mean=0.1)]
    [finding] = findings("INI01", trace(*layers))
    assert finding.evidence["weights"] == ["a.weight", "b.weight"]


@pytest.mark.parametrize(
    ("edges", "found"), [([[0, 2], [1, 2]], 0), ([[0, 1], [1, 2]], 1), ([[0, 2]], 1)]
)
def test_layers_filled_with_a_number_whose_outputs_are_added_to_a_head_are_told_apart(edges, found):
    moving = [0.0, *[0.05] * 19]
    layers = [weight(f"{name}.weight", moving, mean=0.1) for name in ("a", "b")]
    graph = event("graph", vertices=["a", "b", ":add"], edges=edges)
    assert len(findings("INI01", trace(*layers, events=[graph]))) == found


def test_one_layer_filled_with_a_number_between_random_ones_breaks_its_symmetry():
    moving = [0.0, *[0.05] * 19]
    layers = [weight("a.weight", 0.1), weight("b.weight", moving, mean=0.1)]
    assert not findings("INI01", trace(*layers, weight("c.weight", 0.1)))


def test_residual_branches_and_a_head_of_zeros_are_healthy():
    moving = [0.0, *[0.05] * 19]
    layers = [weight("up.weight", 0.1), weight("down.weight", moving), weight("h.weight", moving)]
    assert not findings("INI01", trace(*layers))


@pytest.mark.parametrize(("first_gradient", "found"), [(0.0, 1), (0.1, 0)])
def test_a_model_of_zeros_is_blamed_when_its_layers_are_stacked(first_gradient, found):
    moving = [0.0, *[0.05] * 19]
    layers = [weight("a.weight", moving, grad=first_gradient), weight("b.weight", moving)]
    assert len(findings("INI01", trace(*layers))) == found


def test_a_logistic_regression_from_zero_is_healthy():
    assert not findings("INI01", trace(weight("weight", [0.0, *[0.05] * 19])))


def test_norms_biases_and_embeddings_may_be_constant():
    sites = [
        site("n.weight", "param", module_type="LayerNorm", shape=[64], numel=64, std=0, rms=1),
        site("s", "param", module_type="Block", shape=[64, 1, 1], numel=64, std=0, rms=1e-6),
        site("e.weight", "param", module_type="Embedding", shape=[9, 4], numel=36, std=0, rms=0),
    ]
    assert not findings("INI01", trace(weight("a.weight", 0.1), sites))


@pytest.mark.parametrize(("read", "found"), [(36, 1), (35, 0)])
def test_a_table_that_is_read_whole_and_never_leaves_zero_is_blamed(read, found):
    owner = {"module_type": "Embedding", "shape": [9, 4], "numel": 36, "parent": "e"}
    table = [
        site("e.weight", "param", n=read, std=0.0, mean=0.0, rms=0.0, **owner),
        site("e.weight", "param_grad", rms=0.0, **owner),
        site("e.weight", "update", rms=0.0, **owner),
    ]
    assert len(findings("INI01", trace(weight("a.weight", 0.1), table))) == found


def test_weights_that_no_optimizer_changes_are_not_this_rule():
    frozen = weight("b.weight", 0.0, update=0.0)
    assert not findings("INI01", trace(weight("a.weight", 0.1), frozen))


@pytest.mark.parametrize(("gradient", "found"), [(0.01, 1), (None, 0)])
def test_constant_weights_that_the_loss_does_not_depend_on_need_not_move(gradient, found):
    fixed = weight("affine.weight", 0.0, grad=gradient, update=1e-9)
    assert len(findings("INI01", trace(fixed, weight("a.weight", 0.1)))) == found


def test_constant_weights_cannot_be_judged_without_the_first_step():
    rows = trace_of(steps=20, sampled=[5, 10], sites=weight("a.weight", 0.0))
    assert skip_reasons("INI01", rows)


# INI02

HE = (2 / 64) ** 0.5
# rms at the edge: three times beyond the scheme, and three standard errors of 4096 draws
SLACK = 3 * (1 + 3 / (2 * 4096) ** 0.5)


@pytest.mark.parametrize(
    "std",
    [
        HE,
        64**-0.5,  # LeCun, Glorot and orthogonal
        (3 * 64) ** -0.5,  # PyTorch's default
    ],
)
def test_the_usual_schemes_are_silent(std):
    layers = [weight(f"{name}.weight", std) for name in "abc"]
    assert not findings("INI02", trace(*layers))


@pytest.mark.parametrize(("ratio", "found"), [(1.02, 1), (0.98, 0)])
def test_weights_three_times_larger_than_he_are_a_warning(ratio, found):
    layers = [weight("a.weight", 0.1), weight("b.weight", ratio * SLACK * HE)]
    results = findings("INI02", trace(*layers))
    assert len(results) == found
    assert all("larger" in finding.message for finding in results)


@pytest.mark.parametrize(("zeros", "found"), [(0.91, 0), (0.89, 1)])
def test_what_fits_the_part_of_a_sparse_input_that_is_not_zero_is_not_too_large(zeros, found):
    rows = site("input.0", "input", shape=[32, 64], zero_fraction=zeros)
    layers = [weight("a.weight", 3 * SLACK * HE), weight("b.weight", 0.1, fans=(32, 32))]
    assert len(findings("INI02", trace([rows], *layers))) == found


@pytest.mark.parametrize(("ratio", "found"), [(0.98, 1), (1.02, 0)])
def test_weights_three_times_smaller_than_every_scheme_are_a_warning(ratio, found):
    small = ratio * (3 * 64) ** -0.5 / SLACK
    layers = [weight("a.weight", small), weight("b.weight", small), weight("head.weight", 0.1)]
    results = findings("INI02", trace(*layers))
    assert len(results) == found
    assert all(finding.evidence["weights"] == ["a.weight", "b.weight"] for finding in results)


def test_a_copy_that_averages_the_weights_is_not_judged_nor_taken_for_what_follows_the_head():
    small = (3 * 64) ** -0.5 / SLACK / 2
    head = weight("head.weight", small)
    copies = [weight("ema.a.weight", small)[:2], weight("ema.head.weight", small)[:2]]
    layers = [module("a", "Linear")], weight("a.weight", 0.1), [module("head", "Linear")], head
    assert not findings("INI02", trace(*layers, *copies))


def test_a_small_head_is_advice_not_a_fault():
    assert not findings("INI02", trace(weight("a.weight", 0.1), weight("head.weight", 1e-4)))


@pytest.mark.parametrize(("taker", "found"), [("reg", 1), (":add", 0)])
def test_a_small_head_beside_another_is_none_either(taker, found):
    flow = event("graph", vertices=["a", "cls", taker, ":sum"], edges=[[0, 1], [1, 2], [2, 3]])
    layers = [
        (module(name, "Linear"), *weight(f"{name}.weight", std))
        for name, std in (("a", 0.1), ("cls", 1e-3), ("reg", 0.1))
    ]
    assert len(findings("INI02", trace(*layers, events=[flow]))) == found


@pytest.mark.parametrize(("gradient", "found"), [(0.01, 1), (None, 0)])
def test_a_layer_that_the_loss_does_not_depend_on_may_be_of_any_scale(gradient, found):
    small = weight("small.weight", 1e-3, grad=gradient)
    layers = small, weight("a.weight", 0.1), weight("head.weight", 0.1)
    assert len(findings("INI02", trace(*layers))) == found


def test_one_small_layer_among_many_is_a_choice():
    layers = [weight(f"{name}.weight", 0.1) for name in "abc"]
    layers.insert(1, weight("policy.weight", 1e-3))
    assert not findings("INI02", trace(*layers, weight("head.weight", 0.1)))


def test_layers_whose_weights_are_made_of_others_are_layers_too():
    def made(name):
        path = f"{name}.parametrizations.weight.original"
        return [
            row
            for number, shape in enumerate([(64, 1, 1), (64, 64, 5)])
            for row in weight(f"{path}{number}", 0.1, shape=shape, fans=None)
        ]

    shortcut, head = weight("down.weight", 1e-3), weight("head.weight", 0.1)
    assert findings("INI02", trace(shortcut, made("a"), head))
    assert not findings("INI02", trace(shortcut, made("a"), made("b"), head))


def test_gpt_weights_of_a_narrow_model_are_rescaled_by_its_last_norm():
    layers = [weight("qkv.weight", 0.02), weight("out.weight", 0.004)]
    layers.append([module("norm", "LayerNorm")])
    assert not findings("INI02", trace(*layers, weight("head.weight", 0.02)))


def test_a_norm_before_the_weights_does_not_rescale_them_though_its_update_is_declared_later():
    layers = [[module("norm", "LayerNorm")], weight("a.weight", 1e-3), weight("b.weight", 1e-3)]
    late = site("norm.weight", "update", module_type="LayerNorm", shape=[64], numel=64, rms=1e-4)
    assert findings("INI02", trace(*layers, weight("head.weight", 0.1), [late]))


def test_large_weights_directly_before_a_norm_are_harmless():
    layers = [weight("a.weight", 2.0), [module("a", "Linear"), module("norm", "BatchNorm1d")]]
    assert not findings("INI02", trace(*layers, weight("head.weight", 0.1)))


def test_large_weights_before_a_bounded_function_are_not_saved_by_a_later_norm():
    bounded = module("t", "Tanh", range_low=-1.0, range_high=1.0)
    layers = [weight("a.weight", 2.0), [module("a", "Linear"), bounded, module("n", "LayerNorm")]]
    assert findings("INI02", trace(*layers, weight("head.weight", 0.1)))


@pytest.mark.parametrize(("sum_scale", "found"), [(0.31, 0), (0.29, 1)])
def test_a_small_layer_whose_output_is_taken_back_to_scale_is_a_residual_branch(sum_scale, found):
    after = [module("block.a", "Linear", rms=0.1), module("block", "Block", rms=sum_scale)]
    layers = [weight("block.a.weight", 1e-3), after, weight("head.weight", 0.1)]
    assert len(findings("INI02", trace(*layers))) == found


def test_a_handful_of_draws_says_nothing_about_the_scale():
    tiny = weight("a.weight", 30.0, shape=(3, 5), fans=(5, 3))
    assert not findings("INI02", trace(tiny, weight("head.weight", 0.1)))


def test_a_factor_can_be_given():
    layers = [weight("a.weight", 2 * HE), weight("head.weight", 0.1)]
    assert not findings("INI02", trace(*layers))
    assert findings("INI02", trace(*layers), factor=1.5)


def test_weights_without_a_fan_are_not_judged():
    assert skip_reasons("INI02", trace(weight("a.weight", 5.0, fans=None)))


@pytest.mark.parametrize(("first", "found"), [(10, 1), (12, 0)])
def test_a_layer_that_was_stepped_before_its_first_sample_need_not_be_as_it_was_drawn(first, found):
    optimizers = ["Adam"] * 10 + ["SGD"] * 10
    late = np.where(np.arange(20) < first, np.nan, 50.0)
    rows = [*weight("a.weight", 0.1), *weight("Linear.weight", late)]
    rows = [{**row, "optimizer": "SGD" if "Linear" in row["path"] else "Adam"} for row in rows]
    assert len(findings("INI02", trace_of(steps=20, sites=rows, optimizer=optimizers))) == found
