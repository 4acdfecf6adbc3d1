"""What a connectionist temporal classification (CTC) is given: labels that no path can spell."""

from collections.abc import Iterator, Sequence
from typing import Final

from nntrace.rules.common.payloads import count, number, place
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_USUAL: Final = 0.5  # of the calls that were looked at, in which a fault must be
_TOO_SHORT: Final = 0.1  # of the examples; a few that are too short are in most recordings
_BEHIND: Final = (
    "Let labels begin at 1 and give the head one output more, or pass an index that no label has "
    "as `blank=`, such as the last of a head that is one wider."
)
_OWN_LENGTH: Final = "Pass the number of each row's real labels as `target_lengths`."
_FRAMES: Final = (
    "`input_lengths` are numbers of frames, as the log-probabilities have them after any pooling "
    "or stride: `torch.full((N,), log_probs.shape[0])` where none is padded."
)
_MORE_FRAMES: Final = (
    "Give such examples more frames (less pooling or stride), or leave them out; look at "
    "`input_lengths` and `target_lengths` of one batch."
)


def is_aligned(trace: Trace) -> bool:
    """Whether calls of CTC were recorded."""
    return bool(trace.events_of(EventKind.ALIGNMENT))


def unspellable(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if labels cannot be predicted: blanks, or more of them than frames."""
    seen = trace.events_of(EventKind.ALIGNMENT)
    blanks = [event for event in seen if (number(event.payload, "blanks") or 0.0) > 0.0]
    if _are_usual(blanks, seen):
        yield _blank_labels(blanks)
        return
    tight = [event for event in seen if event.payload.get("as_many_as_labels") is True]
    if _are_usual(tight, seen) and all(count(event.payload, "examples") > 1 for event in tight):
        frames = count(tight[0].payload, "frames")
        yield _finding(
            f"`ctc_loss` is told that each example has as many frames as labels (the batch has "
            f"{frames} frames): only these first frames count, one for each label, and none is "
            "left for a blank.",
            tight,
            {"frames": frames},
            _FRAMES,
        )
        return
    short = [event for event in seen if (number(event.payload, "too_short") or 0.0) > _TOO_SHORT]
    if _are_usual(short, seen):
        share = median([number(event.payload, "too_short") or 0.0 for event in short])
        hidden = any(event.payload.get("infinity_is_zero") is True for event in short)
        yield _finding(
            f"{share:.0%} of the examples have fewer frames than `ctc_loss` needs for their labels "
            "(one for each, and one between equal neighbours): their loss is infinite"
            + (
                ", which `zero_infinity=True` replaces by 0: they teach nothing." if hidden else "."
            ),
            short,
            {"share": share},
            _MORE_FRAMES,
        )


def unnormalised(trace: Trace, error: float, calls: int) -> Iterator[Finding]:
    """Yield a finding if the rows that CTC is given are no log-probabilities."""
    seen = trace.events_of(EventKind.ALIGNMENT)
    sums = [(event, number(event.payload, "log_sum") or 0.0) for event in seen]
    wrong = [(event, size) for event, size in sums if size > error]
    if len(wrong) < calls or len(wrong) < 0.9 * len(seen):
        return
    events = [event for event, _ in wrong]
    are_shares = all(event.payload.get("probabilities") is True for event in events)
    yield _finding(
        f"`ctc_loss` receives {'probabilities' if are_shares else 'raw values'}, not "
        "log-probabilities: the log-sum-exp of a row of log-probabilities is 0, here it is as far "
        f"from 0 as {max(size for _, size in wrong):.3g}.",
        events,
        {"row_lse": max(size for _, size in wrong), "calls": len(wrong)},
        "Put `log_softmax(-1)` over the classes (the last axis) before `ctc_loss`"
        + (", in place of the softmax." if are_shares else "."),
    )


def _blank_labels(events: Sequence[Event]) -> Finding:
    share = median([number(event.payload, "blanks") or 0.0 for event in events])
    blank = events[0].payload.get("blank")
    is_padding = all(event.payload.get("blanks_fill_up") is True for event in events)
    why = (
        ", all at the ends of their rows: padding that counts as labels."
        if is_padding
        else ": the blank is never read as a label, so these cannot be learnt."
    )
    return _finding(
        f"`ctc_loss` takes {blank} for the blank, and {share:.0%} of the labels are {blank}{why}",
        events,
        {"share": share, "classes": count(events[0].payload, "classes")},
        _OWN_LENGTH if is_padding else _BEHIND,
    )


def _are_usual(found: Sequence[Event], seen: Sequence[Event]) -> bool:
    return bool(found) and len(found) >= _USUAL * len(seen)


def _finding(
    message: str, events: Sequence[Event], evidence: dict[str, float], advice: str
) -> Finding:
    return Finding(
        message,
        steps=(events[0].step, events[-1].step),
        explains=("NUM01", "NUM02", "NUM08", "GRD04"),
        evidence=evidence,
        advice=advice,
        location=place(events[0].payload),
    )
