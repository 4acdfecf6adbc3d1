"""Focal losses whose weight is made of the mean over a batch: one weight for all examples."""

from typing import Final

from nntrace.dataflow import Vertex
from nntrace.rules.common.calls import loss_calls
from nntrace.rules.common.chance import BINARY, CROSS_ENTROPY
from nntrace.rules.common.flow import Flow
from nntrace.rules.finding import Finding
from nntrace.trace import Trace

_LOSSES: Final = (
    *(":nllloss", ":nllloss2d", ":nlllossnd", ":binarycrossentropy"),
    ":binarycrossentropywithlogits",
)


def focal_of_mean(trace: Trace) -> Finding | None:
    """The finding if a mean m of losses is multiplied by what is made of exp(-m); else None."""
    calls = [call for call in loss_calls(trace) if call.function in CROSS_ENTROPY | BINARY]
    if not calls or any(call.reduction == "none" for call in calls):
        return None
    call = calls[0]
    if not call.target_shape or call.target_shape[0] == 1:
        return None
    flow = Flow(trace)
    if not any(_is_weighed_by_itself(flow, vertex) for vertex in list(flow.takers)):
        return None
    return Finding(
        f"the focal weight is made of the {call.reduction} that `{call.path}` returns for a batch: "
        "all its examples get one weight, which makes steps smaller and no example count more.",
        evidence={"loss_function": call.function, "reduction": call.reduction},
        advice="Let the loss function return one value for each example, `reduction='none'`, weigh "
        "each by its own `(1 - pt) ** gamma`, and take the mean last.",
        location=call.location,
    )


def _is_weighed_by_itself(flow: Flow, loss: Vertex) -> bool:
    """Whether this is a loss whose value is a factor beside something made of its exponential."""
    if loss.name not in _LOSSES:
        return False
    exponentials = {vertex for vertex in flow.behind([loss]) if vertex.name == ":exp"}
    made = flow.behind(exponentials)
    products = [taker for taker in flow.takers[loss] if taker.name == ":mul"]
    return any(made & flow.sources[product] for product in products)
