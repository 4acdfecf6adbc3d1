import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrace.recorder.cadence import CLOSER_STEPS, DENSE_STEPS, GRACE_NS, Cadence

MILLISECOND = 1_000_000


class Training:
    """A simulated run: time passes by steps, and a sampled step costs extra."""

    def __init__(self, cadence, *, step_ns, cost_ns, idle_cost_ns=0, rests=False):
        self.cadence, self.step_ns, self.cost_ns = cadence, step_ns, cost_ns
        self.idle_cost_ns = idle_cost_ns
        self.rests = rests
        self.asked = 0
        self.elapsed_ns = self.spent_ns = 0
        self.sampled = []

    def run(self, steps):
        wanted = True
        for step in range(steps):
            cost = self.cost_ns(step) if callable(self.cost_ns) else self.cost_ns
            cost = cost if wanted else self.idle_cost_ns
            self.elapsed_ns += self.step_ns + cost
            self.spent_ns += cost
            if wanted:
                self.sampled.append(step)
                self.cadence.record_sample(cost)
            if self.rests and self.cadence.rests(step + 1, self.elapsed_ns):
                wanted = False
                continue
            self.asked += 1
            wanted = self.cadence.wants(
                step + 1, elapsed_ns=self.elapsed_ns, spent_ns=self.spent_ns
            )
        return self


def test_the_first_steps_are_all_sampled_whatever_they_cost():
    training = Training(Cadence(0.02), step_ns=MILLISECOND, cost_ns=10_000 * MILLISECOND).run(30)
    assert training.sampled == list(range(DENSE_STEPS))


def test_a_pinned_interval_ignores_the_budget():
    training = Training(Cadence(0.001, every=4), step_ns=1000, cost_ns=10**9).run(17)
    assert training.sampled == [0, 4, 8, 12, 16]


def test_a_short_run_is_seen_densely():
    training = Training(Cadence(0.02), step_ns=20 * MILLISECOND, cost_ns=2 * MILLISECOND).run(200)
    assert len(training.sampled) == 200


@pytest.mark.parametrize("budget", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("step_ms", [1, 50, 1000])
@pytest.mark.parametrize("cost_share", [0.05, 1.0, 8.0])
def test_a_long_run_keeps_to_its_budget(budget, step_ms, cost_share):
    step_ns = step_ms * MILLISECOND
    cost_ns = int(cost_share * step_ns)
    training = Training(Cadence(budget), step_ns=step_ns, cost_ns=cost_ns).run(20_000)
    allowed = 2 * GRACE_NS + budget * training.elapsed_ns + DENSE_STEPS * cost_ns
    assert training.spent_ns <= allowed
    if training.elapsed_ns > 100 * GRACE_NS / budget:
        all_sampled = cost_share / (1 + cost_share)
        reached = training.spent_ns / training.elapsed_ns
        assert reached == pytest.approx(min(budget, all_sampled), rel=0.15)


@given(
    st.floats(0.002, 0.2),
    st.integers(100_000, 10**9),
    st.lists(st.integers(1000, 10**9), min_size=1, max_size=20),
)
def test_whatever_samples_cost_the_budget_is_overdrawn_by_few_samples_at_most(
    budget, step_ns, costs
):
    def cost_of(step):
        return costs[step % len(costs)]

    training = Training(Cadence(budget), step_ns=step_ns, cost_ns=cost_of).run(3000)
    allowed = 2 * GRACE_NS + budget * training.elapsed_ns + (DENSE_STEPS + 2) * max(costs)
    assert training.spent_ns <= allowed


def test_the_cost_of_unsampled_steps_is_part_of_the_budget():
    idle_cost_ns = MILLISECOND // 50  # all of the budget
    training = Training(
        Cadence(0.02), step_ns=MILLISECOND, cost_ns=MILLISECOND // 10, idle_cost_ns=idle_cost_ns
    ).run(100_000)
    late = [step for step in training.sampled if step > 50_000]
    assert len(late) < 500


@pytest.mark.parametrize("floor", [0.035, 0.15])
def test_where_unsampled_steps_cost_more_than_the_budget_samples_become_rare_and_do_not_end(floor):
    idle_cost_ns = int(floor * MILLISECOND)
    training = Training(
        Cadence(0.02), step_ns=MILLISECOND, cost_ns=6 * MILLISECOND, idle_cost_ns=idle_cost_ns
    ).run(200_000)
    of_samples_ns = len(training.sampled) * 6 * MILLISECOND
    assert of_samples_ns < GRACE_NS + 0.02 * training.elapsed_ns
    late = [step for step in training.sampled if step > 20_000]
    assert all(after <= 1.11 * before for before, after in itertools.pairwise(late))
    assert late[-1] > 180_000


def test_sampling_goes_on_once_an_expensive_spell_is_over():
    training = Training(
        Cadence(0.02),
        step_ns=100 * MILLISECOND,
        cost_ns=lambda step: (1000 if step < 20 else 1) * MILLISECOND,
    ).run(20_000)
    assert max(training.sampled) > 19_900


def test_a_burst_is_sampled_whatever_the_allowance():
    cadence = Cadence(0.0, grace_ns=0)
    cadence.record_sample(10**9)
    spent = {"elapsed_ns": 10**9, "spent_ns": 10**9}
    assert not cadence.wants(100, **spent)
    cadence.burst(3)
    assert [cadence.wants(step, **spent) for step in range(101, 106)] == [True] * 3 + [False] * 2


def test_a_run_of_three_seconds_is_sampled_to_its_end():
    training = Training(Cadence(0.02), step_ns=MILLISECOND, cost_ns=4 * MILLISECOND).run(2000)
    late = [step for step in training.sampled if step >= 1000]
    assert len(late) > len(training.sampled) / 4


def test_every_part_of_a_run_is_sampled_though_a_pause_of_the_writer_used_up_its_share():
    training = Training(
        Cadence(0.02),
        step_ns=MILLISECOND // 2,
        cost_ns=lambda step: 300 * MILLISECOND if step == 20 else MILLISECOND,
    ).run(600)
    gaps = [later - earlier for earlier, later in itertools.pairwise([*training.sampled, 600])]
    assert max(gaps) <= 30


def test_every_tenth_part_of_a_run_is_sampled_though_its_grace_was_used_up():
    def cost_of(step):
        return (1500 if step == 30 else 10) * MILLISECOND

    training = Training(Cadence(0.001), step_ns=MILLISECOND, cost_ns=cost_of).run(1000)
    seen = [*training.sampled, 1000]
    assert all(later <= 1.1 * earlier + 2 for earlier, later in itertools.pairwise(seen))


@pytest.mark.parametrize("cost_ms", [1, 5, 40])
def test_the_interval_settles_within_fifty_steps(cost_ms):
    cadence = Cadence(0.02, grace_ns=0, dense_steps=1)
    training = Training(cadence, step_ns=100 * MILLISECOND, cost_ns=cost_ms * MILLISECOND)
    sampled = [step for step in training.run(1000).sampled if step > 50]
    gaps = [later - earlier for earlier, later in itertools.pairwise(sampled)]
    # A sample's own time is elapsed time too.
    expected = max(1, cost_ms * (1 / 0.02 - 1) / 100)
    assert gaps
    assert all(abs(gap - expected) <= 1 for gap in gaps)


def test_unrest_is_looked_at_closely_and_paid_back():
    cadence = Cadence(0.02, grace_ns=0, dense_steps=1)
    training = Training(cadence, step_ns=100 * MILLISECOND, cost_ns=20 * MILLISECOND).run(300)
    cadence.look_closer()
    spent = {"elapsed_ns": training.elapsed_ns, "spent_ns": 0}
    answers = [cadence.wants(300 + number, **spent) for number in range(CLOSER_STEPS)]
    assert all(answers)
    overdrawn = {"elapsed_ns": training.elapsed_ns, "spent_ns": training.elapsed_ns}
    cadence.look_closer()
    assert not cadence.wants(311, **overdrawn)


def test_a_pinned_interval_is_not_changed_by_unrest():
    cadence = Cadence(every=100)
    cadence.look_closer()
    assert not cadence.wants(5, elapsed_ns=10**9, spent_ns=0)


@pytest.mark.parametrize("every", [None, 7])
@pytest.mark.parametrize("step_ms", [0.2, 1, 50])
@pytest.mark.parametrize("cost_ms", [0.1, 4, 300])
def test_not_asking_while_the_answer_is_known_changes_no_answer(every, step_ms, cost_ms):
    times = {"step_ns": step_ms * MILLISECOND, "cost_ns": cost_ms * MILLISECOND}
    always, resting = (
        Training(Cadence(0.02, every=every), idle_cost_ns=20_000, rests=rests, **times).run(3000)
        for rests in (False, True)
    )
    assert resting.sampled == always.sampled
    assert resting.asked < always.asked or len(always.sampled) > 1000


def test_unrest_and_a_burst_end_a_rest():
    cadence = Cadence(0.02)
    for notice in (cadence.look_closer, lambda: cadence.burst(1)):
        training = Training(cadence, step_ns=50 * MILLISECOND, cost_ns=300 * MILLISECOND).run(200)
        assert cadence.rests(201, training.elapsed_ns)
        notice()
        assert not cadence.rests(201, training.elapsed_ns)
