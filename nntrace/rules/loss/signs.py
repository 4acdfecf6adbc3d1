"""Labels of 0 and 1 for loss functions that want −1 and 1."""

from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.finding import Finding, Severity
from nntrace.trace import Event


def without_signs(event: Event) -> Finding:
    """The finding on such a call."""
    function, zeros = text(event.payload, "function"), number(event.payload, "zeros") or 0.0
    return Finding(
        f"`{function}` wants labels of -1 and 1, and is given 0 and 1: {zeros:.0%} are 0, "
        + (
            "and count as both kinds at once."
            if function == "hinge_embedding_loss"
            else "and have a constant loss, which teaches nothing."
        ),
        steps=(event.step, event.step),
        severity=Severity.ERROR,
        explains=("ACT07", "ACT13", "GRD04", "LOS12"),
        evidence={"zeros": zeros},
        advice="Turn the labels into signs first: `2 * labels - 1`.",
        location=place(event.payload),
    )
