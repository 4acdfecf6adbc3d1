"""What a model that ignores its input would score: labels, entropies and chance losses.

Entropies are in nats, as losses are. Functions take recorded values and return None or an empty
result if too little is known.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import hypot

import numpy as np

from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import items, place
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Location
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Site, Trace

CROSS_ENTROPY = frozenset(
    {
        "cross_entropy",
        "nll_loss",
        # Keras' names where they receive probabilities; on logits they are `cross_entropy`.
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
    }
)
BINARY = frozenset({"binary_cross_entropy", "binary_cross_entropy_with_logits"})
SQUARED_ERROR = frozenset({"mse_loss"})
_EXAMPLES_PER_LABEL = 10  # with fewer the entropy of the labels is not known well
_RUN_AWAY = 10.0  # growth from which targets are not fixed data
_EXACT_ENTROPY_SIZE = 2000
_ROUNDING = 1e-3  # of a variance
_OF_INPUTS = tuple(
    field.name
    for field in fields(Batch)
    if field.name in ("step", "phase", "fingerprint", "batch_size", "epoch")
    or field.name.startswith(("input_", "feature_", "duplicate_", "repeated_"))
)


@dataclass(frozen=True, slots=True)
class Chance:
    """The loss that a constant prediction reaches, and its name: `ln 10`, `label entropy`."""

    name: str
    value: float


def training_batches(trace: Trace) -> tuple[Batch, ...]:
    """The sampled batches of optimizer steps, in order, but for inputs without a finite value.

    Those are all alike, whatever the data: a head's, behind a model that has broken.
    They come without targets, predictions and losses if the loss is called once for each example,
    as at the end of an episode: only the first call is recorded, which does not stand for the
    batch.
    """
    blank = (trace.series(Role.INPUT, "nonfinite_fraction") >= 1.0).any(axis=1)
    left_out = set(trace.sampled_steps[blank].tolist())
    batches = tuple(
        batch for batch in trace.batches if batch.phase == "train" and batch.step not in left_out
    )
    if not _loss_by_example(trace):
        return batches
    return tuple(Batch(**{name: getattr(batch, name) for name in _OF_INPUTS}) for batch in batches)


def batch_span(trace: Trace) -> tuple[int, int]:
    """The first and the last step whose batch was sampled."""
    return span([batch.step for batch in training_batches(trace)])


def batches_of_last_phase(trace: Trace) -> tuple[Batch, ...]:
    """The batches of the steps in `loss_series`; all batches if none of those was sampled."""
    batches, (first, _) = training_batches(trace), loss_series(trace).span
    return tuple(batch for batch in batches if batch.step >= first) or batches


def loss_inputs(trace: Trace) -> dict[str, list[Batch]]:
    """The batches of each loss function at sampled steps, by the path of its sites."""
    found: dict[str, list[Batch]] = {}
    further = () if _loss_by_example(trace) else trace.further_losses
    for batch in (*training_batches(trace), *further):
        path = batch.loss_path or batch.loss_function
        if path and batch.phase == "train":
            found.setdefault(path, []).append(batch)
    return found


def _loss_by_example(trace: Trace) -> bool:
    single = {
        event.payload.get("function")
        for event in trace.events_of(EventKind.LOSS_CALL)
        if event.payload.get("target_shape") in ([], [1], [1, 1])
    }
    named = [items(event.payload, "terms") for event in trace.events_of(EventKind.OBJECTIVE)]
    return any(f"{function}#2" in terms for terms in named for function in single)


def loss_functions(batches: Iterable[Batch]) -> tuple[str, ...]:
    """The names of the loss functions that were called."""
    return tuple(sorted({batch.loss_function for batch in batches if batch.loss_function}))


def loss_site(trace: Trace, function: str, role: Role) -> Site | None:
    """The first site of this loss function's targets or predictions; None if there is none."""
    return next((site for site in trace.sites_of(role) if is_of(site.path, function)), None)


def is_of(path: str, function: str) -> bool:
    """Whether a path belongs to a loss function's sites: `mse_loss`, `mse_loss:price`, …"""
    return path.partition("#")[0].partition(":")[0] == function


def loss_location(trace: Trace, function: str) -> Location | None:
    """The line that calls this loss function first; a call's path is accepted, too."""
    calls = [event.payload for event in trace.events_of(EventKind.LOSS_CALL)]
    own = (call for call in calls if function in (call.get("function"), call.get("path")))
    return next((line for call in own if (line := place(call)) is not None), None)


def label_totals(batches: Iterable[Batch]) -> Counter[int]:
    """How often each class label was seen; for float targets of 0 and 1, these two.

    Negative labels mark what the loss ignores and are left out.
    """
    totals: Counter[int] = Counter()
    for batch in batches:
        totals.update(labels_of(batch))
    return totals


def labels_of(batch: Batch) -> dict[int, int]:
    """How often each label occurs in one batch; empty if it has no labels."""
    if batch.label_counts:
        pairs = zip(batch.label_values, batch.label_counts, strict=False)
        return {label: count for label, count in pairs if label >= 0 and count > 0}
    mean, std, size = batch.target_mean, batch.target_std, batch.batch_size
    if batch.loss_function in BINARY and mean is not None and std is not None and size:
        low, high = batch.target_min, batch.target_max
        inside = low is not None and high is not None and low >= 0.0 and high <= 1.0
        # Within [0, 1] only values of exactly 0 and 1 have the variance p(1 − p).
        if inside and abs(std**2 - mean * (1.0 - mean)) < _ROUNDING:
            positives = round(mean * size)
            counts = {0: size - positives, 1: positives}
            return {label: count for label, count in counts.items() if count}
    return {}


def has_zeros_and_ones(batch: Batch) -> bool:
    """Whether the targets of a batch are zeros and ones, both of which occur."""
    mean, std = batch.target_mean, batch.target_std
    if mean is None or std is None or (batch.target_min, batch.target_max) != (0.0, 1.0):
        return False
    return abs(std**2 - mean * (1.0 - mean)) < _ROUNDING


def entropy(counts: Iterable[int]) -> float:
    """Entropy of the observed frequencies; 0 for none or one."""
    array = np.array([count for count in counts if count > 0], dtype=np.float64)
    if len(array) < 2:
        return 0.0
    share = array / array.sum()
    return float(-(share * np.log(share)).sum())


def expected_entropy(counts: Iterable[int], size: int) -> float:
    """The expected entropy of the labels of `size` random draws from the frequencies of `counts`.

    Exact (a sum over binomials) up to 2000 draws, beyond that with the Miller–Madow term.
    """
    array = np.array([count for count in counts if count > 0], dtype=np.float64)
    if len(array) < 2 or size < 1:
        return 0.0
    if size > _EXACT_ENTROPY_SIZE:
        return max(0.0, entropy(array.astype(int)) - (len(array) - 1) / (2.0 * size))
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
    drawn = np.arange(1, size)  # none drawn and all drawn add no entropy
    surprise = -(drawn / size) * np.log(drawn / size)
    choose = log_factorial[size] - log_factorial[drawn] - log_factorial[size - drawn]
    total = 0.0
    for count, classes in Counter(array.tolist()).items():
        share = count / array.sum()
        log_chance = choose + drawn * np.log(share) + (size - drawn) * np.log1p(-share)
        total += classes * float((np.exp(log_chance) * surprise).sum())
    return total


def target_variance(batches: Iterable[Batch]) -> tuple[float, float] | None:
    """Mean and variance of the targets over all batches; None if they were not recorded."""
    rows = [
        (b.batch_size or 1, b.target_mean, b.target_std)
        for b in batches
        if b.target_mean is not None and b.target_std is not None
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    table = table[np.isfinite(table).all(axis=1)]
    if not len(table):
        return None
    weight, means, stds = table.T
    mean = float(np.average(means, weights=weight))
    within = float(np.average(stds**2, weights=weight))
    return mean, within + float(np.average((means - mean) ** 2, weights=weight))


def targets_run_away(trace: Trace) -> bool:
    """Whether targets grow many times over, as they may if they are a network's own results."""
    return target_growth(trace) > _RUN_AWAY


def target_growth(trace: Trace) -> float:
    """How many times larger targets are in the last fifth of the samples than in the first."""
    sizes = [
        hypot(batch.target_mean, batch.target_std)
        for batch in training_batches(trace)
        if batch.target_mean is not None and batch.target_std is not None
    ]
    fifth = len(sizes) // 5
    start = median(sizes[:fifth]) if fifth else 0.0
    return median(sizes[-fifth:]) / start if start > 0.0 else 1.0


def chance_losses(function: str, batches: tuple[Batch, ...]) -> tuple[Chance, ...]:
    """The losses of predictors that ignore the input, for loss functions where they are known."""
    if function in SQUARED_ERROR:
        moments = target_variance(batches)
        known = moments is not None and moments[1] > 0.0
        return (Chance("variance of the targets", moments[1]),) if moments and known else ()
    if function in CROSS_ENTROPY:
        classes = max((batch.classes or 0 for batch in batches), default=0)
    elif function in BINARY:
        classes = 2
    else:
        return ()
    found = [Chance(f"ln {classes}", float(np.log(classes)))] if classes >= 2 else []
    totals = label_totals(batches)
    if len(totals) >= 2 and totals.total() >= _EXAMPLES_PER_LABEL * len(totals):
        # Miller–Madow: observed frequencies understate the entropy by (K − 1) / 2N.
        value = entropy(totals.values()) + (len(totals) - 1) / (2.0 * totals.total())
        found.append(Chance("label entropy", value))
    return tuple(found)
