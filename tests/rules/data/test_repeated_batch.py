import pytest
from rules.builders import batch, batches, event, findings, run_rule, site, skip_reasons, trace_of


def loader(dataset_size=1000, batch_size=32):
    return event("loader", dataset_size=dataset_size, batch_size=batch_size)


@pytest.mark.parametrize(("repeats", "found"), [(4, 0), (5, 1)])
def test_the_same_batch_on_five_consecutive_steps_is_an_error(repeats, found):
    prints = [1, 2, 3] + [7] * repeats
    trace = trace_of(
        steps=len(prints),
        batches=batches(len(prints), fingerprint=prints, batch_size=32),
        events=[loader()],
    )
    results = findings("DAT02", trace)
    assert len(results) == found
    assert all(finding.steps == (3, 7) for finding in results)


@pytest.mark.parametrize(
    ("later", "found"),
    [(range(10, 16), 0), (range(10, 15), 1), ([n // 3 for n in range(30, 60)], 1)],
    ids=["other batches", "too few", "each of them repeated"],
)
def test_a_batch_that_is_overfitted_before_the_training_is_healthy(later, found):
    prints = [7] * 20 + list(later)
    rows = batches(len(prints), fingerprint=prints, batch_size=32)
    trace = trace_of(steps=len(prints), batches=rows, events=[loader()])
    assert len(findings("DAT02", trace)) == found


def test_training_on_the_whole_data_set_at_each_step_is_healthy():
    trace = trace_of(
        steps=9, batches=batches(9, fingerprint=7, batch_size=32), events=[loader(dataset_size=32)]
    )
    assert findings("DAT02", trace) == []


@pytest.mark.parametrize(("broken", "found"), [(1.0, 0), (0.5, 1)])
def test_batches_without_a_finite_value_are_not_taken_for_one(broken, found):
    inputs = site("input.0", "input", nonfinite_fraction=[0.0] * 6 + [broken] * 9)
    rows = batches(15, fingerprint=[*range(6)] + [7] * 9, batch_size=32)
    trace = trace_of(steps=15, sites=[inputs], batches=rows, events=[loader()])
    assert len(findings("DAT02", trace)) == found


def test_a_loader_of_another_batch_size_does_not_count():
    trace = trace_of(
        steps=9, batches=batches(9, fingerprint=7, batch_size=500), events=[loader(batch_size=64)]
    )
    assert findings("DAT02", trace) == []


@pytest.mark.parametrize(("gap", "found"), [(10, 1), (32, 0)])
def test_equal_batches_at_distant_steps_are_an_error_unless_whole_epochs_lie_between(gap, found):
    # 1000 examples in batches of 32 are 32 steps
    sampled = range(0, 10 * gap, gap)
    rows = [batch(step, fingerprint=7, batch_size=32) for step in sampled]
    trace = trace_of(steps=10 * gap, sampled=sampled, batches=rows, events=[loader()])
    assert len(run_rule("DAT02", trace)) == 1
    assert bool(skip_reasons("DAT02", trace)) != bool(found)


def test_one_gap_of_a_whole_epoch_does_not_excuse_the_others():
    rows = [batch(step, fingerprint=7, batch_size=32) for step in (0, 1, 2, 3, 4, 36, 50)]
    trace = trace_of(steps=60, batches=rows, events=[loader()])
    assert findings("DAT02", trace)


@pytest.mark.parametrize(
    ("sampler", "count", "found"),
    [("PyDatasetAdapter", 28, 1), ("PyDatasetAdapter", 1, 0), ("TFDatasetAdapter", 28, 0)],
)
def test_batches_that_have_a_number_each_are_different_ones(sampler, count, found):
    of_keras = event("loader", sampler=sampler, batches=count)
    rows = batches(9, fingerprint=7, batch_size=32)
    assert len(findings("DAT02", trace_of(steps=9, batches=rows, events=[of_keras]))) == found


@pytest.mark.parametrize(
    ("examples", "steps", "found"), [(65, 9, 1), (64, 9, 0), (65, 1, 0)], ids=str
)
def test_of_a_loader_of_unknown_size_evaluations_tell_that_there_is_more(examples, steps, found):
    events = [
        event("loader", loader=0),
        event("epoch", loader=0, epoch=0, steps=steps),
        event("evaluation", loader=1, examples=examples),
    ]
    rows = batches(9, fingerprint=7, batch_size=32)
    results = findings("DAT02", trace_of(steps=9, batches=rows, events=events))
    assert ["evaluated on 65" in finding.message for finding in results] == [True] * found


def test_without_a_loader_repeated_batches_cannot_be_judged():
    trace = trace_of(steps=9, batches=batches(9, fingerprint=7, batch_size=32))
    assert skip_reasons("DAT02", trace)
