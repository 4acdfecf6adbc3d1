import pytest

from nntrace.recorder.account import Account, Instant
from nntrace.recorder.cadence import Cadence

MILLISECOND = 1_000_000


class Machine:
    """A clock that runs `load` times as fast as the program, which gets its share of it."""

    def __init__(self, load=1, *, says=True):
        self.load, self.says = load, says
        self.own_ns = 0

    def work(self, own_ns):
        self.own_ns += own_ns

    def clock(self):
        return self.own_ns * self.load

    def starved(self):
        return self.own_ns * (self.load - 1) if self.says else None


def account_of(machine):
    return Account(clock=machine.clock, starved=machine.starved)


def hook(machine, account, own_ns):
    started = machine.clock()
    machine.work(own_ns)
    account.hooks_ns += machine.clock() - started


@pytest.mark.parametrize("load", [1, 4])
def test_cost_and_time_are_those_of_a_machine_that_does_nothing_else(load):
    machine = Machine(load)
    account = account_of(machine)
    account.begin()
    machine.work(95 * MILLISECOND)
    hook(machine, account, 5 * MILLISECOND)
    times = account.step_ended(settles=True)
    assert account.elapsed_ns == 100 * MILLISECOND
    assert times.cost_ns == account.spent_ns == 5 * MILLISECOND
    assert account.overhead == pytest.approx(0.05)
    assert times.duration_ns == 100 * MILLISECOND * load


def test_where_the_system_does_not_say_the_clock_counts():
    machine = Machine(4, says=False)
    account = account_of(machine)
    account.begin()
    machine.work(5 * MILLISECOND)
    hook(machine, account, 5 * MILLISECOND)
    account.step_ended(settles=True)
    assert account.elapsed_ns == 40 * MILLISECOND
    assert account.spent_ns == 20 * MILLISECOND


def test_hooks_between_samples_are_corrected_by_the_next_sample():
    machine = Machine(4)
    account = account_of(machine)
    account.begin()
    for settles in (False, False, True):
        machine.work(18 * MILLISECOND)
        hook(machine, account, 2 * MILLISECOND)
        account.step_ended(settles=settles)
    assert account.spent_ns == 6 * MILLISECOND
    assert account.overhead == pytest.approx(0.1)


def test_a_step_that_only_waited_has_its_cost():
    """A wait is counted when it is over: of a short time it may seem to fill it all."""
    machine = Machine()
    machine.starved = machine.clock
    account = account_of(machine)
    account.begin()
    for own_ms in (1, 100):
        hook(machine, account, own_ms * MILLISECOND)
        assert account.step_ended(settles=True).cost_ns > 0


def test_the_first_step_is_part_of_no_proportion():
    machine = Machine()
    account = account_of(machine)
    hook(machine, account, 50 * MILLISECOND)
    account.step_ended(settles=True)
    account.begin()
    machine.work(100 * MILLISECOND)
    account.step_ended(settles=True)
    assert account.overhead == 0.0
    assert account.spent_ns == 50 * MILLISECOND


@pytest.mark.parametrize("load", [1, 5, 10])
def test_a_short_run_on_a_busy_machine_is_sampled_to_its_end(load):
    """20 s by the clock, steps of 20 ms of their own, samples that cost 12 ms of their own."""
    machine, cadence = Machine(load), Cadence(0.02)
    account = account_of(machine)
    account.begin()
    sampled, wanted, step = [], True, 0
    while machine.clock() < 20_000 * MILLISECOND:
        machine.work(20 * MILLISECOND)
        if wanted:
            hook(machine, account, 12 * MILLISECOND)
            sampled.append(step)
        times = account.step_ended(settles=wanted)
        if wanted:
            cadence.record_sample(times.cost_ns)
        step += 1
        wanted = cadence.wants(step, elapsed_ns=account.elapsed_ns, spent_ns=account.spent_ns)
    gaps = [later - earlier for earlier, later in zip(sampled, [*sampled[1:], step], strict=True)]
    assert max(gaps) <= 0.1 * step
    assert len(sampled) >= 30


@pytest.mark.parametrize("load", [1, 4])
def test_what_plain_facts_cost_is_known_of_each_step_that_is_not_sampled(load):
    machine = Machine(load)
    account = account_of(machine)
    account.begin()
    costs = []
    for number in range(20):
        sampled = number % 10 == 9
        machine.work(95 * MILLISECOND)
        hook(machine, account, (55 if sampled else 5) * MILLISECOND)
        times = account.step_ended(settles=sampled)
        costs += [] if sampled else [times.plain_ns / MILLISECOND]
    assert costs[9:] == pytest.approx(
        [5] * 9, rel=0.01
    )  # the first ones on a quiet machine's scale


def test_what_the_last_hook_of_a_step_took_until_the_step_ends_in_it_is_that_steps():
    machine = Machine()
    account = account_of(machine)
    account.begin()
    plain, costs = [], []
    for number in range(12):
        sampled = number % 3 == 0
        machine.work(2 * MILLISECOND)
        account.hook_began_ns = began = machine.clock()
        machine.work((30 if sampled else 1) * MILLISECOND)
        times = account.step_ended(settles=sampled)
        account.hooks_ns += machine.clock() - began
        account.hook_began_ns = 0
        (costs if sampled else plain).append(
            (times.cost_ns if sampled else times.plain_ns) / MILLISECOND
        )
    assert plain == [1] * 8
    assert costs == [30] * 4


def test_what_was_built_once_is_no_plain_fact():
    machine = Machine()
    account = account_of(machine)
    account.begin()
    with account.setting_up():
        hook(machine, account, 31 * MILLISECOND)
    hook(machine, account, 1 * MILLISECOND)
    assert account.step_ended(settles=False).plain_ns == 1 * MILLISECOND


def test_what_the_processor_did_in_steps_recorded_late_is_shared_among_them(monkeypatch):
    machine, processor = Machine(), iter([10, 130])
    monkeypatch.setattr(
        "nntrace.recorder.account.time.process_time_ns", lambda: next(processor) * MILLISECOND
    )
    account = account_of(machine)
    account.begin()
    account.step_ended(settles=True)
    ends = [Instant(0, number * 40 * MILLISECOND) for number in (1, 2, 3)]
    late = [account.step_ended(settles=False, ended=end, followed=True) for end in ends[:2]]
    last = account.step_ended(settles=False, ended=ends[2])
    assert [times.cpu_ns for times in late] == [None, None]
    assert last.cpu_ns == 40 * MILLISECOND
