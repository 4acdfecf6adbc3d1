"""What a program of Keras declares and leaves out: layers of its model, penalties on weights."""

from nntrace.rules.common.layers import named
from nntrace.rules.common.payloads import items, place
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace


def left_out_layers(trace: Trace) -> Finding | None:
    """The finding on layers that lead to no output, if they are not trained in another way."""
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


def left_out_penalties(trace: Trace) -> Finding | None:
    """The finding on regularizers whose penalties are no part of the loss."""
    for event in trace.events_of(EventKind.LEFT_OUT):
        paths = [one for one in items(event.payload, "penalties") if isinstance(one, str)]
        if not paths:
            continue
        return Finding(
            f"the penalties on {named(paths)}, which have a regularizer, are no part of the loss "
            "that is differentiated: they have no effect.",
            steps=(event.step, event.step),
            explains=("LOS13",),
            evidence={"parameters": paths},
            advice="Add them in a step of your own, `loss += sum(model.losses)`; only Keras' own "
            "`train_step` and `compute_loss` do so by themselves.",
            location=place(event.payload),
        )
    return None
