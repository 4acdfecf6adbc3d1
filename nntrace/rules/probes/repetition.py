"""PRB08: whether the script does the same when it is run again."""

from collections.abc import Iterator
from typing import Annotated

from nntrace.diff.compare import compare
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace


@rule(
    "PRB08",
    "not-reproducible",
    Severity.WARNING,
    advice="Seed every generator the program draws from: Python's, NumPy's (also "
    "`default_rng()`), the framework's and those of loader workers; do not iterate over sets.",
    experiments=("repeat",),
)
def not_reproducible(
    trace: Trace,
    *,
    tolerance: Annotated[float, "relative difference that rounding explains"] = 1e-3,
) -> Iterator[Finding | Skipped]:
    """Two runs of the first steps differ, though both start from the same seed.

    The generators of Python, NumPy and the framework are seeded before the script begins. The
    finding names the first step at which the runs differ and the first place in the order of cause
    and effect: batch, parameters, input, activations, loss, gradients, updates. A bug that cannot
    be repeated cannot be found, and the effect of a change cannot be told from luck.

    Source: Karpathy, A Recipe ("fix random seed").
    """
    other = trace.under("repeat")
    assert other is not None
    last = min(int(run.steps.step[-1]) if len(run.steps) else -1 for run in (trace, other))
    if last < 1:
        yield Skipped("one of the two runs made fewer than two steps")
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
        else f"Two runs with the same seed see different examples, first at step {first.step}.",
        site=site,
        steps=(first.step, last),
        evidence={"difference": first.difference, "steps_compared": last + 1},
    )
