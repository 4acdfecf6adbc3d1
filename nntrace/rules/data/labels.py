"""Rules on the labels: do batches mix the classes, and are the classes even?"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import (
    entropy,
    expected_entropy,
    label_totals,
    labels_of,
    loss_functions,
    loss_location,
    training_batches,
)
from nntrace.rules.common.loaders import drawn_at
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.signals import median, span
from nntrace.rules.data.class_weights import wrong_weights
from nntrace.rules.data.masks import foreground_never_predicted
from nntrace.rules.data.padding import another_left_out, padding_in_the_loss
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_BLOCK = 8  # labels; batches with fewer say nothing about order and are merged with neighbours
_TOKEN_CLASSES = 20


@rule(
    "DAT09",
    "unshuffled-labels",
    Severity.WARNING,
    explains=(
        *("DAT03", "DAT10", "LOS07", "LOS08", "LOS09", "LOS10", "LOS11", "LOS12", "LOS20", "ACT04"),
        *("GRD02", "GRD05", "GRD09", "LOS14", "PAR01"),
    ),
    advice="Shuffle the training data at each epoch: `DataLoader(..., shuffle=True)`.",
    in_keras="Shuffle the training data at each epoch: `.shuffle(n)` of the `tf.data.Dataset`, "
    "with `n` near its size and before `.batch`; `fit(shuffle=True)` for arrays.",
)
def unshuffled_labels(
    trace: Trace,
    *,
    ratio: Annotated[float, "label entropy within a batch relative to a random draw's"] = 0.5,
    blocks: Annotated[int, "batches (or runs of tiny ones) that are needed"] = 4,
) -> Iterator[Finding | Skipped]:
    """The labels within a batch are far more alike than in random draws from the same labels.

    Each update then pulls towards one class and undoes the last one. The entropy within batches is
    compared with its expectation for random batches of the same size, because small batches have
    less entropy by nature, and a G-test must show that the difference is beyond chance. Not judged
    for the ones and zeros of a GAN, whose optimizers take turns on one label each.
    Source: "37 reasons", 8 (shuffle the data set) and 10 (batches of a single label).
    """
    batches = training_batches(trace)
    parts = _label_blocks(batches)
    totals = label_totals(batches)
    if len(parts) < blocks or len(totals) < 2:
        yield too_few(
            f"needs the labels of {blocks} batches and two classes among them, has {len(parts)} "
            f"batches and {len(totals)} classes"
        )
        return
    if loss_series(trace).optimizers > 1 and all(len(labels_of(b)) < 2 for b in batches):
        yield Skipped(
            "optimizers take turns, each with one label that the program makes, as in a GAN"
        )
        return
    if _are_single(trace):
        yield Skipped("each step has a single label, as where a bag of instances is one example")
        return
    sizes = np.array([part.total() for part in parts], dtype=np.float64)
    within = float(np.average([entropy(part.values()) for part in parts], weights=sizes))
    expected_by_size = {n: expected_entropy(totals.values(), n) for n in set(sizes.astype(int))}
    expected = float(np.average([expected_by_size[int(n)] for n in sizes], weights=sizes))
    pooled: Counter[int] = sum(parts, Counter())
    freedom = (len(parts) - 1) * (len(pooled) - 1)
    likeness = 2.0 * float(sizes.sum()) * (entropy(pooled.values()) - within)
    if within < ratio * expected and likeness > freedom + 6.0 * np.sqrt(2.0 * freedom):
        distinct = median([len(part) for part in parts])
        yield Finding(
            f"a typical batch holds {distinct:.0f} of {len(totals)} classes: the label entropy "
            f"within a batch is {within:.2f}, in a random draw it would be {expected:.2f}.",
            steps=span([batch.step for batch in batches]),
            evidence={
                "entropy_within": within,
                "entropy_expected": expected,
                "ratio": within / expected,
                "batches": len(parts),
            },
            location=drawn_at(trace),
        )


@rule(
    "DAT10",
    "class-imbalance",
    Severity.WARNING,
    explains=("LOS11", "LOS12", "INI04", "PAR01"),
    advice="Weight the loss by class, resample, or set the output bias to the classes' log "
    "frequencies; judge by per-class metrics, not by accuracy.",
)
def class_imbalance(
    trace: Trace,
    *,
    ratio: Annotated[float, "size of the largest class relative to the smallest"] = 10.0,
    evenness: Annotated[float, "label entropy relative to that of even classes"] = 0.5,
    examples: Annotated[int, "labels that are needed"] = 100,
) -> Iterator[Finding | Skipped]:
    """One class has far more examples than another.

    Always answering the most frequent class already gives a low loss, and the model learns that
    first. Counts are compared with an allowance for their sampling error. Only information for a
    loss with class weights and for next-token prediction, whose classes are never even.

    Also reported:

    - sequences that are mostly padding which nothing keeps out of the loss, as with PyTorch's
      cross-entropy without its `ignore_index` (at any length, if that is another id than the
      padding's), or a Keras model on TensorFlow without a mask
    - weights given to a loss function of PyTorch or to Keras' `fit`, by class or by example, that
      grow with the classes' sizes
    - with PyTorch, weights three times apart of classes that a weighted sampler has made even
    - masks with less than 5 % foreground if, after 100 steps, none is predicted in the last third
      of the run and the loss is no better than that of one answer for all places

    Source: "37 reasons", 9 (class imbalance); Karpathy's Recipe, step 2 (init well).
    """
    batches = training_batches(trace)
    padding = another_left_out(trace) or padding_in_the_loss(trace, batches)
    if padding is not None:
        yield padding
        return
    if (background := foreground_never_predicted(trace, batches)) is not None:
        yield background
        return
    totals = label_totals(batches)
    total = totals.total()
    if total < examples or len(totals) < 2:
        yield too_few(f"needs {examples} class labels of two classes, has {total}")
        return
    if any(_has_several(trace, batch) for batch in batches):
        yield Skipped("each example has several labels: classes are not expected to be even")
        return
    if (weighed := wrong_weights(trace, totals)) is not None:
        yield weighed
        return
    # Samples are denser at the start of a run: an imbalance only there was a phase.
    late = label_totals([batch for batch in batches if batch.step >= trace.steps.step[-1] / 2])
    if late.total() < examples / 2:
        yield Skipped("too few labels were sampled in the later half of the run")
        return
    if not all(_is_imbalanced(counts, ratio, evenness) for counts in (totals, late)):
        return
    (common, most), (rare, least) = totals.most_common()[0], totals.most_common()[-1]
    spread = float(entropy(totals.values()) / np.log(len(totals)))
    functions = loss_functions(batches)
    calls = [event.payload for event in trace.events_of(EventKind.LOSS_CALL)]
    is_weighted = any(call.get("weighted") for call in calls)
    is_expected = _predicts_tokens(trace, len(totals)) or is_weighted
    yield Finding(
        f"class {common} has {most} of {total} sampled labels, class {rare} has {least}: "
        f"{most / least:.0f} to 1.",
        site=next(iter(trace.sites_of(Role.TARGET)), None),
        steps=span([batch.step for batch in batches]),
        severity=Severity.INFO if is_expected else None,
        advice="The loss is weighted; judge by per-class metrics, too, not by accuracy alone."
        if is_weighted
        else "",
        evidence={
            "ratio": most / least,
            "evenness": spread,
            "labels": [int(label) for label, _ in totals.most_common(20)],
            "counts": [int(count) for _, count in totals.most_common(20)],
        },
        location=loss_location(trace, functions[0]) if functions else None,
    )


def _has_several(trace: Trace, batch: Batch) -> bool:
    """Whether each example of a batch has more than one label, as tags and masks have."""
    counts = labels_of(batch)
    if sum(counts.values()) > (batch.batch_size or np.inf):
        return True
    site = trace.site(batch.loss_path or batch.loss_function or "", Role.OUTPUT)
    of_values = bool(counts) and not batch.label_counts  # zeros and ones, counted by their mean
    return of_values and site is not None and len(site.shape) > 1 and site.numel > site.shape[0]


def _are_single(trace: Trace) -> bool:
    """Whether the targets of every loss function are one number for the whole step."""
    sites = trace.sites_of(Role.TARGET)
    return bool(sites) and all(math.prod(site.shape) == 1 for site in sites)


def _label_blocks(batches: tuple[Batch, ...]) -> list[Counter[int]]:
    """The labels of each batch; tiny batches of successive steps are merged, lone ones left out."""
    blocks: list[Counter[int]] = []
    open_block: Counter[int] = Counter()
    last_step = -1
    for batch in batches:
        if batch.step > last_step + 1:
            open_block = Counter()
        last_step = batch.step
        open_block.update(labels_of(batch))
        if open_block.total() >= _BLOCK:
            blocks.append(open_block)
            open_block = Counter()
    return blocks


def _predicts_tokens(trace: Trace, classes: int) -> bool:
    inputs = trace.sites_of(Role.INPUT)
    if not inputs:
        return False
    words = {s.shape[0] for s in trace.sites_of(Role.PARAM) if s.module_type == "Embedding"}
    are_ids = "int" in inputs[0].dtype
    if are_ids and any(batch.classes in words for batch in training_batches(trace)):
        return True
    return classes > _TOKEN_CLASSES and (are_ids or _are_one_hot(trace, inputs[0].shape))


def _are_one_hot(trace: Trace, shape: tuple[int, ...]) -> bool:
    """Whether all inputs are sequences of one-hot rows, as wide as there are classes."""
    batches = [batch for batch in training_batches(trace) if batch.input_mean is not None]
    return bool(batches) and all(
        len(shape) == 3
        and batch.classes == shape[-1]
        and batch.input_integer_valued
        and (batch.input_min, batch.input_max) == (0.0, 1.0)
        and np.isclose(batch.input_mean or 0.0, 1.0 / shape[-1], rtol=1e-3)
        for batch in batches
    )


def _is_imbalanced(totals: Counter[int], ratio: float, evenness: float) -> bool:
    """Whether the counts are uneven beyond their sampling error."""
    if len(totals) < 2:
        return False
    most, least = totals.most_common()[0][1], totals.most_common()[-1][1]
    total = totals.total()
    share = np.array(list(totals.values()), dtype=np.float64) / total
    spread = float(entropy(totals.values()) / np.log(len(totals)))
    error = float(np.sqrt(np.average((-np.log(share)) ** 2, weights=share) / total))
    # Two and three standard errors of Poisson counts; the rarest of many is low by selection.
    surely = (most - 2.0 * np.sqrt(most)) / (least + 3.0 * np.sqrt(least) + 1.0)
    return bool(surely > ratio or spread + 2.0 * error / np.log(len(totals)) < evenness)
