import pytest
from rules.builders import batch, batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity


def passes(*orders, loader=0, batches=10, complete=True, steps=10, examples=320):
    """One pass over a loader for each checksum of its order, ten steps apart."""
    return [
        event(
            "epoch",
            steps * (number + 1),
            loader=loader,
            epoch=number,
            batches=batches,
            examples=examples,
            complete=complete,
            steps=steps,
            order=order,
        )
        for number, order in enumerate(orders)
    ]


def loader(dataset_size=320, batch_size=32, **payload):
    return event("loader", loader=0, dataset_size=dataset_size, batch_size=batch_size, **payload)


# DAT08


def epoch_of(copies, *, count=10, **columns):
    """Batches of 32 that make one whole epoch, with so many copies in the last."""
    repeated = [0] * (count - 1) + [copies]
    return batches(
        count, batch_size=32, epoch=0, duplicate_examples=0, repeated_examples=repeated, **columns
    )


@pytest.mark.parametrize(("copies", "found"), [(16, 0), (17, 1)])
def test_more_than_a_twentieth_of_copies_in_an_epoch_is_a_warning(copies, found):
    trace = trace_of(steps=10, batches=epoch_of(copies), events=[loader()])
    assert len(findings("DAT08", trace)) == found


def test_of_an_epoch_seen_by_half_the_copies_are_scaled():
    rows = epoch_of(9, count=5)  # 9 of 160; an original was seen as well with chance one half
    trace = trace_of(steps=5, batches=rows, events=[loader()])
    [finding] = findings("DAT08", trace)
    assert finding.evidence["share"] == pytest.approx(9 / 80)


@pytest.mark.parametrize(
    ("copied", "mean", "level"),
    [
        ((1,), 0.5, Severity.INFO),
        ((0, 1), 0.5, Severity.WARNING),
        ((1,), 0.8, Severity.INFO),
        ((1,), 0.9, Severity.WARNING),  # of so few zeros none might have been met by chance
        ((), 0.5, Severity.WARNING),
    ],
)
def test_copies_of_some_labels_alone_are_meant(copied, mean, level):
    targets = {"target_mean": mean, "target_min": 0.0, "target_max": 1.0}
    rows = epoch_of(60, copied_labels=copied, **targets)
    trace = trace_of(steps=10, batches=rows, events=[loader()])
    assert [one.severity for one in findings("DAT08", trace)] == [level]


def test_labels_of_whom_many_might_have_copies_are_counted():
    labels = {"label_values": (0, 1, 2), "label_counts": (16, 8, 8), "target_mean": 1.0}
    rows = epoch_of(60, copied_labels=(1, 2), **labels)
    trace = trace_of(steps=10, batches=rows, events=[loader()])
    [finding] = findings("DAT08", trace)
    assert "None has another label than 1, 2." in finding.message


@pytest.mark.parametrize(
    ("names", "copies", "judged"),
    [
        (["Adam"] * 5 + ["Adam.2"] * 5, 118, False),
        (["Adam"] * 5 + ["Adam.2"] * 5, 60, True),
        (["Adam", "Adam.2"] * 5, 118, True),
        (["Adam"] * 10, 118, True),
    ],
)
def test_models_that_learn_in_turn_on_samples_drawn_with_replacement_are_bagged(
    names, copies, judged
):
    built = [event("optimizer", 0, name=name) for name in sorted(set(names))]
    rows = epoch_of(copies)
    trace = trace_of(steps=10, optimizer=names, batches=rows, events=[loader(), *built])
    assert findings("DAT08", trace) if judged else skip_reasons("DAT08", trace)


def test_copies_are_meant_when_drawing_with_replacement():
    trace = trace_of(steps=10, batches=epoch_of(50), events=[loader(replacement=True)])
    assert skip_reasons("DAT08", trace)


@pytest.mark.parametrize(
    ("batch_size", "copies", "within", "judged"),
    [(None, 200, 0, False), (None, 199, 0, True), (None, 200, 1, True), (32, 200, 0, True)],
)
def test_batches_that_are_drawn_anew_without_copies_are_meant(batch_size, copies, within, judged):
    rows = [row | {"duplicate_examples": within} for row in epoch_of(copies)]
    trace = trace_of(steps=10, batches=rows, events=[loader(batch_size=batch_size)])
    assert findings("DAT08", trace) if judged else skip_reasons("DAT08", trace)


@pytest.mark.parametrize(("steps", "judged"), [(0, False), (10, True)])
def test_the_loader_of_an_evaluation_does_not_say_how_training_draws(steps, judged):
    other = event("loader", loader=1, dataset_size=64, batch_size=64)
    events = [loader(batch_size=None), other, *passes(1, loader=1, steps=steps)]
    trace = trace_of(steps=10, batches=epoch_of(200), events=events)
    assert findings("DAT08", trace) if judged else skip_reasons("DAT08", trace)


def test_copies_in_data_of_unknown_size_are_not_judged_for_that_reason():
    events = [loader(dataset_size=None)]
    [reason] = skip_reasons("DAT08", trace_of(steps=10, batches=epoch_of(200), events=events))
    assert "is not known" in reason


def test_batches_made_by_hand_have_no_epoch_to_judge():
    rows = [batch(step, batch_size=32, duplicate_examples=9) for step in range(10)]
    assert skip_reasons("DAT08", trace_of(steps=10, batches=rows, events=[loader()]))


@pytest.mark.parametrize(("features", "level"), [(64, Severity.INFO), (65, Severity.WARNING)])
def test_equal_rows_of_a_few_whole_numbers_are_natural(features, level):
    trace = trace_of(
        steps=10,
        sites=[site("input.0", "input", shape=[32, features])],
        batches=epoch_of(50, input_integer_valued=True),
        events=[loader()],
    )
    assert findings("DAT08", trace)[0].level is level


@pytest.mark.parametrize(
    ("others", "shape", "whole", "judged"),
    [
        ([], [32], True, False),
        ([], [32, 1], True, False),
        ([], [32, 2], True, True),
        ([], [32, 1], False, True),
        ([site("input.1", "input", shape=[32])], [32], True, True),
    ],
)
def test_examples_that_are_one_whole_number_are_bound_to_be_equal(others, shape, whole, judged):
    sites = [site("input.0", "input", shape=shape), *others]
    rows = epoch_of(50, input_integer_valued=whole)
    trace = trace_of(steps=10, sites=sites, batches=rows, events=[loader()])
    assert findings("DAT08", trace) if judged else skip_reasons("DAT08", trace)


@pytest.mark.parametrize(("dataset_size", "judged"), [(31, False), (32, True)])
def test_batches_of_more_examples_than_the_data_set_are_cut_from_its_items(dataset_size, judged):
    trace = trace_of(steps=10, batches=epoch_of(200), events=[loader(dataset_size)])
    assert findings("DAT08", trace) if judged else skip_reasons("DAT08", trace)


@pytest.mark.parametrize(("seen", "found"), [(12, 0), (13, 1)])
def test_validation_examples_that_are_trained_on_are_a_warning_at_the_line_of_fit(seen, found):
    place = {"file": "train.py", "line": 9}
    events = [event("trained_on", 10, group=0, examples=60, seen=seen, **place), loader()]
    given = findings("DAT08", trace_of(steps=20, batches=epoch_of(0), events=events))
    assert [(one.level, one.location.line) for one in given] == [(Severity.WARNING, 9)] * found


def test_fewer_than_eight_may_be_copies_in_the_data():
    events = [event("trained_on", 10, group=0, examples=16, seen=7), loader()]
    assert findings("DAT08", trace_of(steps=20, batches=epoch_of(0), events=events)) == []


def test_the_latest_count_of_a_validation_is_the_one_that_is_judged():
    events = [event("trained_on", n, group=0, examples=64, seen=n) for n in (10, 64)]
    [finding] = findings(
        "DAT08", trace_of(steps=70, batches=epoch_of(0), events=[*events, loader()])
    )
    assert finding.evidence["trained_on"] == 64


# The second `fit` begins at step 50; half of what the first one learned is a loss of 1.1.
@pytest.mark.parametrize(("again", "found"), [(1.09, 1), (1.11, 0)])
@pytest.mark.parametrize(("before", "much"), [(12, 0), (13, 1)])
def test_a_fit_that_goes_on_is_not_validated_with_what_was_learned_before(
    again, found, before, much
):
    told = event("trained_on", 60, group=1, examples=60, seen=0, before=before)
    events = [loader(), event("epoch", 60, loader=1, epoch=0, steps=10, metrics={}), told]
    loss = [2.0] * 20 + [0.2] * 30 + [again] * 10
    given = findings("DAT08", trace_of(loss=loss, batches=epoch_of(0), events=events))
    assert len(given) == found * much


@pytest.mark.parametrize(("again", "found"), [(1.09, 1), (1.11, 0)])
@pytest.mark.parametrize(("optimizer", "same"), [("SGD", 1), ("SGD#2", 0)])
def test_a_fold_is_not_validated_with_what_the_same_model_learned_before(
    again, found, optimizer, same
):
    told = event("trained_on", 60, group=0, examples=60, seen=0, before=60, since=50)
    loss = [2.0] * 20 + [0.2] * 30 + [again] * 10
    optimizers = ["SGD"] * 50 + [optimizer] * 10
    trace = trace_of(loss=loss, optimizer=optimizers, batches=epoch_of(0), events=[loader(), told])
    given = findings("DAT08", trace)
    assert ["each fold" in one.advice for one in given] == [True] * (found * same)


def overlap(replacement=False, **counts):
    """64 of 300 evaluated examples, half of which a loader draws, whose 640 were drawn twice."""
    known = {"examples": 64, "seen": 32, "of": 300, "met": 1280, "trained": 550}
    told = event("trained_on", 10, group=0, **{**known, **counts})
    events = [loader(dataset_size=640, replacement=replacement), told]
    return trace_of(steps=20, batches=epoch_of(0), events=events)


# By chance e^-2 of 64 examples would not have been met: 9 and three deviations of 2.7.
@pytest.mark.parametrize(("seen", "found"), [(12, 0), (13, 1), (47, 1), (48, 0), (64, 0)])
def test_what_is_evaluated_is_a_leak_where_only_a_part_of_it_is_trained_on(seen, found):
    given = findings("DAT08", overlap(seen=seen))
    assert ["Split before" in one.advice for one in given] == [True] * found


@pytest.mark.parametrize(("of", "found"), [(550, 1), (551, 0)])
def test_an_evaluation_of_more_than_is_trained_on_is_a_look_at_all_data(of, found):
    assert len(findings("DAT08", overlap(of=of))) == found


@pytest.mark.parametrize(("met", "found"), [(600, 0), (1280, 1)])
def test_what_the_first_samples_did_not_meet_may_be_trained_on_as_well(met, found):
    assert len(findings("DAT08", overlap(met=met, seen=40))) == found


# 500 of 1000 draws gave an example for the first time: each was drawn 1.59 times on average, and a
# fifth was not: 13 of 64 and three deviations of 3.2.
@pytest.mark.parametrize(("seen", "found"), [(42, 0), (41, 1)])
def test_how_large_the_data_are_is_told_by_how_often_examples_come_again(seen, found):
    counts = {"examples": 64, "seen": seen, "of": 300, "met": 1000, "trained": 500}
    events = [loader(dataset_size=None), event("trained_on", 10, group=0, **counts)]
    trace = trace_of(steps=20, batches=epoch_of(0), events=events)
    assert bool(skip_reasons("DAT08", trace)) != found


def test_a_sampler_that_draws_again_leaves_out_examples_by_design():
    assert len(findings("DAT08", overlap())) == 1
    assert skip_reasons("DAT08", overlap(replacement=True))


def test_validation_on_the_same_few_whole_numbers_is_natural():
    columns = {"input_integer_valued": True}
    sites = [site("input.0", "input", shape=(32, 9))]
    events = [event("trained_on", 10, group=0, examples=64, seen=64), loader()]
    trace = trace_of(steps=10, batches=epoch_of(0, **columns), events=events, sites=sites)
    assert findings("DAT08", trace) == []


# DAT20


def test_short_passes_of_which_only_some_have_an_event_are_all_counted():
    events = [loader(), *passes(*range(30), complete=False, examples=32)[::3]]
    [finding] = findings("DAT20", trace_of(steps=400, events=events))
    assert finding.evidence["passes"] == 28


@pytest.mark.parametrize(("examples", "found"), [(159, 1), (160, 0)])
def test_passes_that_end_before_half_of_the_data_are_a_fact(examples, found):
    events = [loader(), *passes(1, 2, complete=False, examples=examples)]
    results = findings("DAT20", trace_of(steps=40, events=events))
    assert [finding.level for finding in results] == [Severity.INFO] * found


def test_each_of_two_ranks_sees_its_half_of_the_data():
    start = event("rank_start", world_size=2)
    events = [start, loader(), *passes(1, 2, examples=160)]
    assert findings("DAT20", trace_of(steps=40, events=events)) == []


@pytest.mark.parametrize(("weights", "found"), [(3, 1), (319, 1), (320, 0), (None, 0)])
def test_a_sampler_with_fewer_weights_than_examples_draws_the_first_only(weights, found):
    events = [loader(weights=weights), *passes(1, 2)]
    results = findings("DAT20", trace_of(steps=40, events=events))
    assert [finding.level for finding in results] == [Severity.WARNING] * found


def test_a_single_short_pass_is_not_judged():
    events = [loader(), *passes(1, examples=32)]
    assert skip_reasons("DAT20", trace_of(steps=40, events=events))
