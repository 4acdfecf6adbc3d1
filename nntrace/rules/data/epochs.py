"""Rules on passes over the data: their extent, and examples that occur twice."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import e
from typing import Annotated, Any

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.layers import named
from nntrace.rules.common.loaders import Pass, data_set_sizes, drawn_at, loader_passes
from nntrace.rules.common.payloads import count
from nntrace.rules.data.held_out import trained_on
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Site, Trace

_FEW_FEATURES = 64  # of whole numbers: with so few, examples may well be equal
_LEAST_REPEATED = 5
_OF_A_BOOTSTRAP = 1 / e  # n examples drawn with replacement from n: so many come again
_SLACK = 0.02
_SURELY_MEANT = 10  # copies expected of labels without any: seeing none has a chance of e^-10
_SURELY_SEEN = 20  # expected copies: seeing none has a chance of e^-20

_AFTER_THE_SPLIT = (
    "To repeat the examples of rare classes is a usual way to balance them. Do it after the split, "
    "with the training part alone: copies on both sides make the evaluation look too good."
)


@rule(
    "DAT08",
    "duplicate-examples",
    Severity.WARNING,
    explains=("LOS20",),
    advice="Remove exact copies before splitting the data; look for files listed twice, a "
    "concatenated data set, or an index that is off.",
)
def duplicate_examples(
    trace: Trace,
    *,
    share: Annotated[float, "copies among the examples of an epoch"] = 0.05,
    examples: Annotated[int, "examples of loaders that are needed"] = 100,
) -> Iterator[Finding | Skipped]:
    """Many examples of an epoch are exact copies of others.

    Copies count several times in the loss, and copies on both sides of a split make the evaluation
    look too good. Counted among sampled batches and scaled to the whole epoch. Only information if
    an example is a few whole numbers (categories, a board), which are naturally equal now and then,
    or if no example of some of the labels comes in copies: rare classes were repeated on purpose.
    Not judged if an example is one whole number (a user, a word), if a batch holds more examples
    than the data set (windows cut from its series), if the sampler draws with replacement, if
    several models learn in turn on samples so drawn (bagging), nor if a sampler of the program's
    own makes batches that hold no copies, as private training does.

    Also found are examples of a validation that were trained on, unless it is given the very arrays
    of the training:

    - with PyTorch, for a model of a single input, if surely a part of what one loader or line
      evaluates is trained on and another part is not: copies on both sides of the split
    - by Keras' `fit`, for a model of a single input: in the same `fit`, as where the
      split is drawn anew in each epoch, or in an earlier one, as where one model goes through all
      folds (told by a loss that goes on from where it was)
    - with PyTorch, in an earlier fold: by the indices of a `Subset` or a `SubsetRandomSampler`, of
      which the present training has none, if one optimizer made the steps of both

    Source: Karpathy's Recipe, step 1 (look for duplicates).
    """
    inputs = list(trace.sites_of(Role.INPUT))
    site = inputs[0] if inputs else None
    batches = [b for b in training_batches(trace) if b.epoch is not None and b.batch_size]
    loaders = _training_loaders(trace)
    sizes = [n for loader in loaders if isinstance(n := loader.get("dataset_size"), int) and n > 0]
    draws_again = any(loader.get("replacement") is True for loader in loaders)
    may_be_equal = _is_a_few_numbers(site, training_batches(trace))
    size = 0 if draws_again else max(sizes, default=None)
    if not may_be_equal and (found := next(trained_on(trace, size), None)):
        yield found
        return
    if draws_again:
        yield Skipped("the sampler draws with replacement: copies are expected")
        return
    seen = sum(batch.batch_size or 0 for batch in batches)
    if seen < examples:
        yield too_few(f"needs {examples} examples from data loaders, has {seen}")
        return
    if size is None:
        yield Skipped("the number of examples in the data set is not known")
        return
    if max(batch.batch_size or 0 for batch in batches) > size:
        yield Skipped("a batch holds more examples than the data set: they are cut from its items")
        return
    if may_be_equal and len(inputs) == 1 and np.prod(inputs[0].shape[1:]) == 1:
        yield Skipped("an example is one whole number, of which many are bound to be equal")
        return
    copies, expected = _copies(batches, size)
    if all(loader.get("batch_size") is None for loader in loaders):
        alike = copies * seen / len(batches) / size  # the number of these expected within one batch
        if alike >= _SURELY_SEEN and not any(batch.duplicate_examples for batch in batches):
            yield Skipped(
                "examples are drawn anew for each batch: later batches repeat them by design"
            )
            return
    estimate = copies / expected if expected else 0.0
    if copies < _LEAST_REPEATED or estimate <= share:
        return
    if _is_bagging(trace, estimate, copies):
        yield Skipped("each of several models gets a sample drawn with replacement (bagging)")
        return
    repeated = _labels_repeated(batches, copies)
    of = f" None has another label than {named(repeated)}." if repeated else ""
    yield Finding(
        f"about {min(estimate, 1.0):.0%} of the examples of an epoch are exact copies of others: "
        f"{copies} were met among {seen} sampled ones.{of}",
        site=site,
        steps=(batches[0].step, batches[-1].step),
        severity=Severity.INFO if may_be_equal or repeated else None,
        evidence={
            "share": min(estimate, 1.0),
            "copies": copies,
            "sampled_examples": seen,
            "dataset_size": size,
        },
        advice=_AFTER_THE_SPLIT if repeated else "",
        location=None if site is not None and site.file else drawn_at(trace),
    )


@rule(
    "DAT20",
    "first-batch-only",
    Severity.INFO,
    explains=("RUN12",),
    advice="If that is not meant: look for a `break`, a `next(iter(loader))`, or a limit on "
    "batches left over from debugging.",
)
def first_batch_only(
    trace: Trace,
    *,
    share: Annotated[float, "share of the data set below which a pass is short"] = 0.5,
    passes: Annotated[int, "short training passes that are needed"] = 2,
) -> Iterator[Finding | Skipped]:
    """Passes over the training data end long before the data set does.

    The rest is never seen, unless the order is drawn anew each time. Each of several ranks is
    expected to see only its part. A warning if PyTorch's `WeightedRandomSampler` has fewer weights
    than there are examples, as when it is given one for each class: it draws the numbers of its
    weights.
    Source: "37 reasons", 7 (is the data what you think it is); PyTorch's documentation of
    `WeightedRandomSampler`.
    """
    if (few := _too_few_weights(trace)) is not None:
        yield few
        return
    training = [one for one in loader_passes(trace) if one.steps and one.examples is not None]
    sizes = data_set_sizes(trace)
    starts = trace.events_of(EventKind.RANK_START)
    ranks = max([1, *(count(event.payload, "world_size") for event in starts)])
    judged = [one for one in training if sizes.get(one.loader)]
    if len(judged) < passes:
        yield too_few(f"needs {passes} passes over data of known size, has {len(judged)}")
        return
    by_loader: dict[int, list[Pass]] = defaultdict(list)
    for one in judged:
        by_loader[one.loader].append(one)
    for loader, own in sorted(by_loader.items()):
        size = sizes[loader]
        longest = max(one.examples or 0 for one in own)
        if len(own) >= passes and longest * ranks < share * size:
            begun = 1 + own[-1].epoch - own[0].epoch  # of many passes only some have an event
            yield Finding(
                f"{begun} passes over the training data ended after at most {longest} of "
                f"{size} examples.",
                steps=(own[0].step, own[-1].step),
                evidence={"passes": begun, "most_examples": longest, "dataset_size": size},
                location=drawn_at(trace),
            )
            return


def _too_few_weights(trace: Trace) -> Finding | None:
    """The finding on a sampler whose weights end before the data set does."""
    for loader in _training_loaders(trace):
        weights, size = count(loader, "weights"), count(loader, "dataset_size")
        if 0 < weights < size:
            return Finding(
                f"the sampler has {weights} weights for {size} examples: it only ever draws the "
                f"first {weights}.",
                severity=Severity.WARNING,
                evidence={"weights": weights, "dataset_size": size},
                location=drawn_at(trace),
                explains=("DAT10", "DAT11", "DAT12", "LOS13", "LOS20"),
                advice="Give it a weight for each example: those of the classes, indexed by the "
                "labels (`class_weights[labels]`).",
            )
    return None


def _is_a_few_numbers(site: Site | None, batches: Sequence[Batch]) -> bool:
    """Whether an example is a few whole numbers, so that two may well be equal."""
    features = int(np.prod(site.shape[1:])) if site is not None else 0
    return features <= _FEW_FEATURES and all(batch.input_integer_valued for batch in batches)


def _labels_repeated(batches: list[Batch], copies: int) -> list[str]:
    """The labels of all copies, if there are others that have surely none; else empty."""
    copied: set[int] = set()
    examples: Counter[int] = Counter()
    for batch in batches:
        size, ones = batch.batch_size or 0, batch.target_mean
        copied.update(batch.copied_labels)
        has_copies = bool(batch.duplicate_examples or batch.repeated_examples)
        if ones is None or (has_copies and not batch.copied_labels):
            return []
        if batch.label_values:
            examples.update(dict(zip(batch.label_values, batch.label_counts, strict=True)))
        elif {batch.target_min, batch.target_max} <= {0.0, 1.0}:
            examples.update({1: round(ones * size), 0: size - round(ones * size)})
    others = sum(count for label, count in examples.items() if label not in copied)
    is_meant = copies * others >= _SURELY_MEANT * examples.total() > 0
    return [str(label) for label in sorted(copied)] if is_meant else []


def _is_bagging(trace: Trace, share: float, copies: int) -> bool:
    """Whether several models learn in turn, each on as many copies as a bootstrap sample has."""
    error = 2.0 * _OF_A_BOOTSTRAP / copies**0.5 + _SLACK
    built = len(trace.events_of(EventKind.OPTIMIZER))
    return built > 1 and abs(share - _OF_A_BOOTSTRAP) < error and _take_over(trace)


def _take_over(trace: Trace) -> bool:
    """Whether each optimizer's steps come after all of the one before."""
    names = trace.steps.optimizer
    changes = sum(one != other for one, other in pairwise(names))
    return changes == len(set(names)) - 1 > 0


def _training_loaders(trace: Trace) -> list[dict[str, Any]]:
    """What is known of the loaders, but for those whose every pass was without a step."""
    passes = loader_passes(trace)
    evaluating = {one.loader for one in passes} - {one.loader for one in passes if one.steps}
    loaders = (event.payload for event in trace.events_of(EventKind.LOADER))
    return [loader for loader in loaders if loader.get("loader") not in evaluating]


def _copies(batches: list[Batch], dataset_size: int) -> tuple[int, float]:
    """The copies among sampled batches, and how many there would be if each example were a copy.

    If a share f of an epoch was sampled, the original of a copy was sampled, too, with chance f.
    """
    by_epoch: dict[int, list[Batch]] = defaultdict(list)
    for batch in batches:
        if batch.epoch is not None:
            by_epoch[batch.epoch].append(batch)
    copies, expected = 0, 0.0
    for own in by_epoch.values():
        count = sum(batch.batch_size or 0 for batch in own)
        found = sum((b.duplicate_examples or 0) + (b.repeated_examples or 0) for b in own)
        copies += found
        expected += count * min(1.0, count / dataset_size)
    return copies, expected
