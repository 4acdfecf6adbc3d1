"""LOS24: a penalty on the parameters that is larger than the loss on the data."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.objective_terms import FIRST, summed_terms
from nntrace.rules.common.optimizers import backward_line
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.trace import Trace

_FELL = 0.1  # of the start: with a smaller fall nothing was learned


@rule(
    "LOS24",
    "overwhelming-regularisation",
    Severity.WARNING,
    explains=("LOS07", "LOS11", "LOS12", "LOS14", "PAR03", "ACT02", "UPD08"),
    advice="Divide the penalty's weight by ten until the data term falls; train without it first.",
)
def overwhelming_regularisation(
    trace: Trace,
    *,
    ratio: Annotated[float, "penalty on the parameters relative to the data terms"] = 2.0,
    samples: Annotated[int, "sampled steps that are needed"] = 10,
    unlearned: Annotated[
        float, "level of the data terms, relative to their start, above which they are stuck"
    ] = 0.5,
) -> Iterator[Finding | Skipped]:
    """A penalty on the parameters is larger than the loss on the data, and the data do not fit.

    The optimizer then shrinks weights instead of learning. Judged over the second half of the run,
    and only while the data terms are above half of their start: a small loss may well lie below a
    healthy penalty. Only penalties that are added to the loss count (with Keras on TensorFlow in
    `fit` and in `tf.function`); UPD12 judges decay inside the optimizer.
    If the weights have given way, so that the penalty is small in the end, and the data terms never
    fell by a tenth, what counts is whether the penalty was larger at the start.
    Source: "37 reasons", 23 (too much regularisation); Karpathy's Recipe, step 3.
    """
    names, values, steps = summed_terms(trace)
    if "penalty" not in names or len(names) < 2 or len(values) < samples:
        yield Skipped("no objective with a penalty on the parameters was recorded")
        return
    place = names.index("penalty")
    penalty = np.abs(values[:, place])
    data = np.abs(np.delete(values, place, axis=1).sum(axis=1))
    half = len(values) // 2
    late_penalty, late_data = median(penalty[half:]), median(data[half:])
    start, first_penalty = median(data[:FIRST]), median(penalty[:FIRST])
    is_stuck = late_data > (1.0 - _FELL) * start
    gave_way = is_stuck and first_penalty >= max(ratio * start, ratio * late_penalty)
    lasts = late_penalty >= ratio * late_data and late_data >= unlearned * start
    if not lasts and not gave_way:
        return
    was, shown, on_data = (
        ("is", late_penalty, late_data) if lasts else ("was", first_penalty, start)
    )
    yield Finding(
        f"the penalty on the parameters {was} {shown:.3g}, "
        f"{shown / max(on_data, 1e-30):.1f} times the loss on the data ({on_data:.3g}), "
        f"which is still at {late_data / max(start, 1e-30):.0%} of its start.",
        steps=span(steps),
        evidence={"penalty": shown, "data_loss": late_data, "data_loss_at_start": start},
        location=backward_line(trace),
    )
