"""PRB03, PRB04 and PRB05: what the replay of a step found."""

import pytest
from rules.builders import run_rule
from rules.checks import checked, noisy, run

from nntrace.rules import Severity, Skipped

ANSWER = {"state": "found", "text": "what was seen", "evidence": {}}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("PRB03", {"mixing": ANSWER}),
        ("PRB04", {"causality": ANSWER}),
        ("PRB05", {"functions": {"Square": ANSWER}}),
    ],
)
def test_what_a_replay_found_noted_or_could_not_see(code, told):
    def answer(state):
        changed = {
            name: {**value, "state": state}
            if "state" in value
            else {key: {**one, "state": state} for key, one in value.items()}
            for name, value in told.items()
        }
        return run_rule(code, checked(repeat=run("repeat", noisy(1.0), told=changed)))

    assert answer("clean") == []
    assert answer("found")[0].level is Severity.ERROR
    assert answer("noted")[0].level is Severity.INFO
    assert isinstance(answer("unknown")[0], Skipped)
    assert isinstance(run_rule(code, checked(repeat=run("repeat", noisy(1.0))))[0], Skipped)


@pytest.mark.parametrize(
    ("optimizers", "level"), [(("Adam",), Severity.ERROR), (("D", "G"), Severity.INFO)]
)
def test_a_discriminator_may_look_at_a_whole_batch_on_purpose(optimizers, level):
    told = {"mixing": ANSWER}
    repeat = run("repeat", noisy(1.0), told=told, optimizers=optimizers)
    [finding] = run_rule("PRB03", checked(repeat=repeat))
    assert finding.level is level
