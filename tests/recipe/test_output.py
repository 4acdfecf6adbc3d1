import json

from recipe.cards import card_of, diagnosis, finding, outcome_of, step

from nntrace.recipe import Card, Fact, State
from nntrace.recipe.output import as_json, as_markdown, render_text

HOSTILE = "<script>\x1b[2J|`*[a](b)\u202e\n# x"


def text(card: Card, run: str = "try7", **options: bool) -> str:
    return "\n".join(line.whole.plain for line in render_text(card, run, **options))


def hostile() -> Card:
    fact = outcome_of(step(fact=lambda trace: Fact(HOSTILE)))
    found = outcome_of(
        step(rules=("LOS01",)), diagnosis(finding(advice=HOSTILE, explained_by=HOSTILE))
    )
    return Card((fact, found))


def test_a_step_shows_its_mark_its_evidence_and_what_to_do():
    shown = text(Card((outcome_of(step(rules=("LOS01",)), diagnosis(finding())),)))
    assert "✗ 2.6  Verify the loss" in shown
    assert "LOS01: the first loss is 9." in shown
    assert "→ Scale the head down." in shown
    assert "next: 2.6 Verify the loss" in shown
    assert "nntrace diagnose try7" in shown


def test_what_to_do_by_hand_names_the_run_as_a_shell_reads_it():
    assert "nntrace report 'my run'" in text(card_of(State.UNCHECKED), "my run")


def test_stages_behind_a_failure_are_one_line_unless_asked_for():
    card = card_of(State.FAILED, State.ADVICE, State.ADVICE)
    assert "due once the failed ones are fixed" in text(card)
    assert "2.1" not in text(card)
    assert "2.1" in text(card, verbose=True)


def test_a_failed_step_is_shown_behind_another_failure_too():
    assert "2.1" in text(card_of(State.FAILED, State.FAILED))


def test_hostile_text_moves_no_cursor():
    shown = text(hostile(), run="a\x1bb", verbose=True)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_hostile_text_opens_nothing_in_markdown():
    shown = "\n".join(as_markdown(hostile(), HOSTILE))
    assert "<script>" not in shown
    assert "\x1b" not in shown
    assert "\\[a\\](b)" in shown
    assert "\n# x" not in shown


def test_markdown_ticks_what_is_verified_and_only_that():
    shown = "\n".join(as_markdown(card_of(State.VERIFIED, State.UNCHECKED, State.ADVICE), "try7"))
    assert "- [x] **1.1" in shown
    assert "- [ ] **2.1" in shown
    assert "- **3.1" in shown


def test_json_holds_the_states_and_what_is_next():
    card = Card((outcome_of(step(rules=("LOS01",)), diagnosis(finding(explained_by="UPD01"))),))
    content = json.loads(as_json(card, "try7", {"name": "try7"}))
    assert content["schema"] == 1
    assert content["run"] == {"name": "try7"}
    assert content["counts"]["failed"] == 1
    assert content["next"] == "2.6"
    (only,) = content["steps"]
    assert (only["state"], only["findings"], only["explained_by"]) == ("failed", ["LOS01"], "UPD01")
    assert only["how"] == "Compare it: nntrace report try7"
