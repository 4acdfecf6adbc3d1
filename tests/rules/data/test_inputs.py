import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity


def table(**values):
    return site("input.0", "input", **{"shape": [32, 6], "numel": 192, **values})


# DAT05


def features(ratio, count=5, layers=()):
    rows = batches(
        count,
        feature_spread_low=1.0,
        feature_spread_high=ratio,
        feature_low=2,
        feature_high=0,
        batch_size=32,
    )
    return trace_of(steps=count, sites=[table(), *layers], batches=rows)


@pytest.mark.parametrize(("ratio", "found"), [(99.0, 0), (101.0, 1)])
def test_features_whose_spread_differs_by_a_hundred_are_a_warning(ratio, found):
    results = findings("DAT05", features(ratio))
    assert len(results) == found
    assert all(finding.evidence["widest_feature"] == 0 for finding in results)


@pytest.mark.parametrize(("first", "found"), [(0.0, 0), (0.5, 1)])
def test_a_state_that_begins_with_zeros_and_is_carried_on_is_no_table(first, found):
    state = table(max=[first, *[1.0] * 4], min=[-first, *[-1.0] * 4])
    rows = batches(
        5, feature_spread_low=1.0, feature_spread_high=1e4, feature_low=2, feature_high=0
    )
    assert len(findings("DAT05", trace_of(steps=5, sites=[state], batches=rows))) == found


@pytest.mark.parametrize(("count", "judged"), [(2, False), (3, True)])
def test_three_batches_are_needed_to_know_the_spread(count, judged):
    assert bool(skip_reasons("DAT05", features(1e4, count))) is not judged


def test_a_model_that_normalises_first_may_be_given_any_scale():
    norm = site("norm", "activation", module_type="BatchNorm1d")
    assert findings("DAT05", features(1e4, layers=[norm])) == []


@pytest.mark.parametrize(
    ("rows", "others", "found"), [(102, [], 0), (101, [], 1), (102, ["int64"], 1)]
)
def test_a_feature_that_may_be_the_ids_of_a_table_may_span_its_rows(rows, others, found):
    lookup = site("names.weight", "param", module_type="Embedding", shape=[rows, 4])
    given = [site(f"input.{n}", "input", dtype=name) for n, name in enumerate(others, 1)]
    assert len(findings("DAT05", features(101.0, layers=[lookup, *given]))) == found


def test_a_normalisation_that_was_never_adapted_is_where_features_of_all_scales_come_from():
    same = {"mean": 0.0, "min": -1.0, "max": 1.0, "shape": [32, 8]}
    given = site("input.0", "input", **same)
    layer = site("scaling", "activation", module_type="Normalization", **same)
    [finding] = findings("DAT05", features(1e4, layers=[given, layer]))
    assert finding.site.path == "scaling"


# DAT06


def holes(share, loss, role="input", path="input.0"):
    return trace_of(loss=loss, sites=[site(path, role, nonfinite_fraction=share)])


@pytest.mark.parametrize(
    ("share", "loss", "level"),
    [
        ([0.0, 0.01, 0.0], [1.0, None, None], None),
        ([0.0, 0.01, 0.0], [1.0, float("nan"), float("nan")], Severity.ERROR),
        ([0.0, 0.01, 0.0], [1.0, 0.9, 0.8], Severity.INFO),
    ],
)
def test_nan_in_an_input_is_an_error_where_the_loss_breaks(share, loss, level):
    [finding] = findings("DAT06", holes(share, loss))
    assert finding.level is (level or Severity.INFO)


def test_nan_in_an_input_is_an_error_where_a_parameter_breaks_and_the_loss_does_not():
    sites = [
        site("input.0", "input", nonfinite_fraction=[0.01, 0.0, 0.0]),
        site("dense/kernel", "param", nonfinite_fraction=[0.0, 0.2, 1.0]),
    ]
    [finding] = findings("DAT06", trace_of(loss=[1.0, 0.9, 0.8], sites=sites))
    assert finding.level is Severity.ERROR


def test_finite_inputs_are_healthy():
    assert findings("DAT06", holes([0.0] * 3, [1.0, float("nan"), 1.0])) == []


@pytest.mark.parametrize(("rms", "loss", "found"), [(0.0, 0.8, 0), (0.0, np.nan, 1), (0.1, 0.8, 1)])
def test_zeros_and_infinities_alone_are_a_mask_unless_something_broke(rms, loss, found):
    mask = site("input.1", "input", nonfinite_fraction=[0.4] * 3, rms=[rms] * 3)
    assert len(findings("DAT06", trace_of(loss=[1.0, 0.9, loss], sites=[mask]))) == found


def test_nan_in_a_target_is_named():
    trace = holes([0.2] * 3, [float("nan")] * 3, "target", "mse_loss")
    [finding] = findings("DAT06", trace)
    assert "the target `mse_loss`" in finding.message


@pytest.mark.parametrize(("kind", "word"), [("nan", "NaN"), ("inf", "infinities")])
def test_a_replayed_step_names_the_example(kind, word):
    origin = event("origin", 7, where="data", given="input.0", index=[3, 1], kind=kind)
    [finding] = findings("DAT06", trace_of(steps=9, sites=[table()], events=[origin]))
    assert finding.steps == (7, 7)
    assert "[3, 1]" in finding.message
    assert word in finding.message


@pytest.mark.parametrize(
    ("module", "path", "found"),
    [("", "input.0", 1), ("fc1", "input.0", 0), ("", "critic.input.0", 0)],
)
def test_what_the_program_makes_infinite_before_its_only_model_came_with_the_data(
    module, path, found
):
    facts = {"where": "forward", "op": "log", "module": module, "file": "train.py", "line": 12}
    holed = site(path, "input", nonfinite_fraction=[0.0, 0.1])
    trace = trace_of(loss=[1.0, np.nan], sites=[holed], events=[event("origin", 1, **facts)])
    assert [f.location.line for f in findings("DAT06", trace)] == [12] * found


# DAT07


def ranged(high, **values):
    usual = {"mean": 0.0, "std": 1.0, "min": -3.0, "max": [3.0, 3.0, 3.0, high]}
    return trace_of(sites=[table(**{**usual, "zero_fraction": 0.0, **values})])


@pytest.mark.parametrize(("high", "found"), [(29.0, 0), (31.0, 1)])
def test_a_value_thirty_deviations_out_is_a_note(high, found):
    assert len(findings("DAT07", ranged(high))) == found


def test_an_outlier_does_not_hide_behind_the_deviation_it_makes():
    assert findings("DAT07", ranged(500.0, std=[1.0, 1.0, 1.0, 60.0]))


def test_outliers_explain_the_scale_that_they_alone_make():
    [ordinary] = findings("DAT07", ranged(900.0, std=20.0, q01=-2.3, q99=2.3))
    assert ordinary.explains == ("DAT04",)
    [wide] = findings("DAT07", ranged(900.0, std=20.0, q01=-46.0, q99=46.0))
    assert wide.explains == ()


def test_sparse_inputs_have_no_outliers():
    assert findings("DAT07", ranged(40.0, zero_fraction=0.9)) == []


# DAT15


def pretrained(rms, trained=3, step=0):
    norm = site("bn", "running_norm", module_type="BatchNorm2d", rms=[rms, 1.0, 1.0])
    modes = [event("mode", step=step, model="", norm_trained=trained)]
    return trace_of(steps=3, sites=[norm], events=modes)


@pytest.mark.parametrize(("rms", "found"), [(1.9, 0), (2.1, 1), (0.55, 0), (0.45, 1)])
def test_inputs_that_do_not_fit_loaded_statistics_are_a_warning(rms, found):
    assert len(findings("DAT15", pretrained(rms))) == found


def test_norms_without_an_earlier_training_have_no_expectation():
    assert skip_reasons("DAT15", pretrained(9.0, trained=0))


def test_norms_trained_in_this_very_run_bring_no_expectation():
    assert skip_reasons("DAT15", pretrained(9.0, step=2))


def test_frozen_norms_are_not_compared():
    modes = [event("mode", model="", norm_trained=2)]
    assert skip_reasons("DAT15", trace_of(steps=3, events=modes))


# DAT19


def raw(high=255.0, output=80.0, module="Linear", dtype="uint8", weight="fc.weight"):
    sites = [
        site("input.0", "input", shape=[32, 64], dtype=dtype, rms=100.0, max=high),
        site("fc", "activation", module_type=module, rms=output),
        site(weight, "param", module_type=module, parent="fc", fan_in=64, rms=0.1),
    ]
    return trace_of(steps=3, sites=sites)


@pytest.mark.parametrize(("output", "found"), [(7.9, 0), (8.1, 1), (0.3, 0)])
def test_integers_multiplied_with_weights_as_they_are_are_a_warning(output, found):
    assert len(findings("DAT19", raw(output=output))) == found


@pytest.mark.parametrize(("high", "found"), [(20.0, 0), (21.0, 1)])
def test_small_integers_need_no_scaling(high, found):
    assert len(findings("DAT19", raw(high=high))) == found


def test_a_weight_may_have_any_name():
    assert len(findings("DAT19", raw(weight="fc/kernel"))) == 1


def test_indices_are_looked_up():
    assert findings("DAT19", raw(module="Embedding")) == []


def test_floating_point_inputs_are_another_rules():
    assert skip_reasons("DAT19", raw(dtype="float32"))
