"""LOS15: an `EarlyStopping` that ended the training while its metric still got better."""

import pytest
from rules.builders import event, run_rule, trace_of

from nntrace.rules import Severity
from nntrace.rules.loss.stopped import stopped_while_better

STEADY = (1.0, 0.9, 0.8, 0.7)  # better by a tenth in each epoch


def ended(values, *, patience=0, min_delta=0.0, epochs=30, better="lower", meant="lower"):
    told = {"class": "EarlyStopping", "metric": "val_loss", "better": better, "meant": meant}
    told |= {"patience": patience, "min_delta": min_delta, "file": "train.py", "line": 9}
    passes = [
        event("epoch", 10 * n, epoch=n, metrics={"val_loss": v}) for n, v in enumerate(values)
    ]
    return trace_of(steps=30, events=[*passes, event("monitor", 10, epochs=epochs, **told)])


def test_gains_below_min_delta_are_told_with_what_they_add_up_to():
    [finding] = run_rule("LOS15", ended(STEADY, patience=3, min_delta=-0.5))
    assert finding.level is Severity.WARNING
    assert "after 4 of 30 epochs" in finding.message
    assert "from 1 to 0.7 in its last 4 epochs" in finding.message
    assert "`min_delta=0.5`" in finding.message
    assert finding.location.line == 9


@pytest.mark.parametrize(("last", "found"), [(0.89, True), (0.91, False)])
def test_gains_that_add_up_to_little_are_a_plateau(last, found):
    trace = ended((1.0, 0.96, 0.93, last), patience=3, min_delta=0.2)
    assert (stopped_while_better(trace) is not None) == found


@pytest.mark.parametrize(("accuracy", "found"), [((0.70, 0.72, 0.735), 1), ((0.70, 0.71, 0.72), 0)])
def test_what_is_left_of_an_accuracy_is_what_it_lacks_to_one(accuracy, found):
    trace = ended(accuracy, patience=2, min_delta=0.05, better="higher", meant="higher")
    assert (stopped_while_better(trace) is not None) == bool(found)


def test_a_metric_that_went_up_and_down_is_no_steady_gain():
    assert stopped_while_better(ended((1.0, 0.8, 0.85, 0.7), patience=3, min_delta=0.5)) is None


@pytest.mark.parametrize(("worse", "found"), [(0.024, 1), (0.026, 0)])
def test_a_first_epoch_that_is_hardly_worse_is_no_end_of_the_gains(worse, found):
    finding = stopped_while_better(ended((*STEADY, STEADY[-1] + worse)))
    assert (finding is not None) == bool(found)
    assert finding is None or "got better by 0.1 an epoch" in finding.message


def test_three_gains_before_it_are_needed():
    assert stopped_while_better(ended((1.0, 0.9, 0.8, 0.81))) is None


@pytest.mark.parametrize(("epochs", "found"), [(10, 1), (9, 0)])
def test_a_run_of_more_than_half_the_epochs_was_long_enough(epochs, found):
    trace = ended((*STEADY, 0.701), epochs=epochs)
    assert (stopped_while_better(trace) is not None) == bool(found)


def test_a_run_that_something_else_ended_is_not_judged():
    assert stopped_while_better(ended((*STEADY, 0.701), patience=2)) is None


def test_only_the_last_fit_is_judged():
    earlier = [event("epoch", n, epoch=n, metrics={"val_loss": 5.0}) for n in range(3)]
    trace = ended((*STEADY, 0.701))
    events = [*earlier, *(event(e.kind, e.step, **e.payload) for e in trace.events)]
    assert stopped_while_better(trace_of(steps=30, events=events)) is not None


def test_a_callback_whose_direction_is_wrong_is_told_elsewhere():
    assert stopped_while_better(ended((*STEADY, 0.701), meant="higher")) is None
