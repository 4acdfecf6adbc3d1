"""PRB: verdicts of the experiments that `nntrace check` makes with the user's own script.

Each rule sees the check from its baseline; `trace.under(name)` is the run of an experiment. What
an experiment cannot decide it skips: a probe never blames a program for a run that was too short.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.diff import compare
from nntrace.rules.finding import Finding, Location, Severity, Skipped
from nntrace.rules.probe_measures import Fit, advantage, fit, incomparable, problem, sweep, told
from nntrace.rules.rule import rule, source_line
from nntrace.schema import Role
from nntrace.trace import Trace

_NAMES_SHOWN = 6
_FEW_STEPS = 40
_BELOW_WITH_PROOF = 3.0  # times below the range, when one batch needs a rate of the range


@rule(
    "PRB01",
    "cannot-overfit-one-batch",
    Severity.ERROR,
    advice="Something between input, model, loss and optimizer is broken: compare what the loss "
    "function gets with what it expects, and look for layers that do not move. If nothing is, the "
    "model is too small.",
    explains=("PRB09", "LOS07", "LOS11"),
    experiments=("overfit",),
)
def cannot_overfit_one_batch(trace: Trace) -> Iterator[Finding | Skipped]:
    """The loss does not approach its floor although every step sees the same batch.

    The script trains on the batch of its first step, without dropout and weight decay and at the
    learning rate it names before any schedule. A network that cannot learn a few examples by heart
    has a bug. The loss must come nine tenths of the way to its floor (0, or the entropy of soft
    targets), or half of it with every prediction right. Not judged: programs of several
    optimizers, and a loss that is still falling at the end.

    Source: Karpathy, A Recipe for Training Neural Networks ("overfit one batch").
    """
    run = trace.under("overfit")
    assert run is not None
    if reason := problem(run):
        yield Skipped(reason)
        return
    found = fit(run)
    if found is None or not np.isfinite(found.share):
        yield Skipped("there is no loss that could fall: it starts at its floor, or is not finite")
        return
    if found.reached:
        return
    if found.floor is None and found.share > 0.05:
        yield Skipped("the lowest value of this loss is not known")
        return
    again = trace.under("overfit-other-rate")
    other = None if again is None else fit(again)
    if other is not None and other.reached:
        rate = told(again).get("rate") if again is not None else None
        yield Finding(
            f"One batch is fitted only at another learning rate: {_course(other)} there, "
            f"{_course(found)} at the script's own.",
            severity=Severity.INFO,
            evidence={"share": found.share, "rate": rate},
            advice="See the learning-rate sweep (PRB07).",
        )
        return
    if found.falling:
        yield Skipped(f"the loss was still falling: {_course(found)}; give it more --steps")
        return
    unmoved = ", ".join(found.unmoved[:_NAMES_SHOWN]) or "none"
    yield Finding(
        f"The model cannot learn one batch by heart: {_course(found)}. Parameters that did not "
        f"move: {unmoved}.",
        steps=(0, found.steps - 1),
        evidence={
            "first_loss": found.start,
            "last_loss": found.last,
            "floor": found.floor,
            "share": found.share,
            "accuracy": found.accuracy,
            "unmoved": list(found.unmoved),
        },
    )


def _course(found: Fit) -> str:
    accuracy = "" if np.isnan(found.accuracy) else f", accuracy {found.accuracy:.0%}"
    return f"loss {found.start:.3g} → {found.last:.3g} in {found.steps} steps{accuracy}"


@rule(
    "PRB02",
    "ignores-input",
    Severity.ERROR,
    advice="Follow the input through the model: a layer that is dead, saturated or cut off, or "
    "inputs and targets that do not belong together.",
    explains=("LOS11", "LOS12"),
    experiments=("blind",),
)
def ignores_input(
    trace: Trace,
    *,
    errors: Annotated[float, "standard errors by which real inputs must win"] = 3.0,
) -> Iterator[Finding | Skipped]:
    """Training does as well when all inputs are zero.

    The script runs twice with the same seed and the same batches, once with every input of the
    model set to zero (token 0 for integers). The losses are compared step by step over the second
    half. Without a difference the model has learned nothing from its inputs: at best the frequency
    of the targets. Where the losses are equal in every digit the output does not depend on the
    input at all. Not judged when the run is too short for the model to learn anything.

    Source: Karpathy, A Recipe ("input-independent baseline").
    """
    other = trace.under("blind")
    assert other is not None
    if reason := problem(trace, other) or incomparable(trace, other):
        yield Skipped(reason)
        return
    found = advantage(trace, other)
    if found is None:
        yield Skipped("too few common steps")
        return
    if found.identical:
        yield Finding(
            "The losses are the same with all inputs zero: the output does not depend on the "
            f"input (mean loss {found.baseline:.4g} over the second half of {found.steps} steps).",
            steps=(0, found.steps - 1),
            evidence={"loss": found.baseline, "blind_loss": found.other},
        )
        return
    if found.errors >= errors:
        return
    if reason := _too_early(trace, found.steps):
        yield Skipped(f"real inputs do not win yet, but {reason}")
        return
    yield Finding(
        f"Training does as well with all inputs zero: mean loss {found.baseline:.4g} with the real "
        f"ones, {found.other:.4g} without, over the second half of {found.steps} steps.",
        steps=(0, found.steps - 1),
        evidence={"loss": found.baseline, "blind_loss": found.other, "errors": found.errors},
    )


def _too_early(trace: Trace, steps: int) -> str | None:
    """Why the run says nothing about what can be learned, or None: it had the time to learn."""
    if steps < _FEW_STEPS:
        return f"there were only {steps} steps"
    run = trace.under("overfit")
    found = None if run is None or problem(run) else fit(run)
    if found is None:
        return "whether the model can fit one batch (PRB01) is not known"
    if not found.reached:
        return "the model cannot fit one batch in that time either (PRB01)"
    if steps < 2 * found.steps:
        return f"to fit one batch alone takes {found.steps} of its {steps} steps"
    return None


@rule(
    "PRB06",
    "labels-carry-no-signal",
    Severity.ERROR,
    advice="Look at inputs and targets side by side where they enter the model and the loss: "
    "they were shuffled, sorted or indexed apart.",
    explains=("LOS11", "PRB02"),
    experiments=("shuffled",),
)
def labels_carry_no_signal(
    trace: Trace,
    *,
    errors: Annotated[float, "standard errors by which the real targets must win"] = 3.0,
) -> Iterator[Finding | Skipped]:
    """Training does as well when the targets are shuffled within each batch.

    The script runs twice with the same seed and the same batches, once with the targets in an order
    that changes at every step, so that nothing can be learned but their frequencies. If the losses
    are alike, the real targets say nothing about the inputs either. Not judged when the run is too
    short for the model to learn anything.

    Source: 37 Reasons ("verify that the input is matched to its label").
    """
    other = trace.under("shuffled")
    assert other is not None
    if reason := problem(trace, other) or incomparable(trace, other):
        yield Skipped(reason)
        return
    found = advantage(trace, other)
    if found is None:
        yield Skipped("too few common steps")
        return
    if found.errors >= errors:
        return
    if reason := _too_early(trace, found.steps):
        yield Skipped(f"the real targets do not win yet, but {reason}")
        return
    yield Finding(
        f"Training does as well with shuffled targets: mean loss {found.baseline:.4g} with the "
        f"real ones, {found.other:.4g} with shuffled ones, over the second half of "
        f"{found.steps} steps.",
        steps=(0, found.steps - 1),
        evidence={"loss": found.baseline, "shuffled_loss": found.other, "errors": found.errors},
    )


@rule(
    "PRB07",
    "lr-range",
    Severity.WARNING,
    advice="Start within the range, nearer to its upper end, and warm up if the first steps "
    "are unstable.",
    explains=("PRB01", "LOS07", "LOS08", "UPD01", "UPD02"),
    experiments=("sweep",),
)
def lr_range(
    trace: Trace,
    *,
    above: Annotated[float, "times the rate at which the loss ran away"] = 3.0,
    below: Annotated[float, "times below the lowest rate at which it fell"] = 50.0,
) -> Iterator[Finding | Skipped]:
    """The script's learning rate lies outside the range in which the loss falls.

    In one run the rate grows by a constant factor at every step, from 1e-7 to 10 or further around
    the script's own. The range begins where the loss has come a tenth of its whole fall, and ends
    below the rate at which it is lowest. The script's rate is the one it names before any warm-up
    or decay. Where one batch is fitted only at a rate of the range (PRB01), a third of its lowest
    is too low.

    Source: Smith, Cyclical Learning Rates (2017), section 3.3; Karpathy, A Recipe.
    """
    run = trace.under("sweep")
    assert run is not None
    if reason := problem(run):
        yield Skipped(reason)
        return
    found = sweep(run)
    if found is None or found.own is None:
        yield Skipped("the sweep ended too early, or the optimizer has no learning rate")
        return
    if found.low is None or found.high is None:
        yield Skipped("at no rate of the sweep did the loss fall beyond its noise")
        return
    range_text = f"{found.low:.1e} to {found.high:.1e}"
    evidence = {
        "rate": found.own,
        "lowest_useful": found.low,
        "highest_useful": found.high,
        "steepest": found.steepest,
        "ran_away_at": found.limit,
    }
    if found.limit is not None and found.own > above * found.limit:
        yield Finding(
            f"The learning rate {found.own:.1e} is too high: the loss ran away at "
            f"{found.limit:.1e} already; it fell from {range_text}.",
            evidence=evidence,
        )
    elif found.own < found.low / (_BELOW_WITH_PROOF if _fits_at_another_rate(trace) else below):
        yield Finding(
            f"The learning rate {found.own:.1e} is too low: the loss fell from {range_text}.",
            evidence=evidence,
        )


def _fits_at_another_rate(trace: Trace) -> bool:
    """Whether one batch was fitted at a rate of the sweep, and not at the script's own."""
    own, other = (trace.under(name) for name in ("overfit", "overfit-other-rate"))
    here, there = (None if run is None or problem(run) else fit(run) for run in (own, other))
    return here is not None and there is not None and not here.reached and there.reached


@rule(
    "PRB08",
    "not-reproducible",
    Severity.WARNING,
    advice="Seed every generator the program draws from: Python's, NumPy's (also "
    "`default_rng()`), the framework's and those of loader workers; iterate over no set.",
    experiments=("repeat",),
)
def not_reproducible(
    trace: Trace,
    *,
    tolerance: Annotated[float, "relative difference that rounding explains"] = 1e-3,
) -> Iterator[Finding | Skipped]:
    """Two runs of the first steps differ, though both start from the same seed.

    The generators of Python, NumPy and the framework are seeded before the script begins.
    Named is the first step and, in the order of cause and effect, the first place at which they
    differ: batch, parameters, input, activations, loss, gradients, updates. A bug that cannot be
    repeated cannot be found; nor can the effect of a change be told from luck.

    Source: Karpathy, A Recipe ("fix random seed").
    """
    other = trace.under("repeat")
    assert other is not None
    last = min(int(run.steps.step[-1]) if len(run.steps) else -1 for run in (trace, other))
    if last < 1:
        yield Skipped("one of the two runs made no two steps")
        return
    comparison = compare(trace.until(last), other.until(last), tolerance=tolerance)
    first = comparison.first
    if first is None:
        return
    site = None
    if first.role:
        site = trace.site(first.place, Role(first.role))
    where = f"{first.place or 'the model'} {first.role}".strip()
    yield Finding(
        f"Two runs with the same seed differ, first at step {first.step} in {where}: "
        f"{first.statistic} {first.a:.6g} and {first.b:.6g}."
        if first.place != "batch"
        else f"Two runs with the same seed see other examples, first at step {first.step}.",
        site=site,
        steps=(first.step, last),
        evidence={"difference": first.difference, "steps_compared": last + 1},
    )


@rule(
    "PRB09",
    "more-capacity-does-not-help",
    Severity.WARNING,
    advice="Give the model more capacity, or repair what keeps it from learning: less "
    "regularisation does not help.",
    experiments=("unregularised", "overfit"),
)
def more_capacity_does_not_help(
    trace: Trace,
    *,
    gain: Annotated[float, "relative fall of the loss that counts as help"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """A model that cannot fit one batch fits its data no better without dropout and weight decay.

    The script runs once more with both turned off. When the model has not enough capacity, or its
    wiring is broken, that changes nothing. Not judged when there is nothing to turn off.

    Source: Karpathy, A Recipe ("verify decreasing training loss": more capacity must help).
    """
    other, batch = trace.under("unregularised"), trace.under("overfit")
    assert other is not None
    assert batch is not None
    if reason := problem(trace, other, batch):
        yield Skipped(reason)
        return
    facts = told(other)
    if not facts.get("dropout") and not facts.get("weight_decay"):
        yield Skipped("the script has no dropout and no weight decay to turn off")
        return
    found, one = advantage(trace, other), fit(batch)
    if found is None or one is None or one.floor is None:
        yield Skipped("too few common steps, or a loss whose floor is not known")
        return
    if one.reached or one.falling or -found.gain > gain:
        return
    yield Finding(
        f"Without dropout and weight decay the loss is hardly lower: {found.other:.4g}, with them "
        f"{found.baseline:.4g}; and one batch alone is not fitted (PRB01).",
        steps=(0, found.steps - 1),
        evidence={"loss": found.baseline, "unregularised_loss": found.other, "share": one.share},
    )


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

    A forward of the script is replayed in evaluation mode with all examples but one exchanged; that
    one's output must stay. Batch norm (which mixes in training, by design) and outputs that compare
    examples with each other are noted as what they are. Not judged: graphs, packed sequences, and
    models that return nothing for each example.

    Source: Karpathy, A Recipe ("use backprop to chart dependencies").
    """
    yield from _answer(
        trace, "mixing", "The model mixes examples: {}.", "The model relates examples: {}."
    )


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
    """The output knows what it is to predict.

    Where the targets are the next inputs, the forward of a step is replayed with everything after
    the middle exchanged: outputs up to there must stay. Nor may an output change with targets that
    are given to the model beside the inputs, a column of the input be the target, or the target of
    a model that sees no future be the input at the same position.

    Source: Karpathy, A Recipe ("use backprop to chart dependencies").
    """
    yield from _answer(
        trace, "causality", "The model sees what it is to predict: {}.", "The targets: {}."
    )


def _answer(trace: Trace, name: str, found: str, noted: str) -> Iterator[Finding | Skipped]:
    """What the replay in the experiment `repeat` saw."""
    run = trace.under("repeat")
    assert run is not None
    answer = told(run).get(name)
    if not isinstance(answer, dict):
        yield Skipped("the step to be examined was not reached")
        return
    text, state = str(answer.get("text", "")), answer.get("state")
    if state in ("found", "noted"):
        evidence = answer.get("evidence")
        yield Finding(
            (found if state == "found" else noted).format(text),
            severity=None if state == "found" else Severity.INFO,
            evidence=evidence if isinstance(evidence, dict) else {},
            advice="" if state == "found" else "Nothing, if it is meant.",
        )
    elif state != "clean":
        yield Skipped(text)


@rule(
    "PRB05",
    "wrong-backward",
    Severity.ERROR,
    advice="Derive the backward again, and test it alone with torch.autograd.gradcheck.",
    experiments=("repeat",),
)
def wrong_backward(trace: Trace) -> Iterator[Finding | Skipped]:
    """The backward of a hand-written function is not the derivative of its forward.

    Every `torch.autograd.Function` the script uses is called again with the inputs of a training
    step, in float64: its gradient along random directions against central differences. A forward
    that is constant almost everywhere or the identity has another backward on purpose (straight-
    through estimators, surrogate gradients, gradient reversal): that is noted.

    Source: 37 Reasons ("check your gradients"); torch.autograd.gradcheck.
    """
    run = trace.under("repeat")
    assert run is not None
    facts = told(run)
    functions = facts.get("functions")
    if not isinstance(functions, dict):
        examined = "functions" in facts
        reason = "in this framework it is not examined yet" if examined else "no step was examined"
        yield Skipped(reason)
        return
    if not functions:
        yield Skipped("the script has no function with a backward of its own")
        return
    for name, answer in functions.items():
        if not isinstance(answer, dict):
            continue
        state, text = answer.get("state"), str(answer.get("text", ""))
        if state == "unknown":
            yield Skipped(f"{name}: {text}")
        elif state in ("found", "noted"):
            evidence = answer.get("evidence")
            yield Finding(
                f"{name}: {text}.",
                severity=None if state == "found" else Severity.INFO,
                evidence=evidence if isinstance(evidence, dict) else {},
                location=_location(answer.get("file"), answer.get("line")),
                advice="" if state == "found" else "Nothing, if it is meant.",
            )


def _location(file: object, line: object) -> Location | None:
    if not isinstance(file, str) or not isinstance(line, int):
        return None
    return Location(file, line, source_line(file, line))
