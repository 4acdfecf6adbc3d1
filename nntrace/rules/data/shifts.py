"""DAT23: labels that were shifted twice."""

from collections.abc import Iterator

from nntrace.rules.common.chance import loss_location
from nntrace.rules.common.payloads import text
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace


@rule(
    "DAT23",
    "labels-shifted-twice",
    Severity.ERROR,
    explains=("LOS07", "LOS11", "LOS13", "LOS14"),
    advice="Shift once: give a model that computes its own loss `labels=input_ids` (those of "
    "Hugging Face shift them inside), or compute the loss from its logits and your shifted labels.",
)
def labels_shifted_twice(trace: Trace) -> Iterator[Finding | Skipped]:
    """Each position of a language model is trained to predict not the next token but the one after.

    The loss falls as far as that can be guessed, and generated text skips words. Seen with PyTorch
    where the labels of the only cross-entropy of a step are the model's own input two positions on,
    in three batches at all positions that can tell. A model with a second head for the token after
    the next has a loss for the next one, too.
    Source: Hugging Face's documentation of `labels` ("shifted inside the model"); "37 reasons", 4.
    """
    if not trace.events_of(EventKind.OBJECTIVE):
        yield Skipped("the graph of a loss is needed, as PyTorch builds it")
        return
    for event in trace.events_of(EventKind.SHIFTED):
        path = text(event.payload, "path")
        yield Finding(
            f"the labels of `{path}` are the model's input shifted by two: each position is to "
            "predict the token after the next.",
            steps=(0, event.step),
            location=loss_location(trace, path),
        )
