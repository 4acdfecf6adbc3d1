"""PRB02, PRB06, PRB09: what the program gains over the same run with something taken away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.probes.experiments import incomparable, problem, told
from nntrace.rules.probes.one_batch import fit
from nntrace.rules.rule import rule
from nntrace.trace import Trace

_BLOCKS: Final = 8
_FEW_STEPS: Final = 40
_ERRORS: Final = 2.0  # standard errors within which a fall is on neither side of a bound
_PROOF: Final = 3.0  # standard errors
_EASIER: Final = 0.5  # times the baseline's loss: lower is neither noise nor luck: another task


@dataclass(frozen=True, slots=True)
class Advantage:
    """How much better the baseline did than the same run with something taken away.

    Attributes:
        baseline, other: mean losses over the second half of the common steps.
        gain: their difference, relative to `other`.
        errors: the difference in units of its standard error.
        steps: the number of common steps.
        identical: whether all losses but the first are equal.
    """

    baseline: float
    other: float
    gain: float
    errors: float
    steps: int
    identical: bool

    @property
    def noise(self) -> float:
        """One standard error of `gain`."""
        return abs(self.gain / self.errors) if self.errors else 0.0


def advantage(trace: Trace, other: Trace) -> Advantage | None:
    """Compare losses step by step: seed and batches are the same in both runs."""
    _, mine, its = np.intersect1d(trace.steps.step, other.steps.step, return_indices=True)
    ours, theirs = trace.steps.loss[mine], other.steps.loss[its]
    both = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[both], theirs[both]
    if len(ours) < 2 * _BLOCKS:
        return None
    half = len(ours) // 2
    difference = theirs[half:] - ours[half:]
    blocks = np.array([block.mean() for block in np.array_split(difference, _BLOCKS)])
    error = float(blocks.std(ddof=1) / np.sqrt(_BLOCKS))
    gap = float(difference.mean())
    size = max(abs(float(theirs[half:].mean())), 1e-12)
    return Advantage(
        baseline=float(ours[half:].mean()),
        other=float(theirs[half:].mean()),
        gain=gap / size,
        errors=gap / error if error > 0 else (0.0 if gap == 0 else float(np.sign(gap) * np.inf)),
        steps=len(ours),
        # The first step is made before anything was exchanged.
        identical=bool(np.allclose(ours[1:], theirs[1:], rtol=1e-6, atol=1e-9)),
    )


def inputs_win(trace: Trace) -> bool:
    """Whether a check has shown that the program learns from its inputs (PRB02)."""
    if trace.under("blind") is None:
        return False
    found = _comparison(trace, "blind")
    return isinstance(found, Advantage) and found.errors >= _PROOF and found.gain > 0


def _comparison(trace: Trace, name: str) -> Advantage | Skipped:
    """Compare the baseline with an experiment that takes something away from it."""
    other = trace.under(name)
    assert other is not None
    if reason := problem(trace, other) or incomparable(trace, other):
        return Skipped(reason)
    return advantage(trace, other) or Skipped("the two runs share too few steps")


def _too_early(trace: Trace, found: Advantage, who: str) -> Skipped | None:
    """The reason why it proves nothing that `who` do not win; None after enough steps."""
    if found.steps < _FEW_STEPS:
        return Skipped(
            f"after only {found.steps} steps {who} not give a lower loss, which proves nothing "
            "yet; give `nntrace check` more --steps"
        )
    run = trace.under("overfit")
    batch = None if run is None or problem(run) else fit(run)
    if batch is None or np.isnan(batch.share):
        reason = "it is not known whether the model can fit even one batch (PRB01)"
    elif not batch.reached:
        reason = "the model cannot fit even one batch in as many steps (PRB01)"
    elif found.steps < 2 * batch.steps:
        reason = (
            f"fitting one batch alone takes {batch.steps} of these {found.steps} steps; give "
            "`nntrace check` more --steps"
        )
    else:
        return None
    return Skipped(f"{who} not give a lower loss, which proves nothing yet: {reason}")


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
    errors: Annotated[
        float, "standard errors by which the loss with real inputs must be lower"
    ] = _PROOF,
) -> Iterator[Finding | Skipped]:
    """Training does as well when all inputs are zero.

    The script runs twice with the same seed and the same batches, once with every input of the
    model set to zero (token 0 for integers). The losses are compared step by step over the second
    half. If they do not differ, the model has learned nothing from its inputs: at best the
    frequency of the targets. If they are equal in every digit, the output does not depend on the
    input at all. Not judged if the run is too short for the model to learn anything, nor if the
    zeroed inputs are the targets, too: then the loss falls below half of the real one.

    Source: Karpathy, A Recipe ("input-independent baseline").
    """
    found = _comparison(trace, "blind")
    if isinstance(found, Skipped):
        yield found
    elif found.identical:
        yield Finding(
            "The losses are the same with all inputs zero: the output does not depend on the "
            f"input (mean loss {found.baseline:.4g} over the second half of {found.steps} steps).",
            steps=(0, found.steps - 1),
            evidence={"loss": found.baseline, "blind_loss": found.other},
        )
    elif found.errors < -errors and found.other < _EASIER * found.baseline:
        yield Skipped("the targets are made from the inputs, so zeroed inputs make the task easier")
    elif found.errors < errors:
        yield _too_early(trace, found, "real inputs do") or Finding(
            f"Training does as well with all inputs zero: the mean loss is {found.baseline:.4g} "
            f"with the real inputs and {found.other:.4g} without, over the second half of "
            f"{found.steps} steps.",
            steps=(0, found.steps - 1),
            evidence={"loss": found.baseline, "blind_loss": found.other, "errors": found.errors},
        )


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
    errors: Annotated[
        float, "standard errors by which the loss with the real targets must be lower"
    ] = _PROOF,
) -> Iterator[Finding | Skipped]:
    """Training does as well when the targets are shuffled within each batch.

    The script runs twice with the same seed and the same batches, once with the targets in an order
    that changes at every step, so that nothing can be learned but their frequencies. If the losses
    are alike, the real targets are not related to the inputs either. Not judged if the run is too
    short for the model to learn anything.

    Source: 37 Reasons ("verify that the input is matched to its label").
    """
    found = _comparison(trace, "shuffled")
    if isinstance(found, Skipped):
        yield found
    elif found.errors < errors:
        yield _too_early(trace, found, "the real targets do") or Finding(
            f"Training does as well with shuffled targets: mean loss {found.baseline:.4g} with "
            f"the real ones, {found.other:.4g} with shuffled ones, over the second half of "
            f"{found.steps} steps.",
            steps=(0, found.steps - 1),
            evidence={"loss": found.baseline, "shuffled_loss": found.other, "errors": found.errors},
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
    gain: Annotated[float, "relative fall of the loss that counts as an improvement"] = 0.05,
) -> Iterator[Finding | Skipped]:
    """A model that cannot fit one batch fits its data no better without dropout and weight decay.

    The script runs once more with both turned off, and on Keras with the penalties of layers. If a
    model has too little capacity, or its wiring is broken, less regularisation changes nothing.
    Nothing is widened, since only the script knows which sizes belong together; that the capacity
    is too small is known from the batch that cannot be fitted (PRB01). Not judged if there is
    nothing to turn off.

    `gain`: without dropout any model's training loss is a little lower: of classifiers of ten kinds
    with a dropout of 0.1 by 2.7 % with one hidden unit and by 7.2 % with two, which begin to learn;
    drawing the dropout anew moves it by 0.2 to 1.3 %. Nothing is reported if the fall lies within
    two standard errors of the bound.

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
        yield Skipped("the two runs share too few steps, or the lowest possible loss is not known")
        return
    if one.reached or one.falling:
        return
    noise = _ERRORS * found.noise
    if abs(-found.gain - gain) <= noise:
        yield Skipped(
            f"the loss falls by {-found.gain:.1%} ± {noise:.1%} without dropout and weight "
            f"decay: too noisy to tell it from {gain:.0%}; give `nntrace check` more --steps"
        )
        return
    if -found.gain > gain:
        return
    yield Finding(
        f"Without dropout and weight decay the loss is hardly lower ({found.other:.4g}) than "
        f"with them ({found.baseline:.4g}), and the model cannot fit one batch either (PRB01).",
        steps=(0, found.steps - 1),
        evidence={"loss": found.baseline, "unregularised_loss": found.other, "share": one.share},
    )
