import pytest
from nntrace_tui.clock import TrainingClock

from nntrace.trace import Trace

SECOND = 1_000_000_000


class Machine:
    """Two clocks that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND
        self.elapsed = 0
        self.clock = TrainingClock(lambda: self.now, lambda: self.elapsed)

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.elapsed += round(seconds * SECOND)


def steps_at(*times_ns: int) -> Trace:
    rows = [{"step": n, "time_ns": time_ns} for n, time_ns in enumerate(times_ns)]
    return Trace.from_rows(steps=rows)


def test_until_a_step_was_seen_to_come_it_is_our_own_time() -> None:
    machine = Machine()
    assert machine.clock.read(steps_at()) == machine.now
    machine = Machine()
    assert machine.clock.read(steps_at(10)) == machine.now
    machine.wait(100)
    assert machine.clock.read(steps_at(10)) == machine.now


@pytest.mark.parametrize("there", [-7200, 0, 86_400])
def test_silence_is_counted_from_when_the_step_came_whatever_the_other_clock_says(there) -> None:
    machine = Machine()
    machine.clock.read(steps_at(1))
    machine.wait(1)
    step = machine.now + there * SECOND
    assert machine.clock.read(steps_at(1, step)) == step
    machine.wait(5)
    assert machine.clock.read(steps_at(1, step)) - step == 5 * SECOND


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_our_clock_being_set_makes_no_run_stall(jump) -> None:
    machine = Machine()
    machine.clock.read(steps_at(1))
    step = machine.now
    machine.clock.read(steps_at(1, step))
    machine.now += jump * SECOND
    machine.wait(2)
    assert machine.clock.read(steps_at(1, step)) - step == 2 * SECOND
