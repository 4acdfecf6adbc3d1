"""What `nntrace replay` prints: the capsules of a run, or the outcome of a replay."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nntrace.replay.capsule import Capsule
from nntrace.replay.play import Outcome
from nntrace.replay.verdict import judge, losses
from nntrace.rules.numerics.origin_advice import advice_on
from nntrace.rules.numerics.origin_words import sentence
from nntrace.rules.numerics.origins import Origin, origin_of
from nntrace.schema import Role
from nntrace.text import plural, printable
from nntrace.text.values import size
from nntrace.trace import Site, Trace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_REASONS: Final = {"nonfinite": "a value is not finite", "loss_spike": "the loss jumped"}
_SHOWN_SITES: Final = 3  # of each role
_UNUSUAL: Final = 3.0  # times the median over the run


def list_content(capsules: Iterable[Capsule]) -> list[dict[str, Any]]:
    """The capsules of a run as plain values, for JSON."""
    return [
        {
            "number": capsule.number,
            "rank": capsule.rank,
            "step": capsule.step,
            "reason": capsule.reason,
            "file": str(capsule.file),
            "bytes": capsule.bytes,
            "origin": capsule.origin,
            "left_out": capsule.left_out,
        }
        for capsule in capsules
    ]


def table(capsules: list[Capsule]) -> "Table":
    """The capsules of a run as a table."""
    from rich.table import Table

    found = Table("capsule", "rank", "step", "why", "where", "size", "left out", box=None)
    for capsule in capsules:
        origin = capsule.origin or {}
        place = f"{origin.get('op') or origin.get('given') or ''} {_line(origin)}".strip()
        found.add_row(
            str(capsule.number),
            str(capsule.rank),
            str(capsule.step),
            _why(capsule),
            printable(place, 80),
            size(capsule.bytes),
            printable("; ".join(capsule.left_out), 80),
        )
    return found


def headline(run: Path, capsule: Capsule) -> str:
    """The capsule that is about to be replayed, in one line."""
    rank = f" of rank {capsule.rank}" if capsule.rank else ""
    held = f"{plural(len(capsule.calls), 'call')} of the model, {size(capsule.bytes)}"
    return (
        f"{run.name}: capsule {capsule.number}, step {capsule.step}{rank}: {_why(capsule)}; {held}."
    )


def outcome_text(screen: "Console", run: Path, capsule: Capsule, outcome: Outcome) -> bool:
    """Print the outcome and return whether the step came out as it had in the run."""
    trace = Trace.open(run, rank=capsule.rank)
    for note in outcome.notes:
        screen.print(f"note: {printable(note)}", style="yellow")
    if capsule.reason == "loss_spike" and outcome.origin is None:
        return _spike(screen, trace, capsule, outcome)
    verdict = judge(capsule, outcome)
    if verdict.found is None:
        loss = "" if outcome.loss is None else f": its loss is {outcome.loss:.6g}"
        screen.print(f"not reproduced{loss}, and all gradients are finite.", style="bold yellow")
        screen.print(f"In the run: {_sentence(trace, verdict.recorded)}")
        return False
    word = "reproduced" if verdict.reproduced else "it broke elsewhere this time"
    screen.print(f"{word}: {_sentence(trace, verdict.found)}", style="bold")
    if not verdict.reproduced:
        screen.print(f"In the run: {_sentence(trace, verdict.recorded)}")
    _report(screen, verdict.found)
    return verdict.reproduced


def outcome_content(
    run: Path, capsule: Capsule, outcome: Outcome, changed: Sequence[str]
) -> dict[str, Any]:
    """The outcome as plain values, for JSON; `changed` are the files that have changed."""
    trace = Trace.open(run, rank=capsule.rank)
    verdict = judge(capsule, outcome)
    return {
        "schema": 1,
        "run": run.name,
        "capsule": {
            "number": capsule.number,
            "rank": capsule.rank,
            "step": capsule.step,
            "reason": capsule.reason,
        },
        "reproduced": verdict.reproduced,
        "loss": {"then": capsule.content.get("loss"), "now": outcome.loss},
        "origin": _told(trace, verdict.found),
        "recorded": _told(trace, verdict.recorded) if capsule.origin is not None else None,
        "notes": list(outcome.notes),
        "changed_files": list(changed),
    }


def _told(trace: Trace, origin: Origin | None) -> dict[str, Any] | None:
    if origin is None:
        return None
    place = origin.location
    return {
        "message": _sentence(trace, origin),
        "advice": advice_on(origin),
        "location": None if place is None else asdict(place),
        "evidence": origin.evidence,
    }


def _report(screen: "Console", origin: Origin) -> None:
    """Print an origin's line of code, its operands and the advice."""
    if origin.location is not None:
        place = f"{origin.location.file}:{origin.location.line}"
        function = origin.text("function")
        told = printable(place + (f" in {function}" if function else ""))
        screen.print(told, style="cyan", soft_wrap=True)  # a path stays in one piece
        if origin.location.source:
            screen.print(f"    {printable(origin.location.source)}", soft_wrap=True)
    operands = origin.evidence.get("operands", [])
    for operand in operands:
        screen.print(f"  {printable(operand)}")
    if advice := advice_on(origin):
        screen.print(f"Try: {printable(advice)}")


def _spike(screen: "Console", trace: Trace, capsule: Capsule, outcome: Outcome) -> bool:
    verdict = judge(capsule, outcome)
    word = "reproduced" if verdict.reproduced else "not reproduced"
    was, now = losses(capsule, outcome)
    screen.print(f"{word}: the loss was {was:.6g} in the run and is {now:.6g} now.", style="bold")
    unusual = _unusual(trace, Trace.open(outcome.run))
    if unusual:
        screen.print("Largest values against their median over the run:")
    for path, role, now_largest, usual in unusual:
        where = f"{role.replace('_', ' ')} of {path or 'the model'}"
        screen.print(f"  {printable(where)}: {now_largest:.3g}, usually {usual:.3g}")
    return verdict.reproduced


def _unusual(run: Trace, replayed: Trace) -> list[tuple[str, str, float, float]]:
    """The first sites of each role, in order of execution, whose largest value stands out.

    Each comes with its path and role, its largest value in the replay and the median in the run.
    """
    found = []
    for role in (Role.INPUT, Role.TARGET, Role.ACTIVATION, Role.PARAM_GRAD):
        pairs = [(site, run.site(site.path, role)) for site in replayed.sites_of(role)]
        rows = [
            (site.path, str(role), now, usual)
            for site, before in pairs
            if before is not None
            and (now := _largest(replayed, site)) > _UNUSUAL * (usual := _largest(run, before)) > 0
        ]
        found += rows[:_SHOWN_SITES]
    return found


def _largest(trace: Trace, site: Site) -> float:
    sizes = [np.abs(trace.series(site.role, stat, site)) for stat in ("min", "max")]
    largest = np.fmax(*sizes)
    known = largest[np.isfinite(largest)]
    return float(np.median(known)) if len(known) else 0.0


def _why(capsule: Capsule) -> str:
    return _REASONS.get(capsule.reason, printable(capsule.reason, 40))


def _line(origin: object) -> str:
    place = origin_of(origin if isinstance(origin, dict) else {}, 0).location
    return "" if place is None else f"{Path(place.file).name}:{place.line}"


def _sentence(trace: Trace, origin: Origin) -> str:
    if origin.where == "unknown":
        return f"step {origin.step}: the operation could not be found."
    return f"{printable(sentence(trace, origin))}."
