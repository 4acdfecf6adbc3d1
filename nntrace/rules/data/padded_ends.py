"""DAT22: the last position of sequences that are padded behind is taken for their end."""

from collections.abc import Iterator
from typing import Annotated

from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace


@rule(
    "DAT22",
    "padding-read-last",
    Severity.WARNING,
    explains=("ACT07", "GRD01", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Give the layer `pack_padded_sequence(x, lengths, batch_first=…, enforce_sorted=False)` "
    "and read `h_n`, or take each sequence's own last output, "
    "`out[torch.arange(len(out)), lengths - 1]`; or pad in front.",
)
def padding_read_last(
    trace: Trace,
    *,
    examples: Annotated[float, "share of the examples that end in padding"] = 0.5,
    share: Annotated[float, "share of all positions that are padding"] = 0.15,
    learnt: Annotated[float, "share of the first loss below which the run learns well"] = 0.3,
) -> Iterator[Finding | Skipped]:
    """A recurrent layer reads the padding behind its sequences, and is asked only after it.

    `out[:, -1]` is the last position of the longest sequence of a batch. For all others it is what
    is left after steps over padding, in which the layer forgets; it has to learn not to. Seen with
    PyTorch on a processor, in the values that the layer is given and in the graph of the loss:
    sequences of different lengths that end in one value, of whose outputs only the last position,
    or only the last state, is used. Information if the loss fell well nonetheless. A packed
    sequence, an output of each sequence's own length and padding in front are as they should be.

    Also found is an inverted mask of PyTorch's attention, fused or by a softmax over masked scores:
    all ids that it shows are one and the same, or each example sees only what is behind its
    sequence and the longest one nothing.

    Source: "37 reasons", 20 (check what the layers really see); PyTorch's documentation of
    `pack_padded_sequence`.
    """
    if not trace.events_of(EventKind.OBJECTIVE):
        yield Skipped("the graph of a loss is needed, as PyTorch builds it")
        return
    for event in trace.events_of(EventKind.PADDED):
        if text(event.payload, "reads") == "mask":
            yield _inverted(event)
            continue
        ends = number(event.payload, "examples") or 0.0
        filled = number(event.payload, "share") or 0.0
        if ends < examples or filled < share:
            continue
        layer = text(event.payload, "class") or "recurrent layer"
        what = "last state" if text(event.payload, "reads") == "state" else "output at the end"
        yield Finding(
            f"only the {what} of the {layer} is used, and {ends:.0%} of the sequences end in "
            f"padding ({filled:.0%} of all positions): it is what is left after the padding.",
            steps=(event.step, event.step),
            severity=Severity.INFO if remaining_loss(trace) <= learnt else None,
            evidence={"examples": ends, "share": filled},
            location=place(event.payload),
        )


def _inverted(event: Event) -> Finding:
    """The finding on a mask of attention that hides the sequences."""
    return Finding(
        "the mask of attention is inverted: it hides the sequences and shows the padding alone.",
        steps=(event.step, event.step),
        severity=Severity.ERROR,
        advice="`key_padding_mask` and `src_key_padding_mask` are True at padding "
        "(`ids == pad_id`); the mask of `scaled_dot_product_attention` is True where attention may "
        "look (`ids != pad_id`), as the attention masks of tokenizers are. Scores are filled where "
        "it may not: `scores.masked_fill(ids == pad_id, -inf)`.",
        location=place(event.payload),
    )
