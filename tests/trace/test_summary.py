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
