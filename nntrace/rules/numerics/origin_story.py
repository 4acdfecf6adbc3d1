"""The story of the first non-finite value, as table rows for reports and the monitor."""

from nntrace.rules.numerics.origin_advice import advice_on
from nntrace.rules.numerics.origin_words import sentence
from nntrace.rules.numerics.origins import origins
from nntrace.trace import Trace


def story(trace: Trace) -> tuple[tuple[str, str], ...]:
    """What is known of the first non-finite value, as (name, text); empty without an origin.

    The rows are what happened, the line of the program, the operands with their ranges, and what to
    do.
    """
    first = next(iter(origins(trace)), None)
    if first is None:
        return ()
    rows = [("first", sentence(trace, first))]
    place = first.location
    if place is not None:
        rows.append(("line", f"{place.file}:{place.line}  {place.source or ''}".rstrip()))
    rows += [("operand", operand) for operand in first.evidence.get("operands", ())]
    rows += [("note", note) for note in first.evidence.get("notes", ())]
    if advice := advice_on(first):
        rows.append(("do", advice))
    return tuple(rows)
