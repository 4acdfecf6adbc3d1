import math
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from nntrace_tui.pages.curve import downsample, means, step_curve
from nntrace_tui.pages.layers import LayerRow, LayersPage
from nntrace_tui.pages.overview import OverviewPage
from nntrace_tui.snapshot import Snapshot, snapshot

from nntrace.diagnosis import diagnose
from nntrace.manifest import Manifest
from nntrace.rules import Finding, Severity, Skipped, rule
from nntrace.schema import RunStatus
from nntrace.trace import Trace

SECOND = 1_000_000_000


def overview(shown: Snapshot) -> OverviewPage:
    assert isinstance(shown.content, OverviewPage)
    return shown.content


def layers(shown: Snapshot) -> LayersPage:
    return overview(shown).layers


def layer(shown: Snapshot, path: str) -> LayerRow:
    return next(row for row in layers(shown).rows if row.path == path)


def test_an_empty_trace_has_nothing_to_show_and_says_so() -> None:
    shown = snapshot(Trace.from_rows(), None, 0)
    assert shown.run.step is None
    assert shown.run.loss is None
    assert shown.run.steps_per_second is None
    assert shown.run.overhead is None
    assert layers(shown).rows == ()
    assert shown.findings is None


def test_the_header_gives_the_last_step_its_loss_and_the_speed() -> None:
    rows = [
        {"step": s, "time_ns": s * SECOND // 4, "loss": 1.0 / s, "lr": 0.1} for s in range(1, 201)
    ]
    run = snapshot(Trace.from_rows(steps=rows), None, 0).run
    assert (run.step, run.loss, run.lr) == (200, 1 / 200, 0.1)
    assert run.steps_per_second == pytest.approx(4.0)


def test_the_speed_of_a_running_run_is_that_of_its_last_steps() -> None:
    times = [*range(0, 100 * SECOND, SECOND), *range(100 * SECOND, 150 * SECOND, SECOND // 2)]
    rows = [{"step": s, "time_ns": t} for s, t in enumerate(times)]
    manifest = replace(Manifest.begin("run", (), {}), status=RunStatus.RUNNING)
    running = snapshot(Trace.from_rows(steps=rows, manifest=manifest), None, 0).run
    finished = snapshot(Trace.from_rows(steps=rows), None, 0).run
    assert running.steps_per_second == pytest.approx(2.0)
    assert finished.steps_per_second == pytest.approx(199 / 149.5)


def test_time_stands_still_once_a_run_has_ended() -> None:
    manifest = Manifest(name="run", status="finished", started_ns=SECOND, ended_ns=61 * SECOND)
    run = snapshot(Trace.from_rows(manifest=manifest), None, 10_000 * SECOND).run
    assert run.elapsed_seconds == 60
    assert run.seconds_since_step is None


def test_a_running_run_counts_from_its_last_step() -> None:
    manifest = Manifest(name="run", status="running", started_ns=SECOND)
    trace = Trace.from_rows(steps=[{"step": 1, "time_ns": 5 * SECOND}], manifest=manifest)
    run = snapshot(trace, None, 9 * SECOND).run
    assert (run.elapsed_seconds, run.seconds_since_step) == (8, 4)


def test_a_loss_that_was_not_recorded_does_not_hide_the_last_one() -> None:
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]
    assert snapshot(Trace.from_rows(steps=rows), None, 0).run.loss == 2.0


def test_a_nan_loss_is_shown_as_such() -> None:
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": math.nan}]
    shown = snapshot(Trace.from_rows(steps=rows), None, 0)
    assert math.isnan(shown.run.loss or 0.0)
    assert overview(shown).loss.first_nonfinite_step == 2
    assert overview(shown).loss.values == (2.0,)


def test_downsampling_keeps_every_extreme_and_both_ends() -> None:
    x = np.arange(10_000.0)
    y = np.sin(x / 50)
    y[4321], y[7654] = 99.0, -99.0
    few_x, few_y = downsample(x, y, 100)
    assert len(few_x) <= 202
    assert (few_x[0], few_x[-1]) == (0, 9999)
    assert (few_y.max(), few_y.min()) == (99, -99)
    assert (np.diff(few_x) > 0).all()


def test_a_short_curve_is_kept_whole() -> None:
    rows = [{"step": s, "loss": float(s)} for s in range(30)]
    curve = step_curve(Trace.from_rows(steps=rows), "loss")
    assert curve.values == tuple(map(float, range(30)))
    assert curve.trend == ()


def test_the_trend_is_the_mean_of_equal_stretches() -> None:
    x = np.arange(400.0)
    centres, values = means(x, np.where(x % 2 == 0, 1.0, 3.0), 20)
    assert values.tolist() == [2.0] * 20
    assert centres[0] == 9.5


def sites(**numel: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"path": "fc", "role": "activation", "module_type": "Linear", "parent": ""}
    ]
    for name, size in numel.items():
        for role in ("param", "param_grad", "update"):
            path = f"fc.{name}"
            rows.append({"path": path, "role": role, "parent": "fc", "numel": size})
    return [{"id": number, **row} for number, row in enumerate(rows)]


def stats(step: int, *rms: float, **columns: float) -> list[dict[str, object]]:
    return [
        {"step": step, "site": i, "std": r, "rms": r, "nonfinite_fraction": 0.0, **columns}
        for i, r in enumerate(rms)
    ]


def test_a_layer_row_joins_its_output_and_its_parameters() -> None:
    trace = Trace.from_rows(
        sites=sites(weight=10), stats=stats(7, 1.5, 0.1, 0.02, 1e-4, dead_fraction=0.25)
    )
    shown = snapshot(trace, None, 0)
    assert layers(shown).sampled_step == 7
    assert layers(shown).rows == (
        LayerRow("fc", "Linear", 1.5, pytest.approx(0.02), pytest.approx(-3.0), 0.25, None, 0.0),
    )


def test_the_update_ratio_weighs_parameters_by_their_size() -> None:
    trace = Trace.from_rows(
        sites=sites(weight=300, bias=100),
        stats=stats(1, 1.0, 1.0, 0.0, 1e-3, 2.0, 0.0, 1e-3),
    )
    expected = math.log10(1e-3 / math.sqrt((300 * 1 + 100 * 4) / 400))
    assert layer(snapshot(trace, None, 0), "fc").log10_update_ratio == pytest.approx(expected)


def test_a_parameter_outside_the_optimizer_does_not_dilute_the_update_ratio() -> None:
    rows = [site for site in sites(weight=10, frozen=1000) if site["id"] != 6]
    trace = Trace.from_rows(sites=rows, stats=stats(1, 1.0, 0.1, 0.0, 1e-4, 100.0, 0.0))
    assert layer(snapshot(trace, None, 0), "fc").log10_update_ratio == pytest.approx(-3.0)


def test_weights_that_do_not_move_have_an_update_ratio_of_minus_infinity() -> None:
    trace = Trace.from_rows(sites=sites(weight=10), stats=stats(1, 1.0, 0.1, 0.1, 0.0))
    assert layer(snapshot(trace, None, 0), "fc").log10_update_ratio == -math.inf


def test_weights_of_zero_have_no_update_ratio() -> None:
    trace = Trace.from_rows(sites=sites(weight=10), stats=stats(1, 1.0, 0.0, 0.1, 0.1))
    assert layer(snapshot(trace, None, 0), "fc").log10_update_ratio is None


def test_the_worst_nonfinite_share_of_a_layer_is_shown() -> None:
    rows = stats(1, 1.0, 0.1, 0.1, 0.1)
    rows[2]["nonfinite_fraction"] = 0.75
    trace = Trace.from_rows(sites=sites(weight=10), stats=rows)
    assert layer(snapshot(trace, None, 0), "fc").nonfinite_fraction == 0.75


def test_only_the_last_sample_of_a_site_counts() -> None:
    rows = [*stats(1, 9.0, 9.0, 9.0, 9.0), *stats(2, 1.0, 0.1, 0.01, 1e-4)]
    trace = Trace.from_rows(sites=sites(weight=10), stats=rows)
    assert layer(snapshot(trace, None, 0), "fc").activation_std == 1.0


def test_a_container_that_gets_no_row_is_left_out() -> None:
    rows = [*sites(weight=10), {"id": 4, "path": "", "role": "activation", "parent": ""}]
    trace = Trace.from_rows(sites=rows, stats=stats(1, 1.0, 0.1, 0.1, 0.1))
    assert [row.path for row in layers(snapshot(trace, None, 0)).rows] == ["fc"]


def test_before_the_first_sample_layers_are_listed_without_numbers() -> None:
    trace = Trace.from_rows(sites=sites(weight=10))
    assert layers(snapshot(trace, None, 0)).rows == (
        LayerRow("fc", "Linear", None, None, None, None, None, None),
    )


def test_findings_and_skipped_rules_come_from_the_diagnosis() -> None:
    @rule("XXX01", "always", Severity.WARNING, advice="Nothing.")
    def always(trace: Trace) -> Iterator[Finding | Skipped]:
        yield Finding("it is so")

    @rule("XXX02", "never", Severity.WARNING, advice="Nothing.", min_steps=5)
    def never(trace: Trace) -> Iterator[Finding | Skipped]:
        yield Finding("it is not so")

    trace = Trace.from_rows(steps=[{"step": 1}])
    shown = snapshot(trace, diagnose(trace, rules=[always, never]), time.time_ns())
    assert [finding.code for finding in shown.findings or ()] == ["XXX01"]
    assert [skip.code for skip in shown.skipped] == ["XXX02"]
