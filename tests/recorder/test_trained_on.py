"""Examples of a validation that training goes on to see."""

import json

import numpy as np

from nntrace.recorder import trained_on
from nntrace.recorder.records import EventRecord
from nntrace.recorder.sample import BatchSample
from nntrace.recorder.trained_on import TrainedOn
from nntrace.schema import EventKind

PLACE = {"file": "train.py", "line": 3}


def evaluated(step, group=1, hashes=None, model="", *, is_held_out=True):
    payload = {"group": group, "number": 0, "model": model, "examples": 40, **PLACE}
    if hashes is not None:
        payload |= {"example_hashes": hashes, "is_held_out": is_held_out}
    return EventRecord(step, 0, EventKind.EVALUATION, "info", None, json.dumps(payload))


def batch(step, *hashes):
    return BatchSample(step, "train", example_hashes=np.array(hashes, np.int64))


def told(found):
    return [(event.step, json.loads(event.payload)) for event in found]


def test_what_training_has_seen_is_told_when_the_data_is_evaluated_again():
    watch = TrainedOn()
    assert watch.look([], [evaluated(2, hashes=[10, 11, 12])]) == []
    assert watch.look([batch(2, 10, 7), batch(3, 12, 8)], []) == []
    [(step, payload)] = told(watch.look([], [evaluated(4)]))
    assert step == 4
    assert payload == {"group": 1, "examples": 3, "seen": 2, **PLACE}


def test_the_same_count_is_told_once():
    watch = TrainedOn()
    watch.look([batch(2, 10)], [evaluated(2, hashes=[10, 11])])
    assert len(watch.look([], [evaluated(4)])) == 1
    assert watch.look([batch(4, 10)], [evaluated(6)]) == []
    assert len(watch.look([batch(6, 11)], [evaluated(8)])) == 1


def test_batches_and_evaluations_that_come_together_are_put_in_order():
    watch = TrainedOn()
    events = [evaluated(2, hashes=[10, 11]), evaluated(4)]
    assert watch.look([batch(0, 10), batch(1, 11), batch(4, 10), batch(5, 11)], events) == []
    assert told(watch.look([], [evaluated(6)]))[0][1]["seen"] == 2


def test_what_another_fold_trains_on_is_not_held_against_the_last_one():
    watch = TrainedOn()
    watch.look([], [evaluated(2, group=1, hashes=[10, 11])])
    watch.look([batch(2, 10, 11)], [])
    assert watch.look([], [evaluated(4, group=2, hashes=[20])]) == []


def test_other_examples_are_never_told():
    watch = TrainedOn()
    watch.look([], [evaluated(2, hashes=[10, 11])])
    assert watch.look([batch(2, 1, 2, 3)], [evaluated(4)]) == []


def test_what_the_model_was_trained_on_before_is_told_at_the_first_pass():
    watch = TrainedOn()
    watch.look([batch(0, 20), batch(2, 21)], [evaluated(1, hashes=[10, 11])])
    [(step, payload)] = told(watch.look([], [evaluated(4, group=2, hashes=[20, 21, 22])]))
    assert step == 4
    assert payload == {"group": 2, "examples": 3, "seen": 0, "before": 1, **PLACE}


def test_what_another_model_was_trained_on_before_is_held_out():
    watch = TrainedOn()
    watch.look([batch(2, 20, 21)], [evaluated(1, hashes=[10, 11])])
    new = evaluated(4, group=2, hashes=[20, 21], model="second")
    assert watch.look([], [new]) == []


def unnamed(step, *hashes):
    return evaluated(step, hashes=[*hashes], is_held_out=False)


def test_of_data_that_nobody_calls_held_out_it_is_told_how_much_was_met():
    watch = TrainedOn()
    watch.look([batch(2, 10, 10, 7), batch(3, 8)], [unnamed(2, 10, 11, 12)])
    [(_, payload)] = told(watch.look([], [evaluated(4)]))
    assert payload == {
        "group": 1,
        "examples": 3,
        "seen": 1,
        **PLACE,
        "of": 40,
        "met": 4,
        "trained": 3,
    }


def test_it_is_told_again_when_a_tenth_more_were_met():
    watch = TrainedOn()
    watch.look([batch(2, *range(10, 20))], [unnamed(2, 10, 30)])
    assert len(watch.look([], [evaluated(3)])) == 1
    assert watch.look([], [evaluated(4)]) == []
    assert told(watch.look([batch(4, 9)], [evaluated(5)]))[0][1]["met"] == 11


def test_the_training_before_the_first_evaluation_counts():
    watch = TrainedOn()
    watch.look([batch(0, 10, 7), batch(1, 10, 8)], [])
    watch.look([], [unnamed(2, 10, 11)])
    [(_, payload)] = told(watch.look([], [evaluated(4)]))
    assert (payload["seen"], payload["met"], payload["trained"]) == (1, 4, 3)


def test_training_before_is_not_held_against_data_that_nobody_calls_held_out():
    watch = TrainedOn()
    watch.look([batch(2, 20)], [unnamed(1, 10)])
    assert watch.look([], [evaluated(4, group=2, hashes=[20], is_held_out=False)]) == []


def test_other_examples_from_the_same_lines_are_another_fold():
    watch = TrainedOn()
    watch.look([batch(2, 10, 20)], [unnamed(1, 10, 11)])
    assert watch.look([], [unnamed(3, 20, 21)]) == []
    assert told(watch.look([batch(4, 20)], [unnamed(5, 20, 21)]))[0][1]["seen"] == 1


def test_no_more_are_met_than_are_remembered(monkeypatch):
    monkeypatch.setattr(trained_on, "_REMEMBERED", 4)
    watch = TrainedOn()
    watch.look([batch(2, 10, 1), batch(3, 2, 3), batch(4, 11, 5)], [unnamed(1, 10, 11, 12)])
    [(_, payload)] = told(watch.look([], [evaluated(6)]))
    assert (payload["seen"], payload["met"], payload["trained"]) == (1, 4, 4)
