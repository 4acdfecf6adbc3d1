import pytest

from nntrace.recorder.plain_facts import LONGEST, WINDOW, PlainFacts

MILLISECOND = 1_000_000
GRACE_NS = 1000 * MILLISECOND
FULL_US, LIGHT_US = 100, 20


def course(step_ms, steps=20_000, *, budget=0.02, batch=WINDOW, full_us=FULL_US, look_at=()):
    """Of each step whether it was a light one, and the facts."""
    facts, kinds, elapsed_ns = PlainFacts(budget, GRACE_NS), [], 0
    while len(kinds) < steps:
        light = facts.wants_light
        for left in reversed(range(batch)):
            elapsed_ns += int(step_ms * MILLISECOND)
            cost_ns = batch * 1000 * (LIGHT_US if light else full_us) * (left == batch - 1)
            facts.step_ended(cost_ns, elapsed_ns, light=light, followed=left > 0)
            kinds.append(light)
            if len(kinds) in look_at:
                facts.look_closer()
    return kinds, facts


def rows(kinds, kind):
    """The lengths of the runs of one kind, the first and the last left out."""
    lengths, last = [], None
    for one in kinds:
        if one != last:
            lengths.append([one, 0])
        lengths[-1][1] += 1
        last = one
    return [length for one, length in lengths[1:-1] if one == kind]


def test_steps_that_are_long_enough_are_never_light():
    kinds, _ = course(FULL_US / 1000 / 0.01)
    assert not any(kinds)


def test_a_run_of_a_few_hundred_short_steps_has_no_light_ones():
    kinds, _ = course(1, steps=960)
    assert not any(kinds)


def test_plain_facts_take_half_the_budget_where_light_steps_take_less():
    step_ms = 4  # full steps cost 2.5 % of it, light ones 0.5 %
    kinds, facts = course(step_ms)
    assert any(kinds)
    cost = facts.spent_ns - 0.1 * GRACE_NS
    assert cost == pytest.approx(0.01 * 20_000 * step_ms * MILLISECOND, rel=0.05)


def test_full_steps_come_round_in_windows_however_short_steps_are():
    kinds, _ = course(0.5)
    assert set(rows(kinds, False)) == {WINDOW}
    assert max(rows(kinds, True)) == LONGEST


def test_a_closer_look_begins_a_window_of_full_steps():
    batch = 300 * WINDOW  # in the middle of whose steps it is called for
    kinds, _ = course(0.5, look_at=[batch + WINDOW // 2])
    assert all(kinds[batch - WINDOW : batch + WINDOW])
    assert not any(kinds[batch + WINDOW : batch + 2 * WINDOW])
    assert all(kinds[batch + 2 * WINDOW : batch + 3 * WINDOW])


def test_steps_that_have_become_long_are_full_again():
    facts, elapsed_ns, kinds = PlainFacts(0.02, GRACE_NS), 0, []
    for number in range(12_000):
        elapsed_ns += int((0.5 if number < 8000 else 50) * MILLISECOND)
        kinds.append(facts.wants_light)
        cost_ns = 1000 * (LIGHT_US if kinds[-1] else FULL_US)
        facts.step_ended(cost_ns, elapsed_ns, light=kinds[-1], followed=False)
    assert all(kinds[7900:7960])
    assert not any(kinds[9000:])


def test_one_step_far_above_the_others_hardly_counts():
    facts = PlainFacts(0.02, GRACE_NS)
    for number in range(300):
        cost_ns = (31 if number == 100 else 0.02) * MILLISECOND
        facts.step_ended(cost_ns, number * 3 * MILLISECOND, light=False, followed=False)
    assert facts.spent_ns < 300 * 0.025 * MILLISECOND


def test_a_closer_look_keeps_what_was_spent():
    facts = PlainFacts(0.0, GRACE_NS)
    facts.step_ended(MILLISECOND, 0, light=False, followed=False)
    facts.look_closer()
    assert facts.spent_ns == MILLISECOND


@pytest.mark.parametrize("batch", [1, 7, WINDOW])
def test_how_steps_are_recorded_together_changes_little(batch):
    kinds, facts = course(0.8, batch=batch)
    assert facts.spent_ns / 1e9 == pytest.approx(course(0.8)[1].spent_ns / 1e9, rel=0.1)
    assert 0 < kinds.count(False) < 0.2 * len(kinds)
