"""What the last line of a run says of its overhead."""

import pytest

from nntrace.launch.session import overhead_of
from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.recorder.contention import Contention

SECOND = 1_000_000_000


@pytest.fixture
def recorder(tmp_path):
    recorder = Recorder(tmp_path / "run", Manifest("run"), Cadence(budget=0.02))

    def after(elapsed, spent, plain, starved=0.0):
        """Seconds of training, of tracing, of noting plain facts, and of waits for a processor."""
        clocks, waits = iter([0, round(elapsed * SECOND)]), iter([0, round(starved * SECOND)])
        recorder.contention = Contention(lambda: next(clocks), lambda: next(waits))
        recorder.account.elapsed_ns = round(elapsed * SECOND)
        recorder.account.hooks_ns = round(spent * SECOND)
        recorder.pace.facts.spent_ns = plain * SECOND
        return overhead_of(recorder)

    return after


def test_an_overhead_within_the_budget_is_a_share_and_nothing_else(recorder):
    assert recorder(100, 1.9, 0.5) == "1.9%"


def test_a_run_within_its_grace_is_short_however_short_its_steps(recorder):
    assert recorder(0.8, 0.3, 0.05) == (
        "37.5% (0.3 s: a short run is sampled densely, a long one at 2%)"
    )


def test_plain_facts_beyond_the_budget_are_the_reason_once_the_grace_is_spent(recorder):
    assert recorder(20, 2.0, 0.6) == (
        "10.0% (steps are so short that even unsampled ones exceed 2%)"
    )


def test_what_neither_explains_is_said_in_seconds(recorder):
    assert recorder(20, 5.0, 0.1) == "25.0% (5.0 s)"


def test_on_a_busy_machine_other_programs_are_the_reason(recorder):
    assert recorder(20, 2.0, 0.6, starved=9.0) == (
        "10.0% (on a busy machine: other programs had the processor for 45% of the time)"
    )


def test_a_busy_machine_is_no_reason_where_the_budget_is_kept(recorder):
    assert recorder(100, 1.9, 0.5, starved=60.0) == "1.9%"
