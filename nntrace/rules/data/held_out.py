"""Whether the examples of a validation are held out: none of them may be trained on meanwhile."""

from collections.abc import Iterator
from typing import Final

from nntrace.rules.common.payloads import count, place
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_LEAST: Final = 8  # examples: fewer may be copies in the data
_SHARE: Final = 0.2  # of those looked at; training is sampled, so that most may have been missed
_ADVICE: Final = (
    "Split before anything is shuffled, and let each part keep what it got: `take` and `skip` of a "
    "`shuffle` that draws anew in each epoch (`reshuffle_each_iteration=True`, its default) "
    "exchange examples; train on `skip(n)` where the validation is `take(n)`, and on `x[n:]` where "
    "it is `x[:n]`."
)


def trained_on(trace: Trace) -> Iterator[Finding]:
    """Yield a finding for validation data of which some is trained on in the same `fit`."""
    last: dict[int, Event] = {}
    for event in trace.events_of(EventKind.TRAINED_ON):
        last[count(event.payload, "group")] = event
    for event in last.values():
        examples, seen = count(event.payload, "examples"), count(event.payload, "seen")
        if seen < _LEAST or seen <= _SHARE * examples:
            continue
        yield Finding(
            f"the validation data is trained on: of {examples} of its examples, {seen} were in "
            "sampled training batches, too. What it measures is not what other data will show.",
            steps=(0, event.step),
            evidence={"validation_examples": examples, "trained_on": seen},
            advice=_ADVICE,
            location=place(event.payload),
        )
        return
