import pytest
from rules.builders import batches, event, findings, run_rule, site, skip_reasons, trace_of

from nntrace.manifest import Manifest
from nntrace.rules import Finding, Severity
from nntrace.trace import Trace

# DAT11


def labelled(seen, classes=10, per_batch=30, count=20, inputs="float32", delivered=True, **ids):
    rows = batches(
        count,
        target_delivered=delivered,
        loss_function="cross_entropy",
        classes=classes,
        batch_size=per_batch * seen,
        label_values=tuple(range(seen)),
        label_counts=(per_batch,) * seen,
    )
    sites = [site("input.0", "input", shape=[8, 4], dtype=inputs, **ids)]
    return trace_of(steps=count, batches=rows, sites=sites)


@pytest.mark.parametrize(("seen", "found"), [(5, 1), (6, 0), (10, 0)])
def test_a_head_of_which_half_is_never_a_label_is_a_warning(seen, found):
    assert len(findings("DAT11", labelled(seen))) == found


def test_labels_beyond_the_head_are_an_error():
    [finding] = findings("DAT11", labelled(11))
    assert finding.level is Severity.ERROR


def in_batches(sets, classes=8, **columns):
    """Batches of twelve labels, each with the classes that one of the sets holds."""
    rows = batches(len(sets), loss_function="cross_entropy", classes=classes, batch_size=12)
    for row, labels in zip(rows, sets, strict=True):
        even, rest = divmod(12, len(labels))
        row["label_values"] = tuple(labels)
        row["label_counts"] = (even + rest, *(even,) * (len(labels) - 1))
        row.update(columns)
    return trace_of(steps=len(rows), batches=rows)


NUMBERED_ANEW = [range(8), range(6), range(7), range(5), range(7), range(6), range(8), range(6)]


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        (NUMBERED_ANEW * 4, 1),
        (NUMBERED_ANEW * 4 + [(0, 1, 2, 3, 4, 6)], 0),
        (sorted(NUMBERED_ANEW * 4, key=len), 0),
        ([range(6), range(8)] * 16, 0),
        ([range(8)] * 30 + [range(7), range(6)], 0),
    ],
    ids=["anew", "with a gap", "classes are added", "two data sets", "a few rare classes"],
)
def test_labels_without_a_gap_in_batches_of_some_classes_are_numbered_anew(sets, found):
    results = findings("DAT11", in_batches(sets))
    assert [f.level for f in results] == [Severity.ERROR] * found
    assert not found or results[0].evidence == {"fewest_classes": 5, "most_classes": 8}


def test_places_in_batches_of_several_sizes_are_no_classes():
    rows = batches(40, loss_function="cross_entropy", classes=12)
    for row, size in zip(rows, [12, 8, 10, 6] * 10, strict=True):
        row |= {"batch_size": size, "label_values": tuple(range(size)), "label_counts": (1,) * size}
    assert findings("DAT11", trace_of(steps=40, batches=rows)) == []


def test_several_labels_of_an_example_may_be_its_places():
    assert findings("DAT11", in_batches(NUMBERED_ANEW * 4, batch_size=3)) == []


@pytest.mark.parametrize(("count", "found"), [(19, 0), (20, 1)])
def test_each_class_must_have_been_seen_twenty_times(count, found):
    trace = labelled(5, per_batch=1, count=count)
    assert bool(skip_reasons("DAT11", trace)) is not bool(found)


def test_rare_classes_may_be_yet_to_come():
    rows = batches(
        10,
        loss_function="cross_entropy",
        classes=40,
        batch_size=64,
        label_values=(0, 1, 2),
        label_counts=(40, 23, 1),
    )
    for step, row in enumerate(rows):
        row["label_values"] = (0, 1, 2 + step)
    assert findings("DAT11", trace_of(steps=10, batches=rows)) == []


def test_a_vocabulary_is_larger_than_a_text():
    assert skip_reasons("DAT11", labelled(5, classes=600, inputs="int64"))


@pytest.mark.parametrize(("largest", "are_tokens"), [(41.0, False), (39.0, True)])
def test_a_few_kinds_of_text_are_no_vocabulary(largest, are_tokens):
    rows = labelled(5, classes=600, inputs="int64", max=largest)
    assert bool(skip_reasons("DAT11", rows)) is are_tokens
    assert are_tokens or findings("DAT11", rows)


def test_the_first_place_of_a_contrastive_loss_is_no_class_that_is_alone():
    assert findings("DAT11", labelled(1, classes=127))
    assert skip_reasons("DAT11", labelled(1, classes=127, delivered=False))


def test_a_run_that_ended_at_a_label_too_large_is_explained():
    call = event("loss_call", function="cross_entropy", shape=[32, 9], file="train.py", line=4)
    error = "IndexError: Target 9 is out of bounds."
    trace = Trace.from_rows(
        steps=[{"step": 0, "loss": 2.2}],
        events=[call],
        manifest=Manifest(name="run", status="failed", error=error),
    )
    [finding] = findings("DAT11", trace)
    assert "9 classes, 0 … 8" in finding.message
    assert finding.level is Severity.ERROR


# DAT12


def constant(value=3.0, count=5, delivered=True, size=32, function="mse_loss", **columns):
    rows = batches(
        count,
        loss_function=function,
        batch_size=size,
        target_min=value,
        target_max=value,
        target_delivered=delivered,
    )
    target = site(function, "target", mean=1.0)
    columns = {"loss": [1.0] * count, **columns}
    return trace_of(steps=count, batches=rows, sites=[target], **columns)


def test_targets_that_are_all_the_same_are_an_error():
    [finding] = findings("DAT12", constant())
    assert finding.level is Severity.ERROR


@pytest.mark.parametrize(("last", "found"), [(3.0, 1), (3.5, 0)])
def test_one_other_target_is_enough(last, found):
    trace = constant()
    rows = trace.table("data").to_pylist()
    rows[-1]["target_max"] = last
    steps = trace.table("steps").to_pylist()
    sites = trace.table("sites").to_pylist()
    again = Trace.from_rows(sites=sites, steps=steps, data=rows)
    assert len(findings("DAT12", again)) == found


@pytest.mark.parametrize(
    ("delivered", "value", "judged"),
    [(True, 0.0, True), (False, 1.0, False), (None, 1.0, True), (None, 0.0, False)],
)
def test_constant_targets_the_program_makes_itself_may_be_meant(delivered, value, judged):
    trace = constant(value, delivered=delivered)
    assert bool(skip_reasons("DAT12", trace)) is not judged


@pytest.mark.parametrize(("count", "size", "judged"), [(7, 7, False), (5, 10, True)])
def test_fifty_targets_must_be_constant(count, size, judged):
    assert bool(skip_reasons("DAT12", constant(count=count, size=size))) is not judged


@pytest.mark.parametrize(("count", "judged"), [(4, False), (5, True)])
def test_five_batches_must_be_constant(count, judged):
    assert bool(skip_reasons("DAT12", constant(count=count))) is not judged


@pytest.mark.parametrize(
    ("value", "head", "judged"), [(0.0, None, False), (0.0, "affine", True), (1.0, None, True)]
)
def test_zeros_for_what_no_layer_puts_out_are_a_residual(value, head, judged):
    call = event("loss_call", function="mse_loss", path="mse_loss", head=head)
    assert bool(skip_reasons("DAT12", constant(value, events=[call]))) is not judged


def test_zeros_as_labels_are_no_residual():
    call = event("loss_call", function="nll_loss", path="nll_loss", head=None)
    assert len(findings("DAT12", constant(0.0, events=[call], function="nll_loss"))) == 1


@pytest.mark.parametrize(
    ("ignored", "loss", "judged"), [(-100.0, 2.0, False), (-100.0, 0.0, True), (7.0, 2.0, True)]
)
def test_targets_that_a_loss_ignores_beside_others_are_the_first_chunk_of_many(
    ignored, loss, judged
):
    call = event("loss_call", function="cross_entropy", path="c", ignore_index=ignored)
    rows = constant(-100.0, events=[call], function="cross_entropy", loss=[loss] * 10, count=10)
    assert bool(skip_reasons("DAT12", rows)) is not judged


def test_the_ones_of_a_gan_are_meant():
    assert skip_reasons("DAT12", constant(count=6, optimizer=["SGD", "Adam"] * 3))


# DAT13


def regression(mean=0.0, std=1.0, first=0.5, drift=0.0, function="mse_loss", events=()):
    rows = batches(
        9,
        loss_function=function,
        batch_size=32,
        target_mean=[mean + drift * step for step in range(9)],
        target_std=std,
        output_min=-first,
        output_max=first,
    )
    return trace_of(steps=9, batches=rows, events=events)


@pytest.mark.parametrize(("std", "found"), [(9.9, 0), (10.1, 1)])
def test_targets_with_a_deviation_above_ten_are_a_warning(std, found):
    assert len(findings("DAT13", regression(std=std))) == found


@pytest.mark.parametrize(
    ("mean", "std", "found"), [(9.9, 1.0, 0), (10.1, 1.0, 1), (0.9, 0.01, 0), (-1900.0, 5.0, 1)]
)
def test_targets_ten_deviations_from_zero_are_a_warning(mean, std, found):
    assert len(findings("DAT13", regression(mean, std))) == found


@pytest.mark.parametrize(("first", "found"), [(1.9, 1), (2.1, 0)])
def test_predictions_that_start_at_the_targets_size_are_healthy(first, found):
    assert len(findings("DAT13", regression(std=20.0, first=first))) == found


def test_returns_that_grow_while_the_model_learns_are_not_judged():
    assert skip_reasons("DAT13", regression(mean=20.0, std=12.0, drift=5.0))


@pytest.mark.parametrize(("last", "found"), [(13.0, 0), (9.9, 1)])
def test_targets_that_run_away_were_not_given_too_large(last, found):
    run = regression(std=[1.0, *[12.0] * 7, last], first=0.5)
    assert len(findings("DAT13", run) if found else skip_reasons("DAT13", run)) == 1


@pytest.mark.parametrize(("shape", "skipped"), [([], 1), ([1], 1), ([2], 0)])
def test_the_first_of_many_losses_for_one_example_each_does_not_stand_for_all(shape, skipped):
    events = [
        event("loss_call", function="mse_loss", target_shape=shape),
        event("objective", terms=["other", "mse_loss", "mse_loss#2"]),
    ]
    assert len(skip_reasons("DAT13", regression(std=100.0, events=events))) == skipped


def test_classes_have_no_scale():
    assert skip_reasons("DAT13", regression(std=100.0, function="cross_entropy"))


def masks(high, *, mean=0.25, std=None, count=10, function="binary_cross_entropy", low=0.0):
    spread = (mean * (1.0 - mean)) ** 0.5 if std is None else std
    seen = {"target_mean": mean * high, "target_std": spread * high, "target_min": low}
    rows = batches(count, loss_function=function, target_max=high, **seen)
    results = run_rule("DAT13", trace_of(steps=count, batches=rows))
    return [result for result in results if isinstance(result, Finding)]


@pytest.mark.parametrize(("high", "found"), [(1 / 255, 1), (0.19, 1), (0.21, 0), (1.0, 0)])
def test_labels_that_are_zero_and_one_small_number_were_scaled(high, found):
    assert len(masks(high)) == found


def test_how_much_smaller_the_labels_are_is_said():
    [finding] = masks(1 / 255)
    assert "0 and 0.00392, not 0 and 1" in finding.message
    assert "by 255" in finding.advice


@pytest.mark.parametrize("change", [{"std": 0.2}, {"count": 9}, {"low": 0.001}])
def test_small_targets_of_many_values_are_rates(change):
    assert masks(1 / 255, **change) == []
