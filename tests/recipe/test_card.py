import pytest
from recipe.cards import card_of, diagnosis, finding, outcome_of, step
from rules.builders import trace_of

from nntrace.recipe import STEPS, Card, Fact, Outcome, Stage, State, read
from nntrace.rules import Severity, Skipped

LOS01 = step(rules=("LOS01",))


def test_a_step_is_verified_when_its_rule_judged_and_found_nothing():
    outcome = outcome_of(LOS01, diagnosis(judged=("LOS01",)))
    assert outcome.state is State.VERIFIED
    assert outcome.evidence == "LOS01 found nothing in 3 steps, 0 of them sampled"


def test_the_numbers_of_the_trace_are_the_evidence_of_a_verified_step():
    one = step(rules=("LOS01",), fact=lambda trace: Fact(f"{len(trace.steps)} losses"))
    outcome = outcome_of(one, diagnosis(judged=("LOS01",)))
    assert (outcome.state, outcome.evidence) == (State.VERIFIED, "3 losses")


def test_the_silence_of_a_rule_that_could_not_judge_verifies_nothing():
    found = diagnosis(skipped=(Skipped("no known loss function", "LOS01"),))
    outcome = outcome_of(step(rules=("LOS01",), fact=lambda trace: Fact("3 losses")), found)
    assert outcome.state is State.UNCHECKED
    assert outcome.evidence == "LOS01 could not judge: no known loss function"


def test_a_rule_that_was_left_out_verifies_nothing():
    outcome = outcome_of(LOS01)
    assert (outcome.state, outcome.evidence) == (State.UNCHECKED, "LOS01 did not run")


def test_a_step_is_verified_by_some_of_its_rules_but_not_without_those_it_needs():
    part = diagnosis(skipped=(Skipped("one epoch only", "DAT03"),), judged=("DAT02",))
    both = ("DAT02", "DAT03")
    assert outcome_of(step(rules=both), part).state is State.VERIFIED
    outcome = outcome_of(step(rules=both, needs=("DAT03",)), part)
    assert outcome.state is State.UNCHECKED
    assert outcome.evidence == "DAT03 could not judge: one epoch only"


def test_a_finding_fails_the_step_whatever_the_trace_shows():
    one = step(rules=("LOS01",), fact=lambda trace: Fact("fine", State.VERIFIED))
    outcome = outcome_of(one, diagnosis(finding(), judged=("LOS01",)))
    assert outcome.state is State.FAILED
    assert outcome.evidence == "the first loss is 9."
    assert [found.code for found in outcome.findings] == ["LOS01"]


@pytest.mark.parametrize(
    ("fails_from", "state"), [(Severity.WARNING, State.UNCHECKED), (Severity.INFO, State.FAILED)]
)
def test_a_note_fails_a_step_only_where_a_note_is_enough(fails_from, state):
    noted = diagnosis(finding(severity=Severity.INFO), judged=("LOS01",))
    assert outcome_of(step(rules=("LOS01",), fails_from=fails_from), noted).state is state


def test_a_finding_of_another_rule_does_not_concern_the_step():
    assert outcome_of(LOS01, diagnosis(finding("DAT01"), judged=("LOS01",))).findings == ()


def test_a_fact_that_proves_something_needs_no_rule():
    one = step(fact=lambda trace: Fact("8 evaluations", State.VERIFIED))
    assert outcome_of(one).state is State.VERIFIED


def test_what_nothing_in_the_trace_answers_is_open_or_advice():
    assert outcome_of(step()).state is State.UNCHECKED
    assert outcome_of(step(otherwise=State.ADVICE)).state is State.ADVICE


def test_rules_that_found_nothing_against_an_advice_do_not_verify_it():
    advice = step(rules=("LOS01",), otherwise=State.ADVICE)
    outcome = outcome_of(advice, diagnosis(judged=("LOS01",)))
    assert (outcome.state, "found nothing" in outcome.evidence) == (State.ADVICE, True)
    needed = step(rules=("LOS01",), needs=("LOS01",), otherwise=State.ADVICE)
    assert outcome_of(needed, diagnosis(judged=("LOS01",))).state is State.VERIFIED


def test_a_fact_that_cannot_be_read_costs_its_own_step_only():
    outcome = outcome_of(step(fact=lambda trace: 1 / 0, rules=("LOS01",)), diagnosis())
    assert outcome.state is State.UNCHECKED
    assert "ZeroDivisionError" in outcome.evidence


def test_a_failure_explained_by_another_is_named_a_symptom():
    symptom = diagnosis(finding(explained_by="UPD01"))
    assert outcome_of(LOS01, symptom).cause == "UPD01"
    assert outcome_of(LOS01, diagnosis(finding())).cause is None
    assert outcome_of(LOS01, diagnosis(finding(explained_by="UPD01"), finding())).cause is None


def test_next_is_the_first_failure_that_is_no_symptom():
    symptom = outcome_of(LOS01, diagnosis(finding(explained_by="UPD01")))
    root = outcome_of(step("3.3", Stage.OVERFIT, rules=("UPD01",)), diagnosis(finding("UPD01")))
    assert Card((symptom, root)).next is root
    assert Card((symptom,)).next is symptom


def test_next_is_what_a_run_could_verify_when_nothing_failed():
    by_hand, by_a_run = Outcome(step(), State.UNCHECKED), Outcome(LOS01, State.UNCHECKED)
    assert Card((by_hand, by_a_run)).next is by_a_run
    assert card_of(State.VERIFIED, State.ADVICE).next is None


def test_a_stage_is_due_once_no_earlier_step_failed():
    card = card_of(State.UNCHECKED, State.FAILED, State.VERIFIED)
    assert card.is_due(Stage.DATA)
    assert card.is_due(Stage.SKELETON)
    assert not card.is_due(Stage.OVERFIT)


def test_the_card_has_every_step_of_the_recipe_in_order():

    card = read(trace_of(), diagnosis())
    assert tuple(outcome.step for outcome in card.outcomes) == STEPS
    assert card.count(State.VERIFIED) + card.count(State.FAILED) == 0
