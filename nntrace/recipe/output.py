"""The text, JSON and Markdown forms of a recipe card.

Findings and facts hold text from user code: it passes through `printable`, is never read as markup,
and is escaped in Markdown.
"""

import shlex
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.text import Text

from nntrace.diagnosis.text import Line
from nntrace.recipe.card import Card, Outcome
from nntrace.recipe.step import Stage, State, Step
from nntrace.text import printable
from nntrace.text.json import json_text
from nntrace.text.markdown import escaped

JSON_SCHEMA: Final = 1
_MARKS: Final = {
    State.VERIFIED: ("✓", "green"),
    State.FAILED: ("✗", "bold red"),
    State.UNCHECKED: ("○", "yellow"),
    State.ADVICE: ("·", "dim"),
}
_LONGEST: Final = 400
_ABOUT: Final = """\
What `nntrace recipe` compares a run with: Karpathy's "A Recipe for Training Neural Networks", with
the list "37 Reasons why your Neural Network is not working" folded in.
[How to read the card](diagnosis.md#the-recipe-card).

The second column says what a run can show about a step: rules fail the step by a finding, and
verify it if they judged the run and found nothing; "trace" means that the trace itself can show
that the step was done; "by hand" that nothing in a run shows it. Where it is empty, the step is
advice."""


def render_text(card: Card, run: str, *, verbose: bool = False) -> Iterator[Line]:
    """The lines of the checklist, by stage; without `verbose` a stage not due yet is one line."""
    yield Line(Text(printable(run), "bold"))
    yield Line(Text(counts(card), "dim"))
    was_due = True
    for stage in Stage:
        due = verbose or card.is_due(stage) or _concerned(card.of(stage))
        waits = "" if due else f"  {len(card.of(stage))} steps, due once the failed ones are fixed"
        if due or was_due:
            yield Line()
        yield Line(Text.assemble((f"{stage.number} {stage}", "bold"), (waits, "dim")))
        for outcome in card.of(stage) if due else ():
            yield from _lines(outcome, run)
        was_due = due
    yield from _closing(card, run)


def counts(card: Card) -> str:
    """The number of steps in each state, in words."""
    return ", ".join(f"{card.count(state)} {state}" for state in State if card.count(state))


def how(step: Step, run: str) -> str:
    """The instruction of a step, with the run's name in its commands."""
    return step.how.replace("RUN", shlex.quote(printable(run)))


def as_json(card: Card, run: str, content: dict[str, Any]) -> str:
    """The card as JSON, for machines: format 1; `content` describes the run."""
    following = card.next
    whole = {
        "schema": JSON_SCHEMA,
        "run": content,
        "counts": {state.value: card.count(state) for state in State},
        "next": None if following is None else following.step.number,
        "steps": [
            {
                "number": outcome.step.number,
                "stage": outcome.step.stage.value,
                "title": outcome.step.title,
                "state": outcome.state.value,
                "evidence": outcome.evidence or None,
                "findings": [finding.code for finding in outcome.findings],
                "explained_by": outcome.cause,
                "how": how(outcome.step, run),
                "rules": outcome.step.rules,
                "sources": outcome.step.sources,
            }
            for outcome in card.outcomes
        ],
    }
    return json_text(whole)


def as_markdown(card: Card, run: str) -> Iterator[str]:
    """The lines of the card as a Markdown checklist, for an issue or a lab book."""
    yield f"# Recipe card of {escaped(run)}"
    yield ""
    yield f"{counts(card)}."
    for stage in Stage:
        yield from ("", f"## {stage.number} {stage}")
        for outcome in card.of(stage):
            step, state = outcome.step, outcome.state
            box = {State.VERIFIED: "[x] ", State.ADVICE: ""}.get(state, "[ ] ")
            said = f": {escaped(_evidence(outcome))}" if outcome.evidence else ""
            label = "" if state is State.ADVICE else f" ({state})"
            yield f"- {box}**{step.number} {step.title}**{label}{said}"
            if state is not State.VERIFIED:
                yield f"  → {escaped(how(step, run))}"


def catalogue(steps: Iterable[Step]) -> Iterator[str]:
    """The lines of Markdown tables of the steps themselves, for the documentation."""
    yield "# The recipe"
    yield ""
    yield _ABOUT
    listed = tuple(steps)
    for stage in Stage:
        yield from ("", f"## {stage.number} {stage}", "")
        yield from ("| step | seen by | by hand, or the advice |", "|---|---|---|")
        for step in listed:
            if step.stage is stage:
                yield f"| {step.number} {step.title} | {_seen_by(step)} | {step.how} |"


def _seen_by(step: Step) -> str:
    if step.rules:
        return ", ".join(step.rules)
    if step.otherwise is State.ADVICE:
        return ""
    return "trace" if step.fact is not None else "by hand"


def _concerned(outcomes: Iterable[Outcome]) -> bool:
    return any(outcome.state is State.FAILED for outcome in outcomes)


def _lines(outcome: Outcome, run: str) -> Iterator[Line]:
    mark, style = _MARKS[outcome.state]
    step = outcome.step
    head = Text.assemble((mark, style), f" {step.number:<4} ", (step.title, _title(outcome.state)))
    yield Line(head, 2)
    if outcome.evidence:
        yield Line(Text(_evidence(outcome), "" if outcome.findings else "dim"), 9)
    if outcome.cause is not None:
        yield Line(Text(f"a likely symptom of {printable(outcome.cause)}", "dim"), 9)
    elif outcome.state is State.FAILED and outcome.findings:
        yield Line(Text(printable(outcome.findings[0].advice)), 9, Text("→ ", "green"))
    elif outcome.state is not State.VERIFIED:
        arrow = Text() if outcome.state is State.ADVICE else Text("→ ", "green")
        yield Line(Text(how(step, run)), 9, arrow)


def _title(state: State) -> str:
    return "bold" if state is State.FAILED else ""


def _evidence(outcome: Outcome) -> str:
    """The evidence, with the code of the first finding and the number of further ones."""
    codes = f"{outcome.findings[0].code}: " if outcome.findings else ""
    more = len(outcome.findings) - 1
    rest = f" (and {more} more)" if more > 0 else ""
    return f"{codes}{printable(outcome.evidence, _LONGEST)}{rest}"


def _closing(card: Card, run: str) -> Iterator[Line]:
    following = card.next
    if following is None:
        return
    yield Line()
    step = following.step
    yield Line(Text.assemble(("next: ", "green"), (f"{step.number} {step.title}", "bold")))
    if following.findings:
        where = shlex.quote(printable(run))
        yield Line(Text(f"nntrace diagnose {where} shows its cause and the line of code.", "dim"))
