"""Finds the first place at which two runs differ by more than rounding, sampling and seed noise.

Within a step, places are ordered by cause and effect: batch, parameters, input, activations from
input to output, loss, gradients from output to input, updates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.diff.align import Alignment, Pair, align
from nntrace.diff.settings import Setting, settings
from nntrace.schema import PLACE_OF_LOSS, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

STATISTICS: Final = ("mean", "std", "rms", "nonfinite_fraction")
TOLERANCE: Final = 1e-3  # of a site's rms: the effect of other kernels and summation orders
_SAMPLING_ERRORS: Final = 6.0  # standard errors of statistics over different elements
_NOISE_FACTOR: Final = 2.0  # times the difference between equal runs
_SOON: Final = 16  # steps ahead that the envelope of the noise covers
_TRAIL: Final = 400  # the most divergences that are kept

_BATCH: Final = -1  # its place in a step: before all that is computed from it


@dataclass(frozen=True, slots=True)
class Divergence:
    """One place where the runs differ.

    Attributes:
        step: the optimizer step.
        place: the site's path, `loss` or `batch`.
        role: the site's role; empty for loss and batch.
        statistic: the statistic that differs.
        a, b: its values in the two runs.
        difference: |a − b| relative to the site's rms (or to the loss).
        allowed: the difference that rounding, sampling and noise explain.
        other_place: the path in the second run, if it is a different one.
    """

    step: int
    place: str
    role: str
    statistic: str
    a: float
    b: float
    difference: float
    allowed: float
    other_place: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        settings: the settings that differ.
        alignment: the sites that correspond.
        divergences: the places that differ, by step and then by cause and effect; at most 400.
        common_steps: the number of steps sampled in both runs.
        noise_runs: the number of runs that the noise band comes from.
    """

    a: Trace
    b: Trace
    settings: tuple[Setting, ...]
    alignment: Alignment
    divergences: tuple[Divergence, ...]
    common_steps: int
    noise_runs: int

    @property
    def first(self) -> Divergence | None:
        """The first divergence, or None."""
        return self.divergences[0] if self.divergences else None


def compare(
    a: Trace, b: Trace, noise: Sequence[Trace] = (), *, tolerance: float = TOLERANCE
) -> Comparison:
    """Compare two runs.

    Args:
        a: the run that is right, or the older one.
        b: the other run.
        noise: runs that differ from `a` by nothing that matters (their seed); differences as
            large as those between them and `a` are no divergence.
        tolerance: the relative difference that rounding explains.
    """
    alignment = align(a, b)
    steps, rows_a, rows_b = np.intersect1d(a.sampled_steps, b.sampled_steps, return_indices=True)
    found = [
        *_batches(a, b, noise),
        *_losses(a, b, noise, tolerance),
        *(
            entry
            # Role by role: a trace caches only the few series that one role needs.
            for pair in sorted(alignment.pairs, key=lambda pair: (pair.a.role, pair.a.id))
            for entry in _site(_Sides(a, b, steps, rows_a, rows_b, tolerance), pair, noise)
        ),
    ]
    found.sort(key=lambda entry: entry[0])
    ordered = tuple(divergence for _, divergence in found[:_TRAIL])
    return Comparison(a, b, settings(a, b), alignment, ordered, len(steps), len(noise))


_Key = tuple[int, int, int]  # step, phase of the step, depth
_Entry = tuple[_Key, Divergence]


@dataclass(frozen=True, slots=True)
class _Sides:
    """Two runs and their common sampled steps."""

    a: Trace
    b: Trace
    steps: IntArray
    rows_a: IntArray
    rows_b: IntArray
    tolerance: float


def _batches(a: Trace, b: Trace, noise: Sequence[Trace]) -> Iterator[_Entry]:
    """The first step at which the runs saw different examples, if any.

    Nothing if a noise run saw other examples than A at that step or before.
    """
    ours = _fingerprints(a)
    theirs, *of_noise = (_fingerprints(trace) for trace in (b, *noise))
    for step in sorted(ours.keys() & theirs.keys()):
        if any(other.get(step, ours[step]) != ours[step] for other in of_noise):
            return
        if ours[step] != theirs[step]:
            values = (float(ours[step]), float(theirs[step]))
            yield (step, _BATCH, 0), Divergence(step, "batch", "", "examples", *values, 1.0, 0.0)
            return


def _fingerprints(trace: Trace) -> dict[int, int]:
    return {x.step: x.fingerprint for x in trace.batches if x.fingerprint is not None}


def _losses(a: Trace, b: Trace, noise: Sequence[Trace], tolerance: float) -> Iterator[_Entry]:
    steps, rows_a, rows_b = np.intersect1d(a.steps.step, b.steps.step, return_indices=True)
    ours, theirs = a.steps.loss[rows_a], b.steps.loss[rows_b]
    difference = _relative(ours, theirs, np.maximum(np.abs(ours), np.abs(theirs)))
    allowed = np.full(len(steps), tolerance)
    if noise:
        spread = np.zeros(len(steps))
        for other in noise:
            common, mine, its = np.intersect1d(steps, other.steps.step, return_indices=True)
            if len(common):
                values = other.steps.loss[its]
                size = np.maximum(np.abs(ours[mine]), np.abs(values))
                spread[mine] = np.fmax(spread[mine], _relative(ours[mine], values, size))
        allowed = allowed + _NOISE_FACTOR * _envelope(spread)
    for index in np.flatnonzero(difference > allowed)[:_TRAIL]:
        step = int(steps[index])
        yield (
            (step, PLACE_OF_LOSS, 0),
            Divergence(
                step, "loss", "", "value", float(ours[index]), float(theirs[index]),
                float(difference[index]), float(allowed[index]),
            ),
        )  # fmt: skip


def _site(sides: _Sides, pair: Pair, noise: Sequence[Trace]) -> Iterator[_Entry]:
    """The steps at which one site differs, each with the statistic that exceeds its limit most."""
    if not len(sides.steps):
        return
    ours = {stat: _values(sides.a, pair.a, stat, sides.rows_a) for stat in STATISTICS}
    theirs = {stat: _values(sides.b, pair.b, stat, sides.rows_b) for stat in STATISTICS}
    size = np.fmax(ours["rms"], theirs["rms"])
    base = sides.tolerance + _sampling(sides, pair, others_drawn=bool(noise))
    comparable = _comparable(sides, pair)
    worst = np.zeros(len(sides.steps))
    chosen = np.zeros(len(sides.steps), dtype=np.int64)
    differences = np.zeros((len(STATISTICS), len(sides.steps)))
    limits = np.zeros((len(STATISTICS), len(sides.steps)))
    for number, stat in enumerate(STATISTICS):
        scale = np.ones(len(size)) if stat == "nonfinite_fraction" else size
        differences[number] = np.where(comparable, _relative(ours[stat], theirs[stat], scale), 0.0)
        limits[number] = base + _noise(sides, pair, stat, ours[stat], scale, noise)
        excess = differences[number] / np.maximum(limits[number], 1e-12)
        chosen = np.where(excess > worst, number, chosen)
        worst = np.fmax(worst, excess)
    other = "" if pair.a.path == pair.b.path else pair.b.path
    for index in np.flatnonzero(worst > 1.0)[:_TRAIL]:
        number = int(chosen[index])
        stat = STATISTICS[number]
        step = int(sides.steps[index])
        yield (
            (step, *pair.a.place_in_step),
            Divergence(
                step, pair.a.path, pair.a.role.value, stat,
                float(ours[stat][index]), float(theirs[stat][index]),
                float(differences[number, index]), float(limits[number, index]), other,
            ),
        )  # fmt: skip


def _comparable(sides: _Sides, pair: Pair) -> BoolArray:
    """A mask of the common steps at which the site can be compared.

    These are the steps at which both runs recorded it, or one did and the other never does again.
    Some rows are rarer than samples and come at different steps in each run: running averages once
    per evaluation, activations of compiled models as far as the budget allows.
    """
    ours, theirs = (
        _recorded(sides.a, pair.a, sides.rows_a),
        _recorded(sides.b, pair.b, sides.rows_b),
    )
    if pair.a.role is Role.RUNNING_NORM:
        return ours & theirs
    ended = [np.logical_and.accumulate(~rows[::-1])[::-1] for rows in (ours, theirs)]
    comparable: BoolArray = (ours & theirs) | (ended[0] & theirs) | (ended[1] & ours)
    return comparable


def _recorded(trace: Trace, site: Site, rows: IntArray) -> BoolArray:
    """A mask of the samples in which the site has a row, even one whose values are all NaN."""
    known = [np.isfinite(_values(trace, site, stat, rows)) for stat in ("n", *STATISTICS)]
    recorded: BoolArray = np.logical_or.reduce(known)
    return recorded


def _values(trace: Trace, site: Site, stat: str, rows: IntArray) -> FloatArray:
    values: FloatArray = trace.series(site.role, stat, site)[rows]
    return values


def _relative(a: FloatArray, b: FloatArray, size: FloatArray) -> FloatArray:
    """|a − b| / size: 0 where both are non-finite or equal, infinite where only one is finite."""
    with np.errstate(all="ignore"):
        ratio = np.abs(a - b) / size
    both = np.isfinite(a) & np.isfinite(b)
    one = np.isfinite(a) != np.isfinite(b)
    ratio = np.where(both & (a == b), 0.0, np.where(both, ratio, 0.0))
    return np.where(one, np.inf, np.nan_to_num(ratio, nan=0.0, posinf=np.inf))


def _sampling(sides: _Sides, pair: Pair, *, others_drawn: bool) -> float:
    """The difference to allow between statistics over different elements of the same tensor.

    Args:
        sides: the runs.
        pair: the site in both.
        others_drawn: whether there are noise runs. They have other seeds, with which the elements
            of a parameter have other initial values, and two or three runs do not show the largest
            difference that so many statistics can have by that.

    Parameters are sampled at fixed elements, activations at elements that move with every sample.
    These are the same in both runs as long as the same steps of the same framework were sampled and
    the tensors have the same layout. Of activations whole rows are drawn (one position of one
    example, all its channels), and these count as independent. The standard error of a std grows
    with the tails: it is √((κ + 2) / 4) times that of a mean, where κ is the excess kurtosis.
    """
    read = _values(sides.a, pair.a, "n", sides.rows_a)
    count = float(np.nanmin(read)) if np.isfinite(read).any() else 0.0
    fixed = pair.a.role.is_of_parameters
    drawn = fixed and others_drawn
    if not count or (count >= pair.a.numel and not drawn):
        return 0.0
    same_steps = len(sides.a.sampled_steps) == len(sides.b.sampled_steps) == len(sides.steps)
    if _lie_alike(sides, pair) and (fixed or same_steps) and not drawn:
        return 0.0
    if not fixed:
        count = max(1.0, count / max(1, pair.a.units))
    kurtosis = _values(sides.a, pair.a, "kurtosis", sides.rows_a)
    tails = float(np.nanmedian(kurtosis)) if np.isfinite(kurtosis).any() else 0.0
    return float(_SAMPLING_ERRORS * max(1.0, np.sqrt(max(0.0, tails + 2) / 4)) / np.sqrt(count))


def _lie_alike(sides: _Sides, pair: Pair) -> bool:
    """Whether both runs lay the tensor out alike: [8, 8, 8] may have its channels first or last."""
    axes = [
        site.unit_axis if site.role.is_of_parameters else site.channel_axis
        for site in (pair.a, pair.b)
    ]
    frameworks = sides.a.manifest.versions.keys() == sides.b.manifest.versions.keys()
    return frameworks and pair.a.shape == pair.b.shape and axes[0] == axes[1]


def _noise(
    sides: _Sides, pair: Pair, stat: str, ours: FloatArray, scale: FloatArray,
    noise: Sequence[Trace],
) -> FloatArray:  # fmt: skip
    """The difference between noise runs and the first run, as an upper envelope over the steps."""
    spread = np.zeros(len(sides.steps))
    for other in noise:
        site = other.site(pair.a.path, pair.a.role)
        common, mine, its = np.intersect1d(sides.steps, other.sampled_steps, return_indices=True)
        if site is not None and len(common):
            values = _values(other, site, stat, its)
            spread[mine] = np.fmax(spread[mine], _relative(ours[mine], values, scale[mine]))
    return _NOISE_FACTOR * _envelope(spread)


def _envelope(spread: FloatArray) -> FloatArray:
    """The largest spread so far and in the next few steps.

    Runs that have diverged do not converge again, and at a single step they may be close by chance.
    """
    known = np.where(np.isfinite(spread), spread, 0.0)
    soon = min(_SOON, len(known))
    padded = np.pad(np.maximum.accumulate(known), (0, soon), mode="edge")
    envelope: FloatArray = padded[soon:]
    return envelope
