import math

import pytest

from nntrace.manifest import Manifest
from nntrace.trace import Trace

STEPS = [{"step": s, "duration_ns": 1000, "overhead_ns": 20} for s in range(5)]


@pytest.mark.parametrize(
    ("status", "written", "expected"),
    [
        ("running", 0.5, 0.02),
        ("finished", 0.5, 0.5),
        ("killed", None, 0.02),
        ("finished", float("nan"), 0.02),
    ],
)
def test_the_overhead_is_that_of_the_steps_unless_the_end_of_the_run_wrote_it(
    status: str, written: float | None, expected: float
) -> None:
    manifest = Manifest(name="run", status=status, overhead=written)
    assert Trace.from_rows(steps=STEPS, manifest=manifest).overhead == expected


def test_without_steps_the_overhead_is_not_known() -> None:
    assert Trace.from_rows(manifest=Manifest(name="run", status="running")).overhead is None


@pytest.mark.parametrize("loss", [0.5, None])
def test_the_last_loss_is_none_where_the_last_step_recorded_none(loss: float | None) -> None:
    rows = [{"step": 0, "loss": 0.7}, {"step": 1, "loss": loss}]
    assert Trace.from_rows(steps=rows).last_loss == loss


def test_a_last_loss_that_is_nan_is_not_taken_for_a_missing_one() -> None:
    last = Trace.from_rows(steps=[{"step": 0, "loss": float("nan")}]).last_loss
    assert last is not None
    assert math.isnan(last)


def test_an_optimizer_that_steps_after_anothers_backward_has_its_loss() -> None:
    rows = [
        {"step": 0, "loss": 2.0, "backwards": 1},
        {"step": 1, "loss": None, "backwards": 0},
        {"step": 2, "loss": 1.0, "backwards": 1},
        {"step": 3, "loss": None, "backwards": 0},
        {"step": 4, "loss": None, "backwards": 0},
    ]
    assert Trace.from_rows(steps=rows).last_loss == 1.0


def test_without_steps_there_is_no_last_loss() -> None:
    assert Trace.from_rows().last_loss is None
