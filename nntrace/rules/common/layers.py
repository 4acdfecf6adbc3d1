"""What the rules on layers share: parameters in depth order, and the chain of activations.

Parameters and activations are matched by paths only; sites keep the order of their ids, which is
the order in which the program first reached them.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from nntrace.paths import enclosing
from nntrace.rules.common.payloads import text
from nntrace.rules.common.signals import finite
from nntrace.rules.finding import Skipped
from nntrace.schema import EventKind, Role
from nntrace.text import plural
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray

_MAX_NAMED = 3
_CANCELLED = 1e-5  # of the weights' gradient: a smaller one in their bias is rounding
_CENTRING = ("batchnorm", "groupnorm", "instancenorm")
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True)
class Link:
    """One activation site in the chain, with what is known of its module.

    Attributes:
        column: the site's column in the series of activations.
        fans: fan-in and fan-out of the module's weight; None if unknown.
    """

    site: Site
    column: int
    has_weight: bool
    is_affine: bool
    is_norm: bool
    fans: tuple[int, int] | None


def weights(trace: Trace, role: Role = Role.PARAM) -> tuple[Site, ...]:
    """The weights of two and more dimensions, embeddings left out, in depth order.

    An embedding has no fan, as its rows are looked up, not multiplied with. A bias has none either,
    however many axes it has (in Keras' attention biases have one for the heads).
    """
    return tuple(
        site
        for site in trace.sites_of(role)
        if len(site.shape) > 1
        and site.numel > 1
        and not is_embedding(site)
        and own_name(site) != "bias"
    )


def own_name(site: Site) -> str:
    """The last part of a parameter's path: its name within its layer."""
    return re.split("[./]", site.path)[-1]


def is_embedding(site: Site) -> bool:
    """Whether a module, or the module that owns a parameter, is a lookup table."""
    return "embedding" in site.module_type.lower()


def of_a_library(sites: Iterable[Site]) -> bool:
    """Whether all sites were built by installed code, not by the user's."""
    files = [PurePath(site.file or "").parts for site in sites]
    return bool(files) and all(_INSTALLED.intersection(parts) for parts in files)


def by_design(blamed: Iterable[Site], others: Iterable[Site]) -> bool:
    """Whether all of `blamed` are minor parts of modules that libraries built with `others`.

    So is BERT's pooler under a mean of the tokens. A whole module of a library, or most of it, is
    none: the program asked for it, and has to use it.
    """
    faulty: dict[int | None, int] = defaultdict(int)
    sound: dict[int | None, int] = defaultdict(int)
    for sizes, sites in ((faulty, blamed), (sound, others)):
        for site in sites:
            sizes[site.library_object] += site.numel
    return None not in faulty and all(size < sound[number] for number, size in faulty.items())


def switched_off(trace: Trace) -> set[str]:
    """Paths of the modules whose output is zero throughout as a frozen parameter of theirs is.

    So is a KAN's symbolic branch, multiplied by a mask of zeros until its functions are fixed.
    """
    frozen = [site for site in trace.sites_of(Role.PARAM) if site.requires_grad is False]
    masks = _always_zero(columns(trace, Role.PARAM, "rms", frozen))
    masked = {site.parent for site, is_zero in zip(frozen, masks, strict=True) if is_zero}
    outputs = [site for site in trace.sites_of(Role.ACTIVATION) if site.path in masked]
    silent = _always_zero(columns(trace, Role.ACTIVATION, "rms", outputs))
    return {site.path for site, is_zero in zip(outputs, silent, strict=True) if is_zero}


def _always_zero(sizes: FloatArray) -> BoolArray:
    return np.asarray((sizes == 0).any(axis=0) & ~(sizes > 0).any(axis=0), dtype=np.bool_)


def is_norm(site: Site) -> bool:
    """Whether a module normalises what passes through it."""
    return "norm" in site.module_type.lower()


def by_path(trace: Trace, role: Role) -> dict[str, Site]:
    """The sites of a role by their path."""
    return {site.path: site for site in trace.sites_of(role)}


def columns(trace: Trace, role: Role, stat: str, sites: Sequence[Site]) -> FloatArray:
    """A statistic [sampled_steps, sites] at the paths of `sites`, whatever their role.

    NaN in the columns of paths that have no site of that role.
    """
    values = trace.series(role, stat)
    position = {site.path: index for index, site in enumerate(trace.sites_of(role))}
    chosen = np.full((len(values), len(sites)), np.nan)
    for index, site in enumerate(sites):
        if site.path in position:
            chosen[:, index] = values[:, position[site.path]]
    return chosen


def update_ratios(trace: Trace, sites: Sequence[Site]) -> FloatArray:
    """rms(Δw) / rms(w) [sampled_steps, sites]; NaN where one is missing or the weight is zero.

    Of weights that are pruned, which an optimizer steps on until the program sets them to zero
    again, those that are left count: zeros say nothing of the size of what a step changes.
    """
    size = columns(trace, Role.PARAM, "rms", sites)
    update = columns(trace, Role.UPDATE, "rms", sites)
    left, moved = (
        1 - np.nan_to_num(columns(trace, role, "zero_fraction", sites))
        for role in (Role.PARAM, Role.UPDATE)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, update / size * np.sqrt(np.fmin(left / moved, 1)), np.nan)


def chain(trace: Trace) -> tuple[Link, ...]:
    """The activation sites in depth order."""
    matrices = {site.parent for site in weights(trace)}
    affine = {s.parent: (s.fan_in, s.fan_out or 0) for s in weights(trace) if s.fan_in}
    owners = {site.parent for site in trace.sites_of(Role.PARAM)}
    return tuple(
        Link(
            site,
            column,
            has_weight=site.path in owners and not is_embedding(site),
            is_affine=(site.path in affine or (site.path in matrices and not is_norm(site))),
            is_norm=is_norm(site),
            fans=affine.get(site.path),
        )
        for column, site in enumerate(trace.sites_of(Role.ACTIVATION))
    )


def batch_norm_between(trace: Trace) -> Callable[[Site, Site], bool]:
    """Return a function that says whether a batch norm runs between two parameters' modules.

    Group and instance norms, which centre over positions, count as well.
    """
    sites = trace.sites_of(Role.ACTIVATION)
    places = {site.path: place for place, site in enumerate(sites)}
    kinds = [site.module_type.lower() for site in sites]
    centring = np.array([any(word in kind for word in _CENTRING) for kind in kinds], dtype=bool)

    def between(one: Site, two: Site) -> bool:
        ends = [places[site.parent] for site in (one, two) if site.parent in places]
        return len(ends) == 2 and bool(centring[min(ends) + 1 : max(ends)].any())

    return between


def cancelling(sites: Sequence[Site]) -> Callable[[int, FloatArray], bool]:
    """Return a function that says whether `sites[i]` is a bias whose effect is cancelled.

    Its layer's weights get a gradient and it gets none: a norm, a softmax or a difference of two
    scores cancels what such a bias adds, which is no fault. The function takes the place of the
    parameter and the rms [samples, sites] of all gradients.
    """
    weights_of: defaultdict[str, list[int]] = defaultdict(list)
    for place, site in enumerate(sites):
        if len(site.shape) > 1:
            weights_of[site.parent].append(place)

    def cancels(place: int, gradient: FloatArray) -> bool:
        site = sites[place]
        if len(site.shape) != 1:
            return False
        for weight in weights_of[site.parent]:
            known = gradient[np.isfinite(gradient[:, [place, weight]]).all(axis=1)]  # not frozen
            nothing = known[:, place] <= _CANCELLED * known[:, weight]
            if 2 * nothing.sum() < max(1, len(known)):
                continue
            if (known[nothing, weight] > 0).mean() > 0.5:
                return True
        return False

    return cancels


def models(trace: Trace) -> Callable[[str], str]:
    """Return a function that gives the prefix of the model to which a path belongs."""
    prefixes = {text(event.payload, "model") for event in trace.events_of(EventKind.MODE)} - {""}
    return lambda path: next((p for p in prefixes if path.startswith((f"{p}.", f"{p}/"))), "")


def first_value(trace: Trace, site: Site, stat: str) -> float:
    """The first finite value of a site's statistic; NaN if there is none."""
    return float(first_finite(trace.series(site.role, stat, site)[:, None])[0])


def first_finite(values: FloatArray) -> FloatArray:
    """The first finite value of each column; NaN where there is none."""
    return np.array([kept[0] if len(kept := finite(column)) else np.nan for column in values.T])


def any_finite(values: FloatArray, axis: int) -> BoolArray:
    """Mark the rows (axis 1) or columns (axis 0) in which anything was recorded."""
    return np.asarray(np.isfinite(values).any(axis=axis))


def first_sampled_is_start(trace: Trace) -> bool:
    """Whether the first sampled statistics show the parameters as they were initialised."""
    sampled, steps = trace.sampled_steps, trace.steps.step
    return bool(len(sampled) and len(steps) and sampled[0] <= steps[0])


def sampled_from_start(trace: Trace, sites: Sequence[Site]) -> BoolArray:
    """Mark the parameters whose first sample is no later than the first step of their optimizer.

    Those of a model that is trained after another may be sampled for the first time in its course.
    """
    optimizers = {site.path: site.optimizer for site in trace.sites_of(Role.UPDATE)}
    first: dict[str | None, int] = {}
    for step, name in zip(trace.steps.step.tolist(), trace.steps.optimizer, strict=True):
        first.setdefault(name, step)
    known = np.isfinite(columns(trace, Role.PARAM, "rms", sites))
    sampled = trace.sampled_steps[known.argmax(axis=0)] if len(known) else np.zeros(len(sites))
    began = [first.get(optimizers.get(site.path), np.inf) for site in sites]
    return np.asarray(sampled <= np.array(began))


def sampled_span(trace: Trace, first: int = 0) -> tuple[int, int]:
    """The steps from the sampled step with index `first` to the last sampled one."""
    sampled = trace.sampled_steps
    return (int(sampled[first]), int(sampled[-1])) if len(sampled) else (0, 0)


def early_samples(trace: Trace) -> Skipped | None:
    """The reason why the samples say nothing about the end: they stop in the first half; else None.

    This happens if sampling is expensive: the first samples use up the budget of many steps.
    """
    steps, sampled = trace.steps.step, trace.sampled_steps
    if not len(sampled) or 2 * int(sampled[-1]) >= int(steps[0]) + int(steps[-1]) - 1:
        return None
    last, total = sampled[-1], len(steps)
    return Skipped(
        f"step {last} of {total} is the last that was sampled: too early to judge the "
        "end of the run"
    )


def named(paths: Sequence[str]) -> str:
    """A few names in a sentence: `fc1.weight, fc2.weight and 3 more`."""
    shown = ", ".join(path or "the model" for path in paths[:_MAX_NAMED])
    rest = len(paths) - _MAX_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def in_modes(dropouts: int, norms: int) -> str:
    """How many layers with a training mode, in words: `1 dropout layer and 6 batch-norm layers`."""
    both = ((dropouts, "dropout layer"), (norms, "batch-norm layer"))
    return " and ".join(plural(count, noun) for count, noun in both if count)


def first_with_weight(trace: Trace) -> Site | None:
    """The first layer that has parameters of its own; None if there is none."""
    owners = {site.parent for site in trace.sites_of(Role.PARAM)}
    return next((site for site in trace.sites_of(Role.ACTIVATION) if site.path in owners), None)


def is_used_by_its_owner(layer: str, called: Container[str], silent: Container[str]) -> bool:
    """Whether the module around a layer may use its weights without a call, as attention does.

    Args:
        layer: path of the layer, which was not called.
        called: paths of modules that were.
        silent: those whose own parameters have no gradient either: else the layer's had one, too.
    """
    around = enclosing(layer)
    return bool(around) and around in called and around in silent
