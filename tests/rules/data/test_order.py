import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity


def passes(*orders, loader=0, batches=10, complete=True, steps=10, every=10):
    """One pass over a loader for each checksum of its order, so many steps apart."""
    return [
        event(
            "epoch",
            every * (number + 1),
            loader=loader,
            epoch=number,
            batches=batches,
            examples=320,
            complete=complete,
            steps=steps,
            order=order,
        )
        for number, order in enumerate(orders)
    ]


def loader(dataset_size=320, batch_size=32, **payload):
    return event("loader", loader=0, dataset_size=dataset_size, batch_size=batch_size, **payload)


@pytest.mark.parametrize(("orders", "found"), [((1, 2, 3), 0), ((1, 2, 2), 1), ((1, 2, 1), 0)])
def test_two_epochs_in_a_row_in_one_order_are_a_warning(orders, found):
    results = findings("DAT03", trace_of(steps=40, events=passes(*orders)))
    assert len(results) == found
    assert all(finding.steps == (10, 30) for finding in results)


def test_the_line_that_hands_over_the_data_is_pointed_at():
    lines = [
        event("loader", loader=number, file="train.py", line=line)
        for number, line in enumerate((7, 9))
    ]
    [finding] = findings("DAT03", trace_of(steps=40, events=[*lines, *passes(1, 2, 2, loader=1)]))
    assert (finding.location.file, finding.location.line) == ("train.py", 9)


@pytest.mark.parametrize(("count", "judged"), [(2, False), (3, True)])
def test_the_order_of_a_few_batches_means_little(count, judged):
    trace = trace_of(steps=40, events=passes(1, 1, batches=count))
    assert bool(skip_reasons("DAT03", trace)) != judged


def test_evaluation_in_a_fixed_order_is_healthy():
    events = passes(1, 2, 3) + passes(7, 7, 7, loader=1, steps=0)
    assert findings("DAT03", trace_of(steps=40, events=events)) == []


def test_epochs_of_two_loaders_are_not_compared():
    events = passes(1, 2) + passes(2, 1, loader=1)
    assert findings("DAT03", trace_of(steps=40, events=events)) == []


def test_one_pass_cannot_be_compared():
    assert skip_reasons("DAT03", trace_of(steps=40, events=passes(1)))


def test_a_recurrent_model_may_read_one_long_sequence():
    rnn = site("lstm", "activation", module_type="LSTM")
    [finding] = findings("DAT03", trace_of(steps=40, sites=[rnn], events=passes(1, 1)))
    assert finding.level is Severity.INFO


def by_hand(prints):
    return trace_of(steps=len(prints), batches=batches(len(prints), fingerprint=prints))


@pytest.mark.parametrize(("period", "found"), [(2, 0), (3, 1), (7, 1)])
def test_batches_made_by_hand_that_come_back_at_one_period_are_a_warning(period, found):
    trace = by_hand([step % period for step in range(30)])
    results = [] if skip_reasons("DAT03", trace) else findings("DAT03", trace)
    assert len(results) == found


def test_an_order_that_was_drawn_once_and_returns_is_a_fact():
    prints = [step % 7 for step in range(30)]
    events = [loader(shuffle=True)]
    trace = trace_of(steps=30, batches=batches(30, fingerprint=prints), events=events)
    [finding] = findings("DAT03", trace)
    assert finding.level is Severity.INFO
    assert "drawn at random" in finding.message


def test_a_loader_that_shuffles_and_repeats_the_indices_it_draws_is_a_warning():
    [finding] = findings("DAT03", trace_of(steps=40, events=[loader(shuffle=True), *passes(1, 1)]))
    assert finding.level is Severity.WARNING


def test_batches_that_come_back_at_no_period_are_healthy():
    assert skip_reasons("DAT03", by_hand([0, 1, 2, 3, 4, 2, 0, 5, 1, 3, 4, 0]))


def twice(prints, **columns):
    """Two passes over five batches for which a loader drew the same indices."""
    rows = batches(10, fingerprint=prints, epoch=0, **columns)
    return trace_of(steps=10, batches=rows, events=passes(1, 1, batches=5, steps=5, every=5))


AUGMENTED = list(range(10))
SAME = [step % 5 for step in range(10)]


def test_equal_indices_that_bring_other_examples_are_a_fact():
    [finding] = findings("DAT03", twice(AUGMENTED, label_values=(0, 1), label_counts=(16, 16)))
    assert finding.level is Severity.INFO
    assert "other examples each time" in finding.message


def test_equal_indices_that_bring_other_targets_are_a_fact():
    means = [step / 10 for step in range(10)]
    [finding] = findings("DAT03", twice(AUGMENTED, target_mean=means))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize("prints", [AUGMENTED, SAME])
def test_examples_that_come_back_augmented_are_known_by_their_targets(prints):
    counts = [(12 + step % 5, 20 - step % 5) for step in range(10)]
    [finding] = findings("DAT03", twice(prints, label_values=(0, 1), label_counts=counts))
    assert finding.level is Severity.WARNING


def test_a_batch_that_comes_back_needs_no_targets_to_be_known():
    [finding] = findings("DAT03", twice(SAME))
    assert finding.level is Severity.WARNING


@pytest.mark.parametrize(("second", "found"), [("SGD", 1), ("SGD2", 0)])
def test_a_second_model_may_be_trained_on_the_batches_of_the_first(second, found):
    rows = batches(20, fingerprint=[step % 10 for step in range(20)])
    optimizers = ["SGD"] * 10 + [second] * 10
    trace = trace_of(steps=20, batches=rows, loss=[1.0] * 20, optimizer=optimizers)
    results = [] if skip_reasons("DAT03", trace) else findings("DAT03", trace)
    assert len(results) == found
