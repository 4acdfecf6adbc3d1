"""The pure functions behind the pages: traces in, frozen values out."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from nntrace_tui.bands import bands, usual_bands
from nntrace_tui.metrics import OUTSIDE, WITHIN, Metric, legend
from nntrace_tui.pages.batches import data_page
from nntrace_tui.pages.heat import heat, squeeze, worst_of
from nntrace_tui.pages.history import layer_history
from nntrace_tui.pages.layer import LOG_RATIO, layer_page
from nntrace_tui.pages.layers import layers_page
from nntrace_tui.pages.numerics import numerics_page
from nntrace_tui.pages.overview import overview_page
from nntrace_tui.pages.ranks import RankSteps, ranks_page
from nntrace_tui.pages.runs import age
from nntrace_tui.pages.tree import flat, groups, tree
from nntrace_tui.pages.updates import updates_page
from nntrace_tui.pages.verdicts import verdicts

from nntrace.arrow import arrow_schema
from nntrace.rules import Finding, Severity, Skipped, all_rules
from nntrace.trace import Trace

NAN = math.nan


def sites(*modules: str, parameters: tuple[str, ...] = ("weight",)) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for module in modules:
        rows.append({"path": module, "role": "activation", "dtype": "float16"})
        for name in parameters:
            path = f"{module}.{name}"
            for role in ("param", "param_grad", "update"):
                rows.append({"path": path, "role": role, "parent": module, "numel": 10})
    return [{"id": number, "module_type": "Linear", **row} for number, row in enumerate(rows)]


def trace(steps: int = 10, **columns: float) -> Trace:
    """Two layers; updates a thousandth of the weights."""
    rows = sites("a", "b")
    rms = {"activation": 1.0, "param": 0.1, "param_grad": 0.01, "update": 1e-4}
    return Trace.from_rows(
        sites=rows,
        steps=[{"step": step, "loss": 1.0, "lr": 0.1} for step in range(steps)],
        stats=[
            {"step": step, "site": row["id"], "std": rms[str(row["role"])]}
            | {"rms": rms[str(row["role"])], "min": -1.0, "max": 2.0, "nonfinite_fraction": 0.0}
            | columns
            for step in range(steps)
            for row in rows
        ],
    )


@pytest.mark.parametrize(
    ("metric", "value", "level"),
    [
        (Metric.UPDATE_RATIO, -3.0, 0.0),
        (Metric.UPDATE_RATIO, -2.0, WITHIN),
        (Metric.UPDATE_RATIO, -1.999999, OUTSIDE),
        (Metric.UPDATE_RATIO, -4.000001, -OUTSIDE),
        (Metric.UPDATE_RATIO, -math.inf, -1.0),
        (Metric.ACTIVATION_STD, 1.0, 0.0),
        (Metric.ACTIVATION_STD, 50.0, 1.0),
        (Metric.ACTIVATION_STD, 0.0, -1.0),
        (Metric.DEAD, 0.0, 0.0),
        (Metric.DEAD, 0.2, WITHIN),
        (Metric.DEAD, 1.0, 1.0),
        (Metric.NONFINITE, 0.5, 1.0),
        (Metric.DEAD, NAN, NAN),
    ],
)
def test_a_level_says_how_far_a_value_is_out_of_its_band(metric, value, level) -> None:
    values = np.array([value])
    shown = usual_bands().scale(metric, values).levels(values)[0]
    assert shown == pytest.approx(level, abs=1e-5, nan_ok=True)


def test_a_band_ends_where_the_users_own_threshold_is() -> None:
    own = bands(
        {
            "ACT01": {"low": 0.7, "high": 1.5},
            "ACT04": {"warning_fraction": 0.05},
            "ACT05": {"fraction": 0.9},
            "UPD01": {"warning": 0.03},
            "UPD02": {"ratio": 1e-7},
        }
    )
    assert own.std.band == pytest.approx((0.7, 1.5))
    assert own.log_ratio.band == pytest.approx((-6, np.log10(0.03)))
    assert (own.dead.band, own.saturated.band) == ((0, 0.05), (0, 0.9))
    assert own.log_ratio.levels(np.array([-7.0]))[0] == -1.0
    assert "up to 5 %" in legend(Metric.DEAD, own.dead)


def test_what_a_rule_objects_to_is_in_full_colour() -> None:
    usual = usual_bands()
    assert usual.std.band == pytest.approx((0.5, 2.0))
    assert usual.log_ratio.band == pytest.approx((-4, -2))
    assert usual.std.levels(np.array([0.02, 50.0])).tolist() == pytest.approx([-1, 1])
    assert usual.log_ratio.levels(np.array([-5.0, -1.0])).tolist() == pytest.approx([-1, 1])
    assert usual.dead.levels(np.array([0.5]))[0] == 1.0


@pytest.mark.parametrize("value", [0.0, 1e-9, 3.0, 1e9])
def test_an_absurd_threshold_still_makes_a_scale(value: float) -> None:
    own = bands(
        {
            "ACT01": {"low": value, "high": value},
            "ACT04": {"warning_fraction": value, "error_fraction": value},
            "UPD01": {"warning": value, "error": value},
            "UPD02": {"ratio": value},
        }
    )
    for scale in (own.std, own.log_ratio, own.dead):
        levels = scale.levels(np.array([1e-3, 0.1, 1.0, 10.0]))
        assert np.all(np.isfinite(levels))
        assert np.all(np.diff(levels) >= 0)


def test_the_band_of_gradients_is_around_their_median() -> None:
    values = np.array([1e-8, 1e-3, 1e-3, 1e-3, 1e2])
    low, middle, *_, high = usual_bands().scale(Metric.GRADIENT_RMS, values).levels(values)
    assert (low, middle, high) == (-1.0, 0.0, 1.0)


def test_no_outlier_is_lost_however_many_samples_a_column_stands_for() -> None:
    levels = np.zeros((10_000, 2))
    levels[1234, 0], levels[8765, 1] = 0.9, -0.8
    shown = heat(levels, np.arange(10_000), columns=50)
    assert shown.levels.shape == (2, 50)
    assert (shown.levels[0].max(), shown.levels[1].min()) == (0.9, -0.8)
    assert shown.steps[-1] == 9999
    assert squeeze(shown.levels[0], 7).max() == 0.9


def test_what_was_not_recorded_hides_nothing_beside_it() -> None:
    levels = np.array([[NAN, 0.5, NAN], [NAN, -0.7, NAN]])
    np.testing.assert_equal(worst_of(levels), [NAN, -0.7, NAN])


def test_a_tree_has_each_group_above_its_members_in_execution_order() -> None:
    lines = tree(["stem.conv", "blocks.0.conv", "blocks.0.act", "head"])
    assert [(line.label, line.depth) for line in lines] == [
        ("stem", 0),
        ("conv", 1),
        ("blocks", 0),
        ("0", 1),
        ("conv", 2),
        ("act", 2),
        ("head", 0),
    ]


def test_the_layers_of_a_keras_model_are_a_tree_as_well() -> None:
    lines = tree(["conv2d", "attention/query", "attention/key", "dense"], separator="/")
    assert [(line.label, line.depth, line.layer) for line in lines] == [
        ("conv2d", 0, 0),
        ("attention", 0, None),
        ("query", 1, 1),
        ("key", 1, 2),
        ("dense", 0, 3),
    ]
    assert groups(["a/b/c", "d"], deeper_than=1, separator="/") == {"a/b"}


def test_a_folded_group_stands_for_all_that_is_inside() -> None:
    lines = tree(["a.x", "a.y", "b"], folded={"a"})
    assert [(line.path, line.inside, line.is_folded) for line in lines] == [
        ("a", (0, 1), True),
        ("b", (2,), False),
    ]


@pytest.mark.parametrize("paths", [["", "."], ["a..b", "a."], [".".join("a" * 5000)], ["a", "a.b"]])
def test_every_layer_is_one_line_of_the_tree_whatever_it_is_called(paths) -> None:
    lines = tree(paths)
    assert sorted(line.layer for line in lines if line.layer is not None) == [*range(len(paths))]
    assert len(lines) < 100


def test_a_filter_asks_for_all_words_in_any_case() -> None:
    paths = ["encoder.Conv", "decoder.conv", "head"]
    assert [line.path for line in flat(paths, range(3), "CONV enc")] == ["encoder.Conv"]


def test_groups_can_be_asked_for_from_some_depth_on() -> None:
    assert groups(["a.b.c", "d"]) == {"a", "a.b"}
    assert groups(["a.b.c", "d"], deeper_than=1) == {"a.b"}


def test_the_history_of_a_layer_pools_its_parameters_by_size() -> None:
    rows = sites("a", parameters=("weight", "bias"))
    rows[1]["numel"], rows[4]["numel"] = 30, 10
    rms = [1.0, 1.0, 0.0, 1e-3, 2.0, 0.0, 1e-3]
    made = Trace.from_rows(
        sites=rows,
        stats=[{"step": 1, "site": n, "rms": value} for n, value in enumerate(rms)],
    )
    for row in rows:
        row.setdefault("numel", 10)
    ratio = layer_history(made, Metric.UPDATE_RATIO, ["a"])[0, 0]
    assert ratio == pytest.approx(math.log10(1e-3 / math.sqrt((30 + 40) / 40)))


def test_a_recorded_zero_is_as_low_as_can_be_and_a_missing_value_blank() -> None:
    made = Trace.from_rows(
        sites=sites("a"),
        stats=[
            {"step": 1, "site": 1, "rms": 1.0},
            {"step": 1, "site": 2, "rms": 0.0},
            {"step": 2, "site": 1, "rms": 1.0},
        ],
    )
    page = layers_page(made, Metric.GRADIENT_RMS, usual_bands())
    zero, missing = page.heat.levels[0].tolist()
    assert zero == -1.0
    assert math.isnan(missing)


def test_a_value_that_is_not_finite_outshines_every_metric() -> None:
    page = layers_page(trace(nonfinite_fraction=0.5), Metric.ACTIVATION_STD, usual_bands())
    assert np.isinf(page.heat.levels).all()
    assert page.anomalies == (math.inf, math.inf)


def test_a_layer_is_shown_with_its_parameter_and_the_true_ratio_of_its_update() -> None:
    page = layer_page(trace(), "b", 0, (), usual_bands())
    assert page.path == "b"
    assert page.parameters == ("weight",)
    assert [column.heading for column in page.columns] == ["output", "weight", "gradient", "update"]
    assert page.columns[-1].latest[LOG_RATIO] == pytest.approx(-3.0)
    assert page.columns[0].curves["std"].values == (1.0,) * 10


def test_only_findings_on_the_layer_or_its_parameters_are_its_findings() -> None:
    made = trace()
    weight, other = made.site("b.weight", "param"), made.site("a", "activation")
    found = (Finding("mine", site=weight), Finding("not mine", site=other), Finding("of the run"))
    assert [f.message for f in layer_page(made, "b", 0, found, usual_bands()).findings] == ["mine"]


def test_a_layer_that_is_not_there_is_an_empty_page() -> None:
    assert layer_page(trace(), "nowhere", 3, (), usual_bands()).columns == ()
    assert layer_page(Trace.from_rows(), None, 0, (), usual_bands()).path is None


def test_histograms_are_put_on_common_powers_of_two() -> None:
    made = Trace.from_rows(
        sites=sites("a"),
        stats=[{"step": 0, "site": 0, "std": 1.0}],
        histograms=[
            {"step": 0, "site": 0, "edges": [-1.0, 0.0, 0.5, math.inf], "counts": [4, 2, 8, 1]},
            {"step": 9, "site": 0, "edges": [1.0], "counts": [3]},
            {"step": 9, "site": 0, "edges": [1.0, 2.0], "counts": [3]},
        ],
    )
    history = layer_page(made, "a", 0, (), usual_bands()).columns[0].histograms
    assert history.lowest_octave == -1
    assert history.steps == (0, 9)
    assert history.shares is not None
    # Bins from low to high: (−2, −1], (−1, −0.5], about 0, [0.5, 1), [1, 2).
    assert history.shares[:, 0].tolist() == [0.5, 0.0, 0.25, 1.0, 0.0]
    assert history.shares[:, 1].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_updates_are_given_with_their_range_over_the_run() -> None:
    page = updates_page(trace(), usual_bands())
    assert page.paths == ("a.weight", "b.weight")
    assert page.log10_ratios == pytest.approx((-3.0, -3.0))
    assert page.spreads[0] == pytest.approx((-3.0, -3.0))


def test_the_ratio_of_a_parameter_now_is_that_on_the_pages_of_layers() -> None:
    rms = {"activation": 1.0, "param": 1.0, "param_grad": 1.0}
    stats = [
        {"step": step, "site": row["id"], "rms": rms.get(str(row["role"]), 10.0**-step)}
        for step in range(6)
        for row in sites("a")
    ]
    made = Trace.from_rows(sites=sites("a"), stats=stats)
    (now,) = updates_page(made, usual_bands()).log10_ratios
    (row,) = layers_page(made, Metric.UPDATE_RATIO, usual_bands()).rows
    of_layer = layer_page(made, "a", 0, (), usual_bands()).columns[-1].latest[LOG_RATIO]
    assert now == of_layer == row.log10_update_ratio == pytest.approx(-5.0)


def test_parameters_that_never_move_are_minus_infinity_not_unknown() -> None:
    rows = sites("a")
    stats = [{"step": 0, "site": 1, "rms": 1.0}, {"step": 0, "site": 3, "rms": 0.0}]
    assert updates_page(Trace.from_rows(sites=rows, stats=stats), usual_bands()).log10_ratios == (
        -math.inf,
    )


def test_batches_seen_before_are_counted() -> None:
    prints = [1, 1, 1, 2, 1, 3]
    data = [
        {"step": n, "phase": "train", "fingerprint": f, "batch_size": 4, "duplicate_examples": 1}
        | {"label_values": [0, 1], "label_counts": [3, 1]}
        for n, f in enumerate(prints)
    ]
    page = data_page(Trace.from_rows(data=data))
    assert (page.batches, page.distinct, page.repeats, page.longest_repeat) == (6, 3, 3, 3)
    assert (page.duplicate_examples, page.examples) == (6, 24)
    assert dict(page.labels) == {0: 18, 1: 6}


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 8, 8, 3), (2, 1, 8, 8)])
def test_images_are_found_in_either_layout(shape) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    kept = {"step": 0, "role": "input", "path": "input.0", "dtype": "float32", "stride": 1}
    made = Trace.from_rows(
        tensors=[{**kept, "shape": shape, "kept_shape": shape, "values": values.ravel().tolist()}]
    )
    pictures = data_page(made).pictures
    assert [picture.pixels.shape for picture in pictures] == [(8, 8, 3)] * 2
    assert (
        0 <= min(p.pixels.min() for p in pictures) <= max(p.pixels.max() for p in pictures) <= 255
    )


def test_what_is_no_image_makes_no_picture() -> None:
    kept = {"step": 0, "role": "input", "path": "input.0", "dtype": "float32", "stride": 1}
    rows = [{**kept, "shape": [2, 5], "kept_shape": [2, 5], "values": [0.0] * 10}]
    assert data_page(Trace.from_rows(tensors=rows)).pictures == ()


ORIGIN = {
    "where": "forward",
    "kind": "nan",
    "op": "div",
    "what": "37 of 64 divisors are 0",
    "module": "b",
    "module_type": "Norm",
    "file": "train.py",
    "line": 12,
    "source": "return x / x.std(1)",
    "operands": [
        {"name": "other", "shape": [64, 1], "dtype": "float32", "min": 0.0, "max": 1.2, "zeros": 37}
    ],
}


def test_while_all_is_finite_the_least_headroom_stands_first() -> None:
    page = numerics_page(trace(), ())
    assert page.first_step is None
    assert page.growing[0].dtype == "float16"
    assert page.growing[0].headroom == pytest.approx(math.log10(65504 / 2))


def test_the_latest_statistics_of_a_layer_that_is_nan_are_not_those_from_before() -> None:
    broken = {"step": 10, "site": 4, "nonfinite_fraction": 1.0}
    made = trace()
    stats = [*made.table("stats").to_pylist(), broken]
    page = layer_page(
        Trace.from_rows(sites=sites("a", "b"), stats=stats), "b", 0, (), usual_bands()
    )
    output = page.columns[0]
    assert output.latest["nonfinite_fraction"] == 1.0
    assert math.isnan(output.latest["std"])
    assert "dead_fraction" not in output.latest
    assert output.curves["std"].first_nonfinite_step == 10
    assert (output.curves["std"].steps[-1], output.curves["std"].last_step) == (9.0, 10.0)


def test_of_a_nan_it_is_told_what_grew_before_and_where_it_went() -> None:
    rows = sites("a", "b")
    stats = [
        {"step": step, "site": site, "min": 0.0, "max": 2.0**step if site == 4 else 1.0}
        for step in range(8)
        for site in (0, 4)
    ]
    events = [
        {"step": 6, "kind": "nonfinite", "site": 4, "payload": '{"role": "activation"}'},
        {"step": 7, "kind": "nonfinite", "site": 0, "payload": '{"role": "activation"}'},
        {"step": 6, "kind": "origin", "payload": json.dumps(ORIGIN)},
    ]
    page = numerics_page(Trace.from_rows(sites=rows, stats=stats, events=events), ())
    assert page.first_step == 6
    assert [(some.step, some.paths) for some in page.reached] == [(6, ("b",)), (7, ("a",))]
    assert page.growing[0].path == "b"
    assert page.growing[0].largest == 32.0
    told = dict(page.story)
    assert told["first"].startswith("step 6: `div` in `b` (Norm) gives the first NaN: 37 of 64")
    assert told["line"] == "train.py:12  return x / x.std(1)"
    assert told["operand"] == "other [64, 1] float32, 0 to 1.2, 37 zeros"
    assert "epsilon" in told["do"]


def test_what_followed_a_nan_is_not_shown_as_what_was_before_it() -> None:
    steps = [
        {"step": n, "loss": math.nan if n == 2 else float(n), "grad_norm": 1.0} for n in range(5)
    ]
    page = numerics_page(Trace.from_rows(steps=steps), ())
    assert (page.loss.steps, page.grad_norm.steps) == ((0.0, 1.0), (0.0, 1.0))


def test_before_a_nan_in_the_first_step_there_is_nothing() -> None:
    stats = [{"step": step, "site": 0, "min": 0.0, "max": 1.0} for step in range(4)]
    steps = [{"step": step, "loss": math.nan} for step in range(4)]
    page = numerics_page(Trace.from_rows(sites=sites("a"), stats=stats, steps=steps), ())
    assert page.first_step == 0
    assert (page.loss.steps, page.growing) == ((), ())


def test_a_nan_that_no_sample_has_seen_yet_is_told_of_from_its_origin() -> None:
    events = [{"step": 3, "kind": "origin", "payload": json.dumps(ORIGIN)}]
    page = numerics_page(Trace.from_rows(sites=sites("a"), events=events), ())
    assert (page.first_step, page.reached) == (3, ())


def test_evaluations_are_the_mean_of_the_batches_that_were_no_training() -> None:
    data = [
        {"step": 4, "phase": "train", "loss_value": 9.0},
        {"step": 5, "phase": "eval", "loss_value": 1.0},
        {"step": 5, "phase": "eval", "loss_value": 3.0},
    ]
    page = overview_page(Trace.from_rows(data=data), Metric.DEAD, usual_bands())
    assert (page.evaluations.steps, page.evaluations.values) == ((5.0,), (2.0,))


def steps_of(rank: int, last: int, **columns: object) -> RankSteps:
    rows = [{"step": n, "time_ns": n * 10**9, "duration_ns": 10**9, **columns} for n in range(last)]
    return RankSteps(rank, pa.Table.from_pylist(rows, schema=arrow_schema("steps")))


def test_ranks_are_compared_at_the_last_step_they_share() -> None:
    page = ranks_page(
        [steps_of(0, 10, loss=1.0), steps_of(1, 8, loss=1.0), steps_of(2, 10, loss=3.0)]
    )
    assert page.shared_step == 7
    assert [row.lag for row in page.rows] == [0, 2, 0]
    assert [row.loss_ratio for row in page.rows] == [1.0, 1.0, 3.0]
    assert [row.seconds_behind for row in page.rows] == [0.0, 2.0, 0.0]


def test_a_rank_without_a_step_is_a_line_too() -> None:
    page = ranks_page([steps_of(0, 3), steps_of(1, 0)])
    assert [row.step for row in page.rows] == [2, None]


def test_each_rule_has_a_verdict_and_what_was_found_stands_first() -> None:
    rules = all_rules()
    found = Finding("x", code="NUM01", severity=Severity.ERROR)
    shown = verdicts(rules.values(), [found, found], [Skipped("too short", "ACT02")])
    assert len(shown) == len(rules)
    first = shown[0]
    assert (first.code, first.findings, first.message) == ("NUM01", 2, "x")
    assert (shown[1].code, shown[1].reason) == ("ACT02", "too short")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(5, "5 s"), (600, "10 min"), (7200, "2 h"), (400_000, "4 d")]
)
def test_the_age_of_a_run_is_one_number(seconds, shown) -> None:
    assert age(0, round(seconds * 1e9)) == shown
