"""The rule on layers that give the same output for every example."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.activations.units import has_died_out
from nntrace.rules.activations.variation import tables
from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.depth import SAMPLES, before_head, of_links
from nntrace.rules.common.layers import Link, chain, sampled_span
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray

_AMPLIFIED = 1e-4  # of unit scale: the size of rounding errors that a norm divides by √epsilon
_OF_ONE_VALUE = (
    "A norm over a single value leaves only its own bias: normalise along an axis of several "
    "values, give it more features, or leave it out."
)
_FADED = 1e-3  # of the rms: a smaller difference has all but vanished before
_ROUNDING = 1e-6  # of the rms: a smaller variation is rounding in float32 sums


@rule(
    "ACT07",
    "constant-activation",
    Severity.ERROR,
    needs=(Role.ACTIVATION,),
    explains=("ACT13", "GRD04", "LOS07", "LOS11", "LOS12", "UPD06"),
    advice="Look at what enters this layer and what it does with it: a mean over the batch axis, "
    "a multiplication with zero, a mask of the wrong shape, an index that is always the same.",
)
def constant_activation(
    trace: Trace,
    *,
    share: Annotated[
        float, "share of the sampled steps with equal outputs, the last one included"
    ] = 0.9,
    learnt: Annotated[
        float, "share of the first loss below which a constant branch does no harm"
    ] = 0.5,
) -> Iterator[Finding | Skipped]:
    """A layer gives the same output for every example, though what comes before it varies.

    Nothing after it can tell the examples apart. The finding names the first such layer whose
    predecessor (or input) does differ between examples, by at least a thousandth; ACT02 reports a
    signal that fades from layer to layer. Dead units are named as the cause only if all units of an
    earlier layer are dead. A norm, whose outputs have unit scale, already counts as constant if
    less than a ten-thousandth of its output varies: it got single values to normalise. If the loss
    falls and later layers do differ, it is only a branch: information, but a warning for a norm of
    single values, before which nothing can learn.

    Not reported:

    - layers without data to depend on: learnt queries; tables of positions and modules that give
      out a parameter of their own (StyleGAN's input), unless nothing in the model varies at all
    - layers that run over steps of time on the first axis, and batches of one example
    - layers before others that do differ, if their model is given an input, of the width they take,
      that is the same for every example, such as the state with which a recurrence begins

    Source: Karpathy's Recipe, step 2 (visualise prediction dynamics); "37 reasons", 25.
    """
    links = [link for link in before_head(chain(trace)) if not _time_comes_first(trace, link.site)]
    varies = of_links(trace.series(Role.ACTIVATION, "example_std"), links)
    size = of_links(trace.series(Role.ACTIVATION, "rms"), links)
    known = np.isfinite(varies)
    if known.sum(axis=0).max(initial=0) < SAMPLES:
        yield too_few(f"needs {SAMPLES} sampled steps with batches of two and more examples")
        return
    least = _ROUNDING * np.fmax(size, np.finfo(np.float32).tiny)
    norms = np.array([link.is_norm for link in links], dtype=bool)
    same = known & (varies <= np.where(norms, np.fmax(least, _AMPLIFIED), least))
    tells_apart = varies > _FADED * size
    before, constants, is_table = _inputs_vary(trace), _constant_inputs(trace), tables(trace)
    vary = _outputs_that_vary(trace)
    for index, link in enumerate(links):
        seen = known[:, index]
        if seen.sum() < SAMPLES:
            continue
        is_constant = bool(same[seen, index].mean() >= share and same[seen, index][-1])
        if is_constant and before and not (vary.any() and is_table(link.site)):
            died = has_died_out(trace, link.column + 1)
            if vary[link.column + 1 :].any() and _may_take(link, constants):
                continue
            is_branch = bool(vary[[later.column for later in links[index + 1 :]]].any())
            learns = remaining_loss(trace) <= learnt
            of_one_value = link.is_norm and 1 in link.site.shape[1:]
            mild = Severity.WARNING if of_one_value else Severity.INFO
            yield Finding(
                f"the output of {link.site.shown} ({link.site.module_type}) is the "
                f"same for every example, in {int(same[:, index].sum())} of {int(seen.sum())} "
                "sampled steps.",
                site=link.site,
                steps=sampled_span(trace, int(np.flatnonzero(same[:, index])[0])),
                severity=mild if is_branch and learns else None,
                advice=_OF_ONE_VALUE if of_one_value else "",
                evidence={"samples": int(seen.sum()), "constant": int(same[:, index].sum())},
                not_explained_by=() if died else ("ACT04",),
                explains=() if died else ("ACT04",),
            )
            return
        before = not is_constant and bool(tells_apart[seen, index].mean() > 0.5)


def _time_comes_first(trace: Trace, site: Site) -> bool:
    """Whether a layer that the model runs over steps of time has its examples on the second axis.

    Spiking networks see each image at every step.
    """
    sizes = {batch.batch_size for batch in training_batches(trace)}
    return len(site.shape) > 2 and site.shape[1] in sizes and site.shape[0] not in sizes


def _outputs_that_vary(trace: Trace) -> BoolArray:
    """Whether the outputs of each layer, heads included, differ between examples."""
    varies = trace.series(Role.ACTIVATION, "example_std")
    known = np.isfinite(varies)
    tells_apart = known & (varies > _FADED * trace.series(Role.ACTIVATION, "rms"))
    return np.asarray(tells_apart.sum(axis=0) > known.sum(axis=0) / 2)


def _inputs_vary(trace: Trace) -> bool:
    values = trace.series(Role.INPUT, "example_std")
    return bool((values[np.isfinite(values)] > 0).any())


def _constant_inputs(trace: Trace) -> list[Site]:
    """The inputs of models that were the same for every example in all sampled steps."""
    sites = trace.sites_of(Role.INPUT)
    varies = trace.series(Role.INPUT, "example_std")
    known = np.isfinite(varies)
    same = known.any(axis=0) & ~(known & (varies > 0)).any(axis=0)
    return [sites[index] for index in np.flatnonzero(same)]


def _may_take(link: Link, inputs: list[Site]) -> bool:
    """Whether an input of its model has the width that a linear layer takes."""
    if link.fans is None:
        return False
    given = (site for site in inputs if link.site.path.startswith(site.path.partition("input.")[0]))
    return any(site.shape[1:] and site.shape[-1] == link.fans[0] for site in given)
