"""Gradients that an optimizer applies to other parameters than those that they belong to."""

from typing import Final

from nntrace.rules.common.payloads import count, items, place
from nntrace.rules.finding import Finding
from nntrace.trace import Event

_LEADS_TO: Final = ("ACT03", "GRD02", "LOS07", "LOS08", "LOS09", "LOS10", "PAR02", "UPD01", "UPD07")


def gradients_of_others(event: Event) -> Finding:
    """The finding on a call of an optimizer whose pairs are crossed."""
    pairs = items(event.payload, "pairs")
    crossed, variables = count(event.payload, "crossed"), count(event.payload, "variables")
    example = f": that of `{pairs[0][0]}` is applied to `{pairs[0][1]}`" if pairs else ""
    return Finding(
        f"{crossed} of {variables} gradients are applied to other parameters than their own"
        f"{example}.",
        steps=(event.step, event.step),
        explains=_LEADS_TO,
        evidence={"crossed": crossed, "parameters": variables},
        advice="Compute the gradients of the very list that is zipped with them, in its order: "
        "`variables = a.trainable_variables + b.trainable_variables`, `grads = "
        "tape.gradient(loss, variables)`, `optimizer.apply_gradients(zip(grads, variables))`.",
        location=place(event.payload),
    )
