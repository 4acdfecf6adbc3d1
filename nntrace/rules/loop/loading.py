"""The rule on weights that are loaded and change nothing."""

from collections.abc import Iterator
from typing import Final

from nntrace.rules.common.payloads import place, text
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace

# By the event's `why`: what happened, and what to do.
_WORDS: Final = {
    "unmatched": (
        "nothing was loaded into {class}: none of the names given is one of its own (`{given}` was "
        "given, `{wanted}` is wanted), and `strict=False` passes over that.",
        "Rename the keys, such as by taking a prefix off, and load with `strict=True`; for a part "
        "of a model check that `missing_keys` names only what is meant to be new.",
    ),
    "own": (
        "loading into {class} changed nothing: what it was given are its own tensors. "
        "`state_dict()` returns references, so that weights kept that way go on with the training.",
        "Keep a copy: `best = copy.deepcopy(model.state_dict())`, or save it to a file. If another "
        "model was to be copied, this is the same object: copy it with `copy.deepcopy(model)`.",
    ),
}


@rule(
    "RUN15",
    "nothing-loaded",
    Severity.WARNING,
    min_steps=0,
    explains=("UPD05", "LOS13", "DAT15"),
    advice="Look at what `load_state_dict` returns, and compare a weight before and after.",
)
def nothing_loaded(trace: Trace) -> Iterator[Finding | Skipped]:
    """Weights are loaded into a module, and all of its weights are the same afterwards.

    Either no name in the checkpoint is one of the module (a prefix such as `module.`), which
    `strict=False` passes over; or what is loaded are the module's own tensors, because
    `state_dict()` gives references and no copies: the best weights that were to be put back went on
    with the training. The latter is reported after the first optimizer step only, and the former
    only if no later attempt at the same module works. PyTorch only.
    Source: PyTorch's tutorial "Saving and Loading Models" (`best_model_state = deepcopy(...)`).
    """
    if not trace.events_of(EventKind.DEVICE):
        yield Skipped("what is loaded is not recorded for this framework")
        return
    last = {e.payload.get("module"): e for e in trace.events_of(EventKind.LOADED)}
    for event in last.values():
        if (words := _WORDS.get(text(event.payload, "why"))) is not None:
            message, advice = words
            facts = {key: text(event.payload, key) for key in ("class", "given", "wanted")}
            yield Finding(
                message.format(**facts),
                steps=(event.step, max(event.step, span(trace.steps.step)[1])),
                evidence={"class": facts["class"]},
                advice=advice,
                location=place(event.payload),
            )
            return
