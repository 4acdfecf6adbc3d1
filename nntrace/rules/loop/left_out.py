"""Layers of Keras that were applied to a model's inputs and lead to none of its outputs."""

from nntrace.rules.common.layers import named
from nntrace.rules.common.payloads import items, place
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace


def left_out_layers(trace: Trace) -> Finding | None:
    """The finding on them, if they are not trained in another way."""
    trained = {site.parent for site in trace.sites_of(Role.PARAM_GRAD)}
    for event in trace.events_of(EventKind.LEFT_OUT):
        paths = [one for one in items(event.payload, "layers") if isinstance(one, str)]
        if not paths or not trained.isdisjoint(paths):
            continue
        return Finding(
            f"nothing of {named(paths)} reaches the output: applied to what comes from the model's "
            "inputs, but no layer of the model is given the result.",
            steps=(event.step, event.step),
            explains=("LOS11", "LOS14"),
            evidence={"layers": paths},
            advice="Look at the tensor that each layer is called with: one may have been given the "
            "inputs, or an earlier tensor, in place of the last result; or a branch is missing "
            "from a `Concatenate`. Take out layers that are not needed.",
            location=place(event.payload),
        )
    return None
