import numpy as np
import pytest
from rules.builders import batch, batches, event, findings, image, site, skip_reasons, trace_of

from nntrace.rules import Severity


def labelled(rows, optimizer="SGD", **values):
    """Batches from arrays of labels."""
    found = []
    for step, labels in enumerate(rows):
        seen, counts = np.unique(labels, return_counts=True)
        found.append(
            batch(
                step,
                batch_size=len(labels),
                label_values=seen.tolist(),
                label_counts=counts.tolist(),
                **values,
            )
        )
    drawn = [
        event("loader", loader=0, file="train.py", line=9),
        event("epoch", len(found), loader=0, steps=len(found)),
    ]
    return trace_of(loss=np.ones(len(found)), batches=found, optimizer=optimizer, events=drawn)


@pytest.mark.parametrize("size", [1, 3, 16, 100])
@pytest.mark.parametrize("classes", [2, 10])
def test_batches_in_the_order_of_the_labels_are_a_warning(size, classes):
    labels = np.sort(np.arange(400) % classes)
    trace = labelled(np.array_split(labels, range(size, 400, size)))
    [finding] = findings("DAT09", trace)
    assert finding.evidence["ratio"] < 0.5
    assert (finding.location.file, finding.location.line) == ("train.py", 9)


@pytest.mark.parametrize("size", [1, 2, 8, 64])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.02])
@pytest.mark.parametrize("seed", range(5))
def test_random_batches_are_healthy_whatever_their_size_and_the_class_balance(size, share, seed):
    labels = (np.random.default_rng(seed).random(401) < share).astype(int)
    trace = labelled(np.array_split(labels, range(size, 401, size)))
    assert findings("DAT09", trace) == []


@pytest.mark.parametrize(("mixed", "found"), [(18, 0), (10, 1)])
def test_batches_that_are_partly_mixed_are_judged_by_the_entropy_ratio(mixed, found):
    pure = [np.full(100, step % 4) for step in range(20 - mixed)]
    even = [np.arange(100) % 4 for _ in range(mixed)]
    trace = labelled(pure + even)
    ratio = mixed / 20
    assert len(findings("DAT09", trace, ratio=ratio + 0.03)) == 1
    assert len(findings("DAT09", trace, ratio=ratio - 0.03)) == 0
    assert len(findings("DAT09", trace, ratio=0.6)) == found


def test_the_ones_and_zeros_of_a_gan_are_no_order_of_labels():
    rows = [np.full(32, step % 2) for step in range(20)]
    assert skip_reasons("DAT09", labelled(rows, optimizer=["Adam", "Adam#2"] * 10))
    assert findings("DAT09", labelled(rows))


def test_a_single_label_for_a_bag_of_instances_is_no_order_of_labels():
    rows = batches(40, batch_size=12, loss_function="binary_cross_entropy", target_std=0.0)
    for number, row in enumerate(rows):
        row |= dict.fromkeys(("target_mean", "target_min", "target_max"), float(number % 2))
    single, several = (
        trace_of(batches=rows, sites=[site("binary_cross_entropy", "target", shape=[n])])
        for n in (1, 12)
    )
    assert skip_reasons("DAT09", single)
    assert findings("DAT09", several)


def test_one_class_only_says_nothing_about_order():
    assert skip_reasons("DAT09", labelled([np.zeros(32)] * 10))


def counted(counts, **values):
    """Ten batches that hold these many labels of class 0, 1, … in total."""
    rows = batches(
        10,
        batch_size=sum(counts) // 10,
        label_values=tuple(range(len(counts))),
        label_counts=tuple(count // 10 for count in counts),
        **values,
    )
    return trace_of(steps=10, batches=rows)


def weighed(counts, weights):
    """As `counted`, with class weights that Keras' `fit` was given."""
    given = {str(label): weight for label, weight in enumerate(weights)}
    loader = event("loader", class_weights=given, file="train.py", line=4)
    labels = {"label_values": tuple(range(len(counts))), "label_counts": tuple(counts)}
    rows = batches(10, batch_size=sum(counts), **labels)
    return trace_of(steps=10, batches=rows, events=[loader])


@pytest.mark.parametrize(
    ("counts", "weights", "found"),
    [
        ((30, 10), (2.0, 1.0), 1),
        ((29, 10), (2.0, 1.0), 0),
        ((30, 10), (1.9, 1.0), 0),
        ((30, 10), (0.5, 1.5), 0),
        ((30, 10), (), 0),
        ((30, 20, 10), (2.0, 0.1, 1.0), 0),
        ((30, 20, 10), (2.0, 1.5, 1.0), 1),
    ],
)
def test_weights_that_grow_with_the_classes_are_a_warning_where_they_are_given(
    counts, weights, found
):
    results = findings("DAT10", weighed(counts, weights))
    assert [finding.location.line for finding in results] == [4] * found


@pytest.mark.parametrize(("is_positive", "word"), [(True, "`pos_weight` is"), (False, "bincount")])
def test_weights_that_a_loss_function_was_given_count_as_well(is_positive, word):
    facts = {"class_weights": {"0": 1.0, "1": 0.1}, "pos_weight": is_positive}
    call = event("loss_call", function="cross_entropy", file="train.py", line=7, **facts)
    rows = batches(10, batch_size=40, label_values=(0, 1), label_counts=(30, 10))
    [finding] = findings("DAT10", trace_of(steps=10, batches=rows, events=[call]))
    assert word in finding.advice
    assert finding.location.line == 7


@pytest.mark.parametrize(
    ("counts", "heavy", "sampled_by", "found"),
    [
        ((30, 20), 3.0, 90, 1),
        ((31, 20), 3.0, 90, 0),  # the sampler leaves the rest to the weights
        ((30, 20), 2.9, 90, 0),
        ((30, 20), 3.0, None, 0),  # even by nature, and errors that cost more
    ],
)
def test_weights_of_classes_that_a_sampler_has_made_even_are_a_warning(
    counts, heavy, sampled_by, found
):
    weights = {"0": 1.0, "1": heavy}
    events = [
        event("loader", loader=0, weights=sampled_by),
        event("epoch", 9, loader=0, steps=9),
        event("loss_call", function="cross_entropy", class_weights=weights, file="t.py", line=7),
    ]
    rows = batches(10, batch_size=sum(counts), label_values=(0, 1), label_counts=counts)
    results = findings("DAT10", trace_of(steps=10, batches=rows, events=events))
    assert [finding.location.line for finding in results] == [7] * found


@pytest.mark.parametrize(("largest", "found"), [(115_000, 1), (95_000, 0)])
def test_a_class_ten_times_larger_than_another_is_a_warning(largest, found):
    assert len(findings("DAT10", counted([largest] * 9 + [10_000]))) == found


@pytest.mark.parametrize(("rare", "found"), [(1_000, 1), (1_300, 0)])
def test_a_label_entropy_below_half_of_even_classes_is_a_warning(rare, found):
    assert len(findings("DAT10", counted([10_000 - rare, rare]))) == found


def test_a_rare_class_in_a_small_sample_is_not_blamed():
    rng = np.random.default_rng(0)
    trace = labelled([rng.integers(0, 50, 32) for _ in range(10)])
    assert findings("DAT10", trace) == []


def test_targets_of_zero_and_one_count_as_two_classes():
    rows = batches(
        20,
        batch_size=100,
        loss_function="binary_cross_entropy_with_logits",
        target_mean=0.02,
        target_std=float(np.sqrt(0.02 * 0.98)),
        target_min=0.0,
        target_max=1.0,
    )
    [finding] = findings("DAT10", trace_of(steps=20, batches=rows))
    assert finding.evidence["counts"] == [1960, 40]


def test_grey_targets_between_zero_and_one_are_no_classes():
    rows = batches(
        20,
        batch_size=100,
        loss_function="binary_cross_entropy",
        target_mean=0.1,
        target_std=0.15,
        target_min=0.0,
        target_max=1.0,
    )
    assert skip_reasons("DAT10", trace_of(steps=20, batches=rows))


def test_several_labels_per_example_are_not_judged():
    rows = batches(10, batch_size=8, label_values=(0, 1), label_counts=(500, 12))
    assert skip_reasons("DAT10", trace_of(steps=10, batches=rows))


@pytest.mark.parametrize(("shape", "judged"), [((16, 10), False), ((16, 1), True), ((16,), True)])
def test_rows_of_zeros_and_ones_are_several_labels_of_each_example(shape, judged):
    rows = batches(
        20,
        batch_size=16,
        loss_function="binary_cross_entropy",
        target_mean=1 / 16,
        target_std=(15 / 256) ** 0.5,
        target_min=0.0,
        target_max=1.0,
    )
    size = int(np.prod(shape))
    output = site("binary_cross_entropy", "output", shape=list(shape), numel=size)
    trace = trace_of(steps=20, batches=rows, sites=[output])
    assert bool(skip_reasons("DAT10", trace)) != judged


def test_uneven_tokens_are_only_noted():
    rows = batches(
        10,
        batch_size=1000,
        label_values=tuple(range(30)),
        label_counts=(710, *[10] * 29),
    )
    sites = [image("input.0", dtype="int64")]
    [finding] = findings("DAT10", trace_of(steps=10, sites=sites, batches=rows))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("words", "level"), [(12, Severity.INFO), (40, Severity.WARNING)])
def test_so_are_those_of_a_vocabulary_that_is_also_read(words, level):
    counts = {"label_values": tuple(range(12)), "label_counts": (890, *[10] * 11)}
    rows = batches(10, batch_size=1000, classes=12, **counts)
    table = site("table.weight", "param", module_type="Embedding", shape=[words, 8])
    sites = [image("input.0", dtype="int64"), table]
    [finding] = findings("DAT10", trace_of(steps=10, sites=sites, batches=rows))
    assert finding.level is level


@pytest.mark.parametrize(
    ("mean", "level"), [(1 / 30, Severity.INFO), (0.05, Severity.WARNING)], ids=["one-hot", "bits"]
)
def test_so_are_uneven_tokens_that_are_given_one_hot(mean, level):
    rows = batches(
        10,
        batch_size=1000,
        classes=30,
        label_values=tuple(range(30)),
        label_counts=(710, *[10] * 29),
        input_mean=mean,
        input_min=0.0,
        input_max=1.0,
        input_integer_valued=True,
    )
    sites = [site("input.0", "input", dtype="bool", shape=[128, 20, 30])]
    [finding] = findings("DAT10", trace_of(steps=10, sites=sites, batches=rows))
    assert finding.level is level


def test_uneven_classes_under_a_weighted_loss_are_only_noted():
    rows = batches(10, batch_size=100, label_values=(0, 1), label_counts=(98, 2))
    call = event("loss_call", function="cross_entropy", weighted=True)
    [finding] = findings("DAT10", trace_of(steps=10, batches=rows, events=[call]))
    assert finding.level is Severity.INFO


def test_ignored_labels_are_left_out():
    rows = batches(10, batch_size=100, label_values=(-100, 0, 1), label_counts=(90, 5, 5))
    assert findings("DAT10", trace_of(steps=10, batches=rows)) == []
