"""PRB03, PRB04, PRB05: what the replay of one training step showed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import place, text
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.probes.experiments import told
from nntrace.rules.rule import rule
from nntrace.trace import Trace


@rule(
    "PRB03",
    "mixes-examples",
    Severity.ERROR,
    advice="Look for a view or reshape where a transpose or permute was meant, for a reduction "
    "over the wrong axis, and for a softmax over the batch.",
    experiments=("repeat",),
)
def mixes_examples(trace: Trace) -> Iterator[Finding | Skipped]:
    """The output of one example depends on other examples of the batch.

    A forward of the script is replayed in evaluation mode. The gradient of one example's output
    with respect to the inputs of all others must be zero, up to rounding (1e-5 of its largest
    element); integers count through their embeddings. What has no gradient (choices, ranks, counts)
    is seen by exchanging all examples but one: that one's output must stay the same, to 1e-4 of the
    largest. Moved by one place, every example must keep its output. Batch norm (which mixes
    examples in training, by design) and outputs that compare examples with each other are noted as
    what they are, and so is what mixes examples where optimizers take turns: a discriminator may
    look at a whole batch on purpose. Not judged: graphs, packed sequences, and models that return
    nothing for each example.

    Source: Karpathy, A Recipe ("use backprop to chart dependencies").
    """
    run = trace.under("repeat")
    of_a_game = run is not None and loss_series(run).optimizers > 1
    for result in _answer(
        trace, "mixing", "The model mixes examples: {}.", "The model relates examples: {}."
    ):
        if of_a_game and isinstance(result, Finding):
            result = replace(result, severity=Severity.INFO)
        yield result


@rule(
    "PRB04",
    "sees-the-future",
    Severity.ERROR,
    advice="Look at the attention mask, at bidirectional or centred layers, and at how targets "
    "are cut from the sequence; keep targets out of the inputs.",
    explains=("LOS20",),
    experiments=("repeat",),
)
def sees_the_future(trace: Trace) -> Iterator[Finding | Skipped]:
    """The output depends on what it is to predict.

    If the targets are the next inputs, the forward of a step is replayed with everything after the
    middle exchanged: outputs up to there must stay the same. It is also a fault if an output
    changes with targets that the model gets beside its inputs, if a column of the input is the
    target, or if the target of a model that sees no future is the input at the same position.

    Source: Karpathy, A Recipe ("use backprop to chart dependencies").
    """
    yield from _answer(
        trace, "causality", "The model sees what it is to predict: {}.", "The targets: {}."
    )


def _answer(trace: Trace, name: str, found: str, noted: str) -> Iterator[Finding | Skipped]:
    """Turn the answer of a probe in the experiment `repeat` into a finding or a skip."""
    run = trace.under("repeat")
    assert run is not None
    answer = told(run).get(name)
    if not isinstance(answer, dict):
        yield Skipped("the step to be examined was not reached")
        return
    told_of = _finding(answer, found if answer.get("state") == "found" else noted)
    if told_of is not None:
        yield told_of
    elif answer.get("state") != "clean":
        yield Skipped(text(answer, "text"))


def _finding(answer: dict[str, Any], message: str) -> Finding | None:
    """The finding of an answer, whose text stands in the message; None if it found nothing."""
    state, evidence = answer.get("state"), answer.get("evidence")
    if state not in ("found", "noted"):
        return None
    return Finding(
        message.format(text(answer, "text")),
        severity=None if state == "found" else Severity.INFO,
        evidence=evidence if isinstance(evidence, dict) else {},
        location=place(answer),
        advice="" if state == "found" else "Nothing, if this is intended.",
    )


@rule(
    "PRB05",
    "wrong-backward",
    Severity.ERROR,
    advice="Derive the backward again, and test it alone with `torch.autograd.gradcheck`.",
    in_keras="Derive the backward again, and test it alone: `tf.test.compute_gradient` returns the "
    "gradient beside an estimate of it by differences.",
    experiments=("repeat",),
)
def wrong_backward(trace: Trace) -> Iterator[Finding | Skipped]:
    """The backward of a hand-written function is not the derivative of its forward.

    Every `torch.autograd.Function`, `torch.library.register_autograd` and `tf.custom_gradient` that
    the script uses is called again with the inputs of a training step, in float64, and its gradient
    along random directions is compared with central differences; no loss is needed. A forward that
    is the identity, or constant almost everywhere, has another backward on purpose
    (straight-through estimators, surrogate gradients, gradient reversal): that is noted. So is a
    layer of the script's own whose gradient is not the derivative of what it computes although all
    its functions are right: a part of it is detached, or a hook changes it.

    Source: 37 Reasons ("check your gradients"); torch.autograd.gradcheck.
    """
    run = trace.under("repeat")
    assert run is not None
    facts = told(run)
    functions, layers = facts.get("functions"), facts.get("layers")
    if not isinstance(functions, dict):
        yield Skipped("no step was examined")
        return
    if isinstance(layers, dict):
        functions = {**layers, **functions}
    if not functions:
        yield Skipped(
            "the script has no function with a hand-written backward and no layer of its own to "
            "examine"
        )
        return
    for name, answer in functions.items():
        if not isinstance(answer, dict):
            continue
        if answer.get("state") == "unknown":
            yield Skipped(f"{name}: {text(answer, 'text')}")
        elif (finding := _finding(answer, "{}.")) is not None:
            yield replace(finding, message=f"{name}: {finding.message}")
