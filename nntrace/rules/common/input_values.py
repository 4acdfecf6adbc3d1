"""What kind of values the inputs hold, and whether the first layer normalises or bins them."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.layers import is_embedding, is_norm
from nntrace.rules.common.signals import median
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_SAME_SCALE = 0.05
NEVER_ADAPTED = (
    "Call `adapt` of `{}` on the training inputs before training: until then it subtracts 0 and "
    "divides by 1."
)
_NORMALISES = ("Normalization", "Rescaling")  # layers before a model that only scale data
_AUGMENTS = "Random"  # how the names of Keras' layers begin that augment images
_BINS = "Discretization"
_SHAPE_ONLY = frozenset({"Flatten", "Unflatten", "Identity", "Dropout", "Reshape"})
_UNIT = (0.1, 1.001)  # the largest size of values that somebody has scaled already
_TIMES_SCALED = 3  # epochs in a row; fewer may be chance, or a curriculum
_SAME_FACTOR = 0.1  # relative deviation of one epoch's factor
_RESCALED = 1.5  # times, from which an epoch's scale is another
_SHRINKS = 100.0  # what takes bytes to [-1, 1] or [0, 1] divides by 127.5 or 255


def first_float_input(trace: Trace) -> Site | None:
    """The first input that holds real numbers, not ids; None if there is none."""
    return next((site for site in trace.sites_of(Role.INPUT) if "float" in site.dtype), None)


def normalises_first(trace: Trace, given: Site | None = None) -> bool:
    """Whether the first layer that does more than reshape its input is a normalisation.

    With several inputs each has a first layer. That of `given` is a norm of its shape that no other
    module feeds, provided that only lookup tables take the other inputs. Layers that only scale
    data count wherever they stand, if they cover each feature of the inputs. A layer that passes
    its input on unchanged does not count.
    """
    if not_adapted(trace) is not None:
        return False
    if _all_features_are_scaled(trace) or (given is not None and _meets_a_norm(trace, given)):
        return True
    parameters = [site.path for site in trace.sites_of(Role.PARAM)]
    for site in trace.sites_of(Role.ACTIVATION):
        if not site.path or site.module_type in _SHAPE_ONLY:
            continue
        inside = (f"{site.path}.", f"{site.path}/")
        is_bare = not any(path.startswith(inside) for path in parameters)
        if is_bare and site.module_type != "Rescaling" and _hands_on_input(trace, site):
            continue
        return "Norm" in site.module_type or site.module_type == "Rescaling"
    return False


def not_adapted(trace: Trace) -> Site | None:
    """A layer made to normalise data whose output equals its input: `adapt` was never called."""
    for site in trace.sites_of(Role.ACTIVATION):
        if site.module_type != _NORMALISES[0]:
            continue
        for given in trace.sites_of(Role.INPUT):
            if given.shape == site.shape and _agree(trace, given, site, ("min", "mean", "max")):
                return site
    return None


def scaled_twice(trace: Trace, given: Site) -> Site | None:
    """A `Rescaling` layer that makes next to nothing of an input that lies within [-1, 1]."""
    values = [median(trace.series(Role.INPUT, end, given)) for end in ("min", "max")]
    largest = max(map(abs, values))
    if not _UNIT[0] <= largest <= _UNIT[1]:
        return None
    for site in trace.sites_of(Role.ACTIVATION):
        if site.module_type == "Rescaling" and site.shape == given.shape:
            left = median(trace.series(Role.ACTIVATION, "std", site))
            before = median(trace.series(Role.INPUT, "std", given))
            return site if 0 < left * _SHRINKS < before else None
    return None


def scaled_each_epoch(trace: Trace) -> tuple[float, float, float] | None:
    """By how much inputs are scaled from each epoch to the next, with the first and last spread.

    None unless the factor is one and the same, which it is where an epoch writes to the data.
    """
    spreads: dict[int, list[float]] = {}
    for batch in training_batches(trace):
        if batch.epoch is not None and batch.input_std:
            spreads.setdefault(batch.epoch, []).append(batch.input_std)
    epochs = sorted(spreads)
    pairs = [(one, two) for one, two in pairwise(epochs) if two == one + 1]
    factors = [median(spreads[two]) / median(spreads[one]) for one, two in pairs]
    if len(factors) < _TIMES_SCALED:
        return None
    usual = median(factors)
    is_the_same = all(abs(factor / usual - 1.0) < _SAME_FACTOR for factor in factors)
    if not is_the_same or 1.0 / _RESCALED < usual < _RESCALED:
        return None
    return usual, median(spreads[epochs[0]]), median(spreads[epochs[-1]])


def widened_by_augmentation(trace: Trace, given: Site, scale: float) -> Site | None:
    """A random augmentation whose output is of another scale than the input; None if there is none.

    Args:
        given: the input.
        scale: the standard deviation above which an input is not normalised.
    """
    entered = median(trace.series(Role.INPUT, "std", given))
    for site in trace.sites_of(Role.ACTIVATION):
        if not site.module_type.startswith(_AUGMENTS) or site.shape != given.shape:
            continue
        if median(trace.series(Role.ACTIVATION, "std", site)) > max(scale, scale * entered):
            return site
    return None


def normalised_by_other_statistics(trace: Trace, most: float, offset: float) -> Site | None:
    """A layer made to normalise data whose output is far from it; None if there is none.

    Args:
        most: the standard deviation of the output above which its statistics are those of others.
        offset: the same of its |mean| in standard deviations.
    """
    owners = {site.parent for site in trace.sites_of(Role.PARAM)}
    for site in trace.sites_of(Role.ACTIVATION):
        if site.path in owners:  # what comes later may undo a normalisation (`invert=True`)
            return None
        if site.module_type != _NORMALISES[0]:
            continue
        mean, std = (median(trace.series(Role.ACTIVATION, name, site)) for name in ("mean", "std"))
        if std > most or abs(mean) > offset * std > 0.0:
            return site
    return None


def _all_features_are_scaled(trace: Trace) -> bool:
    """Whether the layers that only scale data, or put it into bins, cover the inputs' features."""
    layers = trace.sites_of(Role.ACTIVATION)
    scaled = [s for s in layers if s.module_type in _NORMALISES]
    binned = [s for s in layers if s.module_type == _BINS]
    inputs = [s for s in trace.sites_of(Role.INPUT) if "float" in s.dtype]
    features = [sum(s.shape[-1] for s in sites if s.shape) for sites in (scaled, inputs)]
    covered = features[0] + sum(prod(s.shape[1:-1]) for s in binned)  # the last axis are bins
    return bool(scaled or binned) and covered >= features[1]


def _meets_a_norm(trace: Trace, given: Site) -> bool:
    """Whether an input enters a norm and, by the graph, no other layer with weights."""
    flow = Flow(trace)
    owners = {site.parent for site in trace.sites_of(Role.PARAM)}
    begins = [
        site
        for vertex, site in flow.modules()
        if not flow.sources.get(vertex) and site.path in owners and not is_embedding(site)
    ]
    multiplied = any(flow.multiplies(one) and not flow.sources.get(one) for one in flow.takers)
    norms = [site for site in begins if is_norm(site)]
    return (
        bool(norms)
        and not multiplied
        and len(norms) == len(begins)
        and any(site.shape == given.shape for site in norms)
    )


def _hands_on_input(trace: Trace, site: Site) -> bool:
    """Whether a module without weights passes the input on unchanged, judged by its std."""
    for given in trace.sites_of(Role.INPUT):
        if given.shape == site.shape:
            return _agree(trace, given, site, ("std",))
    return False


def _agree(trace: Trace, given: Site, site: Site, names: Sequence[str]) -> bool:
    """Whether the medians of some statistics agree between an input and a module's output."""
    into, out = (
        [median(trace.series(role, name, of)) for name in names]
        for role, of in ((Role.INPUT, given), (Role.ACTIVATION, site))
    )
    return bool(np.allclose(out, into, rtol=_SAME_SCALE))


def integer_valued(trace: Trace) -> bool:
    """Whether all sampled inputs are whole numbers."""
    values = [batch.input_integer_valued for batch in training_batches(trace)]
    return bool(values) and all(value is True for value in values)


def is_eight_bit(trace: Trace, stats: dict[str, float]) -> bool:
    """Whether inputs are whole numbers from 0 up to 255, as those of images before scaling."""
    return integer_valued(trace) and stats["min"] == 0.0 and 128.0 < stats["max"] <= 255.0


def is_divided_twice(stats: dict[str, float]) -> bool:
    """Whether inputs reach from 0 to 1/255, as pixels that were divided by 255 twice."""
    return stats["min"] >= 0.0 and 0.98 <= 255.0 * stats["max"] <= 1.001


def holds_counts(trace: Trace, stats: dict[str, float]) -> bool:
    """Whether inputs are whole numbers that are indices, or mostly zeros with few large ones."""
    if not integer_valued(trace):
        return False
    if any(site.module_type == "Embedding" for site in trace.sites_of(Role.ACTIVATION)):
        return True
    mostly_zero = stats["min"] >= 0.0 and stats["zero_fraction"] >= 0.5
    # Raw images of digits are mostly zero as well, but bright where they are not.
    return mostly_zero and stats["q99"] < 0.5 * min(stats["max"], 255.0)
