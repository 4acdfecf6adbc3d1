"""Gradients that flow into what a loss only measures by."""

from collections.abc import Iterator

from nntrace.rules.common.payloads import place, text
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace

_STORIES = {
    "target": (
        "the target of an error is made of the same network's estimate (reward + factor · value), "
        "and the gradient flows into it: each step also moves the target towards the prediction.",
        "Compute the target under `torch.no_grad()`, or `target.detach()` before the loss.",
    ),
    "weight": (
        "the advantage that weighs log-probabilities is made of the network's own estimate of the "
        "value, and the gradient flows into it: the policy's loss moves the estimate, wherever "
        "that makes the loss lower.",
        "Weigh by `advantage.detach()` in the policy's loss; the estimate learns from its own "
        "error.",
    ),
    "ratio": (
        "the old probabilities in the policy's ratio are those of the policy as it is now, with "
        "their gradient: each ratio is 1, and its gradient exactly zero, so that the policy's term "
        "teaches nothing.",
        "Keep the log-probabilities when the actions are drawn, under `torch.no_grad()`, and use "
        "these in every epoch: `ratio = (log_prob - old_log_prob).exp()`.",
    ),
}


@rule(
    "GRD11",
    "gradient-into-target",
    Severity.WARNING,
    explains=("GRD02", "LOS07", "LOS08", "LOS10", "LOS11", "LOS12", "PAR01", "PAR02"),
    advice="Detach what the loss only measures by.",
)
def gradient_into_target(trace: Trace) -> Iterator[Finding | Skipped]:
    """A bootstrapped target, an advantage or an old probability is differentiated with the loss.

    The former two are made of an estimate of a value, and are to stand still while the loss is
    computed. Read off the graph of the loss, with PyTorch: in a squared (or Huber's) error, one
    side is data plus a factor times outputs of the layer that made the other side; or logarithms of
    probabilities are multiplied by data minus an estimate (or r + γ · V(s') − V(s)), normalised or
    not, and the same optimizer steps both. An estimate with an optimizer of its own is not judged:
    its gradients may be cleared before it learns. Residual gradients, which do this on purpose, are
    rare. The last is the exponential of a difference of two results with gradients that is exactly
    1 for all, as is the ratio of a policy to itself.
    Source: Sutton and Barto, Reinforcement Learning, 11.5 (semi-gradients, the naive residual
    gradient) and 13.5; PyTorch's tutorial on deep Q-learning (`no_grad` around the next values).
    """
    if not trace.events_of(EventKind.OBJECTIVE):
        yield Skipped("the graph of a loss is needed, as PyTorch builds it")
        return
    for event in trace.events_of(EventKind.ATTACHED):
        story = _STORIES.get(text(event.payload, "what"))
        if story is not None:
            message, advice = story
            yield Finding(
                message,
                steps=(event.step, event.step),
                advice=advice,
                location=place(event.payload),
            )
