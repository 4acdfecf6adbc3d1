"""Whether the discriminator of a generator has won, and whether both want the same."""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from nntrace.rules.common.chance import BINARY, SQUARED_ERROR, loss_location
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import place
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_LATE: Final = 3  # the last third of the samples
_SAMPLES: Final = 8
_REAL: Final = 0.8  # least target of real examples, which may be smoothed
_FAR_BELOW: Final = 0.5  # share of the least sum of two opposed losses
_SAME: Final = 0.01  # relative difference of two losses that are one
_FAKE: Final = 0.2  # highest target of generated ones


class _Pair(NamedTuple):
    """The losses of a discriminator in one step: on real examples, and on generated ones."""

    real: Batch
    fake: Batch


def discriminator_has_won(trace: Trace, loss: float, steps: int) -> Finding | None:
    """The finding if a discriminator has long told real and generated examples apart; else None.

    Args:
        trace: with the arguments of each loss function of a step.
        loss: the discriminator's loss on either side below which it makes no errors.
        steps: the fewest steps that the discriminator must have made.
    """
    pairs = list(_pairs(trace))
    late = pairs[len(pairs) - len(pairs) // _LATE :]
    if len(late) < _SAMPLES or loss_series(trace).optimizers < 2:
        return None
    if late[-1].real.step - pairs[0].real.step < 2 * steps:  # half of these are the generator's
        return None
    real, fake = (median([pair[side].loss_value or 0.0 for pair in late]) for side in (0, 1))
    worst = max(max(p.real.loss_value or 0.0, p.fake.loss_value or 0.0) for p in late)
    is_squared = late[-1].fake.loss_function in SQUARED_ERROR
    draw = math.log(2.0)
    if is_squared:  # errors of that share of the distance between both targets
        distance = (late[-1].real.target_min or 0.0) - (late[-1].fake.target_max or 0.0)
        loss, draw = (loss * distance) ** 2, (distance / 2.0) ** 2
    if max(real, fake) >= loss or worst >= 10 * loss:
        return None
    path = late[-1].fake.loss_path or late[-1].fake.loss_function or ""
    end = "The generator learns next to nothing from it."
    saturates = "let the generator maximise log D(G(z)), not minimise log(1 − D(G(z))); "
    if is_squared:  # whose gradient does not vanish
        end, saturates = "Nothing that the generator makes comes near the real ones.", ""
    return Finding(
        "the discriminator hardly ever takes generated examples for real ones, or the reverse: "
        f"since step {late[0].real.step} its losses on real and generated ones have been "
        f"{real:.2g} and {fake:.2g}, where guessing gives {draw:.2g}. {end}",
        site=trace.site(path, Role.OUTPUT),
        steps=(late[0].real.step, late[-1].real.step),
        severity=Severity.WARNING,
        evidence={"on_real": real, "on_generated": fake},
        advice="Give the discriminator a smaller learning rate or fewer units, or the generator a "
        f"larger rate or more steps; {saturates}smooth the real targets to 0.9; or take a "
        "Wasserstein loss with a gradient penalty.",
        location=loss_location(trace, path),
    )


def generator_helps(trace: Trace) -> Finding | None:
    """The finding if a generator is trained towards the discriminator's own answers; else None.

    For examples that are real with probability p to the discriminator, a generator that wants them
    taken for real loses −ln p, and the discriminator −ln(1 − p): together at least 2 ln 2. Both
    losses can be small only if the generator is given the label of generated examples.
    """
    names = _turns(trace)
    late = trace.steps.step >= trace.steps.step.max(initial=0) * (1.0 - 1.0 / _LATE)
    late &= np.isfinite(trace.steps.loss)
    of_each = [late & (np.array(trace.steps.optimizer) == name) for name in names]
    if not names or min(int(its.sum()) for its in of_each) < _SAMPLES:
        return None
    judge, maker = (median(trace.steps.loss[its]) for its in of_each)
    least = 2.0 * math.log(2.0)
    # The discriminator's loss may be the mean of its errors on either side, not their sum.
    if 2.0 * judge + maker > _FAR_BELOW * least:
        return None
    steps = span(trace.steps.step[of_each[1]])
    *_, last = trace.events_of(EventKind.LOSS_CALL) or (None,)  # the generator's turn comes second
    return Finding(
        "the generator is trained to have its examples recognised: since step "
        f"{steps[0]} its loss has been {maker:.2g} and the discriminator's {judge:.2g}, while "
        f"those of two that work against each other add up to {least:.3g} or more.",
        steps=steps,
        severity=Severity.WARNING,
        evidence={"generator_loss": maker, "discriminator_loss": judge, "least_sum": least},
        advice="Give the generator's loss the label of real examples: "
        "`loss(ones_like(d_fake), d_fake)` where real ones are 1.",
        location=None if last is None else place(last.payload),
    )


def _turns(trace: Trace) -> tuple[str, ...]:
    """The optimizers of a discriminator and of a generator that take turns; else empty.

    The discriminator's step compares with both labels, in one binary cross-entropy or in two. The
    generator's step differentiates one with a single label, and nothing else.
    """
    steps = trace.steps
    made = {
        step: (name or "", loss)
        for step, name, loss in zip(
            steps.step.tolist(), steps.optimizer, steps.loss.tolist(), strict=True
        )
    }
    judging: set[str] = set()
    making: set[str] = set()
    for batch in trace.batches:
        low, high = batch.target_min, batch.target_max
        if batch.loss_function not in BINARY or low is None or high is None:
            return ()
        name, loss = made.get(batch.step, ("", math.nan))
        terms = sum(term.split("#")[0] in BINARY for term in batch.term_names)
        if terms == 2 or (low <= _FAKE and high >= _REAL):
            judging.add(name)
        elif low == high and abs(loss - (batch.loss_value or 0.0)) <= _SAME * abs(loss):
            making.add(name)
        else:
            return ()
    opposed = len(judging) == len(making) == 1 and judging != making
    return (*judging, *making) if opposed else ()


def _pairs(trace: Trace) -> Iterator[_Pair]:
    """Yield the steps with a loss on real examples and another on generated ones alone."""
    by_step: dict[int, list[Batch]] = {}
    for batch in (*trace.batches, *trace.further_losses):
        judges = batch.loss_function in BINARY or _compares_with_a_constant(batch)
        if judges and batch.loss_value is not None:
            by_step.setdefault(batch.step, []).append(batch)
    for step in sorted(by_step):
        real = next((b for b in by_step[step] if (b.target_min or 0.0) >= _REAL), None)
        fake = next((b for b in by_step[step] if _is_fake(b)), None)
        if real is not None and fake is not None:
            yield _Pair(real, fake)


def _is_fake(batch: Batch) -> bool:
    return batch.target_max is not None and batch.target_max <= _FAKE


def _compares_with_a_constant(batch: Batch) -> bool:
    """Whether a squared error has 0 or 1 for all its targets, or −1, as in least-squares GANs."""
    target = batch.target_min
    if batch.loss_function not in SQUARED_ERROR or target is None or target != batch.target_max:
        return False
    return -1.0 <= target <= _FAKE or _REAL <= target <= 2.0 - _REAL
