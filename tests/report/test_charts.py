import math
from pathlib import Path

import numpy as np
import pytest
from rules.builders import site, trace_of
from run_folders import small_run

from nntrace.diagnosis.report import make_report
from nntrace.errors import NntraceError
from nntrace.report import render_chart
from nntrace.report.evidence import evidence_figure
from nntrace.report.figure import magnitude, specification
from nntrace.report.layers import layer_figures
from nntrace.report.page import make_figures
from nntrace.report.thinning import min_max, smoothed
from nntrace.report.training import training_figures
from nntrace.rules import Finding, Severity, select_rules
from nntrace.trace import Trace


def rows_of(spec) -> list[dict]:
    return [row for rows in spec["datasets"].values() for row in rows]


def test_thinning_keeps_a_lone_peak_and_a_lone_dip() -> None:
    values = np.ones(10_000)
    values[4321], values[77] = 9.0, -9.0
    kept = min_max(values, 100)
    assert len(kept) <= 100
    assert {0, 77, 4321, 9999} <= set(kept.tolist())


def test_thinning_leaves_out_what_is_not_a_number() -> None:
    assert min_max(np.array([1.0, np.nan, np.inf, 2.0]), 10).tolist() == [0, 3]


def test_smoothing_is_not_drawn_to_zero_at_the_start() -> None:
    np.testing.assert_allclose(smoothed(np.full(5, 3.0), 10), 3.0)


def test_on_a_logarithmic_axis_a_spike_does_not_hold_up_the_smoothed_course() -> None:
    losses = np.concatenate([np.ones(5), [1e20], np.ones(60)])
    assert smoothed(losses, 10)[-1] > 1e10
    np.testing.assert_allclose(smoothed(losses, 10, logarithmic=True)[-1], 1.0, rtol=1e-3)


def test_a_spike_of_the_loss_is_in_the_chart_of_a_long_run() -> None:
    loss = np.full(20_000, 1.0)
    loss[12_345] = 70.0
    figure = next(training_figures(trace_of(loss=loss.tolist()), []))
    assert max(row.get("value", 0) for row in rows_of(specification(figure, width=100))) == 70.0


def test_a_heatmap_cell_shows_the_largest_of_its_samples_and_nan_in_red() -> None:
    std = [1.0] * 500
    std[250] = 9.0
    broken = [0.0] * 500
    broken[400] = 0.5
    trace = trace_of(
        loss=[1.0] * 500,
        sites=[site("fc", "activation", std=std, nonfinite_fraction=broken)],
    )
    (figure,) = (f for f in layer_figures(trace) if f.name == "activation-over-time")
    rows = rows_of(specification(figure, width=100))
    assert max(row.get("v", 0) for row in rows) == 9.0
    (red,) = (row for row in rows if "share" in row)
    assert red["a"] <= 400 < red["b"]


def test_a_run_that_breaks_after_its_first_step_shows_that_step_by_depth() -> None:
    std = [0.5] + [math.nan] * 99
    trace = trace_of(
        loss=[1.0] * 100, sites=[site("a", "activation", std=std), site("b", "activation", std=std)]
    )
    (figure,) = (f for f in layer_figures(trace) if f.name == "activation-by-depth")
    assert {row["step"] for row in rows_of(specification(figure, width=100))} == {0}


@pytest.mark.parametrize(("moved", "drawn"), [(0.0, False), (1e-3, True)])
def test_update_ratios_are_drawn_only_where_something_moved(moved: float, drawn: bool) -> None:
    rows = [
        site("a.weight", role, rms=[size] * 9, shape=[8, 8], numel=64, parent="a")
        for role, size in (("param", 1.0), ("update", moved))
    ]
    names = {figure.name for figure in layer_figures(trace_of(loss=[1.0] * 9, sites=rows))}
    assert ("update-ratio" in names) is drawn


def test_a_recorded_zero_of_a_heatmap_has_the_lowest_colour_and_a_missing_value_none() -> None:
    frozen = site("a", "activation", std=[0.0] * 10)
    missing = site("b", "activation", std=[1e-3] * 5 + [math.nan] * 5)
    trace = trace_of(loss=[1.0] * 10, sites=[frozen, missing])
    (figure,) = (f for f in layer_figures(trace) if f.name == "activation-over-time")
    rows = [row for row in rows_of(specification(figure, width=100)) if "v" in row]
    zeros = [row for row in rows if row["layer"] == "a"]
    assert len(zeros) == 10
    assert {(row["v"], row["z"]) for row in zeros} == {(0.0, -3.0)}
    assert len([row for row in rows if row["layer"] == "b"]) == 5


@pytest.mark.parametrize(
    ("thresholds", "edge"), [({}, 0.2), ({"ACT04": {"warning_fraction": 0.6}}, 0.6)]
)
def test_evidence_draws_the_healthy_band_of_the_threshold_that_was_judged_by(
    thresholds, edge
) -> None:
    trace = trace_of(loss=[1.0] * 30, sites=[site("fc", "activation", dead_fraction=[0.7] * 30)])
    found = {"code": "ACT04", "severity": Severity.ERROR, "steps": (5, 29)}
    finding = Finding("dead", site=trace.sites[0], **found)
    figure = evidence_figure(trace, finding, 1, thresholds)
    assert figure is not None
    rows = rows_of(specification(figure, width=100))
    assert {"low": 0.0, "high": edge} in rows
    assert {"step": 5, "end": 29} in rows


def test_a_signal_that_only_biases_keep_up_is_shown_as_it_differs_between_examples() -> None:
    outputs = {"std": [0.3] * 30, "rms": [0.3] * 30}
    layers = [
        site("first", "activation", **outputs, example_std=[0.4] * 30),
        site("last", "activation", **outputs, example_std=[0.001] * 30),
    ]
    trace = trace_of(loss=[1.0] * 30, sites=layers)
    found = {"code": "ACT02", "severity": Severity.WARNING, "steps": (0, 29)}
    figure = evidence_figure(trace, Finding("faded", site=trace.sites[1], **found), 1)
    assert figure is not None
    rows = rows_of(specification(figure, width=100))
    assert [(row["depth"], row["v"]) for row in rows] == [(0, 0.4), (1, 0.001)]
    found |= {"code": "ACT01", "evidence": {"between_examples": True}}
    figure = evidence_figure(trace, Finding("faint", site=trace.sites[1], **found), 2)
    assert figure is not None
    assert {row["v"] for row in rows_of(specification(figure, width=100)) if "v" in row} == {0.001}


def test_the_depth_of_a_layer_is_its_own_where_not_all_are_drawn() -> None:
    layers = [site(f"l{n}", "activation", rms=[1.0] * 30) for n in range(100)]
    trace = trace_of(loss=[1.0] * 30, sites=layers)
    found = {"code": "ACT03", "severity": Severity.WARNING, "steps": (0, 29)}
    figure = evidence_figure(trace, Finding("grew", site=trace.sites[0], **found), 1)
    assert figure is not None
    rows = rows_of(specification(figure, width=100))
    assert (len(rows), rows[-1]["depth"], rows[-1]["layer"]) == (60, 99, "l99")
    assert "60 of 100" in figure.caption


def test_steps_without_a_finite_loss_belong_to_the_chart_of_the_loss() -> None:
    nan = float("nan")
    loss = [1.0] * 10 + [nan] * 2 + [1.0] * 10 + [nan] * 5
    figure = next(training_figures(trace_of(loss=loss), []))
    drawn = [row for row in rows_of(specification(figure, width=100)) if "end" in row]
    assert [(row["step"], row["end"]) for row in drawn] == [(10, 11), (22, 26), (10, 11)]
    assert "in red" in figure.caption


@pytest.mark.parametrize("at_a_site", [False, True])
def test_a_finding_on_the_loss_is_shown_on_the_loss_with_its_chance_value(at_a_site: bool) -> None:
    output = [site("mse_loss", "output", std=[1.0] * 90)] if at_a_site else []
    trace = trace_of(loss=[2.3] * 90, sites=output)
    found = {"code": "LOS11", "severity": Severity.ERROR, "evidence": {"chance": 2.25}}
    at = trace.sites[0] if at_a_site else None
    figure = evidence_figure(trace, Finding("stuck", site=at, steps=(10, 89), **found), 1)
    assert figure is not None
    rows = rows_of(specification(figure, width=100))
    assert {"chance": 2.25} in rows
    assert {"step": 10, "end": 89} in rows


def test_every_chart_is_a_valid_specification(whole: Path) -> None:
    for figure in make_figures(make_report(whole, select_rules()))[0]:
        figure.chart.to_dict(validate=True)


@pytest.mark.parametrize("form", ["svg", "png"])
def test_one_chart_is_a_picture_with_colours_of_its_own(whole: Path, form: str) -> None:
    figures = list(make_figures(make_report(whole, select_rules()))[0])
    picture = render_chart(figures, "loss", form)
    assert picture.startswith(b"<svg" if form == "svg" else b"\x89PNG")
    assert b"var(--" not in picture


def test_a_chart_that_does_not_exist_is_refused_with_those_that_do(whole: Path) -> None:
    figures = list(make_figures(make_report(whole, select_rules()))[0])
    with pytest.raises(NntraceError, match=r"no chart 'los'; it has: loss, "):
        render_chart(figures, "los", "svg")


def test_what_the_program_logged_itself_is_drawn(tmp_path: Path) -> None:
    logged = [{"step": step, "name": "<b>acc", "value": step / 10} for step in range(5)]
    trace = Trace.open(small_run(tmp_path / "a", scalars=logged))
    (figure,) = (f for f in training_figures(trace, []) if f.name.startswith("logged"))
    assert figure.title == "<b>acc"
    assert rows_of(specification(figure, width=100))[-1]["value"] == 0.4


def test_optimizers_that_take_turns_have_curves_of_their_own() -> None:
    trace = trace_of(loss=[1.0, 5.0] * 40, optimizer=["G", "D"] * 40)
    figure = next(training_figures(trace, []))
    spec = specification(figure, width=100)
    by_name = {row["optimizer"]: row["value"] for row in rows_of(spec)}
    assert by_name == {"G": 1.0, "D": 5.0}
    assert spec["layer"][0]["encoding"]["color"]["field"] == "optimizer"


@pytest.mark.parametrize("ends", [(0.15, 2.0), (0.15, 0.9), (1e-9, 1e3), (0.8, 70.0), (1e-4, 1e-2)])
def test_a_logarithmic_axis_has_at_least_two_labels(ends) -> None:
    axis = magnitude("v:Q", np.array(ends)).to_dict()["axis"]
    assert sum(ends[0] <= tick <= ends[1] for tick in axis["values"]) >= 2


def test_a_narrow_logarithmic_axis_leaves_its_labels_to_the_chart() -> None:
    assert "values" not in magnitude("v:Q", np.array([1.1, 1.15])).to_dict()["axis"]
