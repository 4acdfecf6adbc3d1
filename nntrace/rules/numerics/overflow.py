"""NUM05: values that approach the largest that their number type holds."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.loss_course import falls_without_end
from nntrace.rules.common.signals import trend_z
from nntrace.rules.finding import Finding, Severity
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray, IntArray

# Rules whose patterns large steps cause in other runs; here it is weights that nothing bounds.
_OF_UNBOUNDED = ("ACT03", "GRD02", "GRD05", "PAR02", "UPD01", "UPD07", "LOS08")
_FASTER = 10.0  # ratio of the fall in the run's last quarter to that in its second
_SIGNS = (
    "The loss falls without end, so it has no lowest value. Look at the sign of each of its terms: "
    "a divergence or log-determinant that is subtracted, a log-likelihood without its minus."
)
_LIMITS = {"float16": 65504.0, "bfloat16": 3.39e38, "float32": 3.40e38}


@rule(
    "NUM05",
    "overflow-ahead",
    Severity.WARNING,
    explains=("NUM01", "NUM02", "NUM03", "NUM06"),
    advice="Lower the learning rate, clip gradients, or normalise before this layer; in float16 "
    "keep the layer in float32 or train in bfloat16.",
    min_steps=8,
)
def overflow_ahead(
    trace: Trace,
    *,
    decades: Annotated[
        float, "powers of ten to the type's limit within which growing values count"
    ] = 1.0,
    growth: Annotated[
        float, "factor by which the largest value must have grown over the run"
    ] = 100.0,
    samples: Annotated[int, "sampled steps needed"] = 8,
) -> Iterator[Finding]:
    """The largest value of a layer grows toward what its number type can hold.

    A site counts if its largest magnitude rose steadily (by a rank test) and by more than `growth`,
    and will reach the limit within as many steps again, at the growth of the run's second half. It
    must also

    - be within `decades` powers of ten of the limit, or
    - have risen by four times that, or
    - have risen, over twice as many samples, by half of what the type holds above 1 (in float16 by
      2.4 powers of ten).

    If the loss falls below zero without end, nothing bounds the weights: that is the cause of their
    growth, not steps that are too large.

    Source: the largest finite numbers of IEEE 754, 65504 in float16 and about 3.4e38 in float32;
    bfloat16 has the range of float32.
    """
    without_end = falls_without_end(trace, _FASTER)
    for role in (Role.ACTIVATION, Role.ACTIVATION_GRAD, Role.PARAM_GRAD, Role.PARAM):
        sizes = np.fmax(np.abs(trace.series(role, "min")), np.abs(trace.series(role, "max")))
        for column, site in enumerate(trace.sites_of(role)):
            limit = _LIMITS.get(site.dtype)
            size = sizes[:, column]
            seen = np.isfinite(size) & (size > 0)
            if limit is None or seen.sum() < samples:
                continue
            step, exponent = trace.sampled_steps[seen], np.log10(size[seen])
            if _approaches(step, exponent, float(np.log10(limit)), decades, growth, samples):
                half = len(exponent) // 2
                yield Finding(
                    f"`{site.path}` {role.value.replace('_', ' ')} has grown from "
                    f"{10 ** exponent[0]:.3g} to {10 ** exponent[-1]:.3g}; {site.dtype} ends at "
                    f"{limit:.3g}.",
                    site=site,
                    steps=(int(step[half]), int(step[-1])),
                    evidence={"largest": 10 ** float(exponent[-1]), "limit": limit},
                    advice=_SIGNS if without_end else "",
                    not_explained_by=_OF_UNBOUNDED if without_end else (),
                    explains=_OF_UNBOUNDED if without_end else (),
                )
                break  # one site of a role: what follows it grows with it


def _approaches(
    step: IntArray,
    exponent: FloatArray,
    limit: float,
    decades: float,
    growth: float,
    samples: int,
) -> bool:
    """Whether sizes, as powers of ten, have risen steadily and will soon reach the limit."""
    room, rise = limit - float(exponent[-1]), float(exponent[-1] - exponent[0])
    if rise < np.log10(growth) or trend_z(exponent) <= 3.0:
        return False
    if room <= decades:
        return True
    half = len(exponent) // 2
    ahead = float(exponent[-1] - exponent[half]) * (step[-1] - step[0])
    ahead /= max(1, int(step[-1] - step[half]))
    # Half of float16's range is less than four decades: so the trend must be longer, too.
    is_long = len(exponent) >= 2 * samples and rise > limit / 2
    return (rise > 4 * decades or is_long) and bool(ahead >= room)
