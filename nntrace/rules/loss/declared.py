"""Losses that are told `from_logits=True` of predictions that come out of a softmax or sigmoid.

Keras on TensorFlow computes with the logits behind them whatever it is told, so that the run is
right; the program is not: a cast, another backend or a loss of its own would not know these logits.
"""

from collections.abc import Collection, Iterator

from nntrace.rules.common.calls import loss_calls
from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import Role
from nntrace.trace import Trace


def contradicted(
    trace: Trace, functions: Collection[str], activation: str, advice: str
) -> Iterator[Finding]:
    """One finding for each of these losses that is told of logits and gets probabilities.

    Args:
        functions: the losses' names in the trace.
        activation: what the predictions come out of.
    """
    told = {c.path: c for c in loss_calls(trace) if c.is_contradicted and c.function in functions}
    for path, call in told.items():
        yield Finding(
            f"`{path}` is told `from_logits=True`, but the predictions come out of a {activation}; "
            "only because Keras on TensorFlow finds the logits behind it is this run right.",
            site=trace.site(path, Role.OUTPUT),
            steps=span([batch.step for batch in training_batches(trace)]),
            severity=Severity.WARNING,
            location=call.location,
            advice=advice,
            harms_run=False,
        )
