"""What single facts say, each on a trace that shows it and on one that does not."""

import math

import pytest
from rules.builders import batches, event, site, trace_of

from nntrace.recipe import State
from nntrace.recipe import data_facts as data
from nntrace.recipe import training_facts as training
from nntrace.trace import Trace

CLASSES = {"loss_function": "cross_entropy", "classes": 10, "batch_size": 32}


def classifier(end: float, count: int = 40, **values: object) -> Trace:
    """A loss that falls from ln 10 to `end` within ten steps."""
    losses = [max(end, math.log(10) - step * 0.25) for step in range(count - 5)] + [end] * 5
    return trace_of(loss=losses, batches=batches(count, loss_value=losses, **{**CLASSES, **values}))


def test_inputs_are_described_over_all_batches():
    trace = trace_of(
        steps=2,
        batches=batches(
            2, input_min=[-1.0, -2.0], input_max=[3.0, 1.0], input_mean=[1.0, -1.0], input_std=1.0
        ),
    )
    assert data.input_range(trace).text == "values from -2 to 3 in 2 sampled batches"
    assert data.input_scale(trace).text.startswith("mean 0, standard deviation 1.41")


def test_labels_are_counted_and_other_targets_described():
    labels = batches(2, label_values=(0, 1), label_counts=(3, 1))
    assert "rarest is 25.0%" in data.label_balance(trace_of(steps=2, batches=labels)).text


@pytest.mark.parametrize(
    ("mean", "std", "state"),
    [
        (0.0, 9.9, State.VERIFIED),
        (0.0, 10.1, State.UNCHECKED),
        (9.9, 1.0, State.VERIFIED),
        (10.1, 1.0, State.UNCHECKED),
    ],
)
def test_targets_far_from_zero_or_of_a_large_scale_are_left_to_the_reader(mean, std, state):
    rows = batches(1, target_mean=mean, target_std=std, batch_size=4)
    assert data.label_balance(trace_of(batches=rows)).state is state


@pytest.mark.parametrize(("module", "known"), [("Embedding", True), ("Linear", False)])
def test_indices_of_an_embedding_have_nothing_to_scale(module, known):
    indices = site("input.0", "input", dtype="int64")
    table = site("words.weight", "param", module_type=module)
    fact = data.input_scale(trace_of(steps=1, sites=[indices, table]))
    assert (fact is not None and fact.state is State.VERIFIED) is known


def passes(*evaluations: dict[str, object]) -> Trace:
    trained = {"loader": 0, "steps": 5, "examples": 50, "complete": True}
    loaders = [event("loader", loader=n, dataset_size=100, sampler="RandomSampler") for n in (0, 1)]
    ends = [event("epoch", 5, **payload) for payload in (trained, *evaluations)]
    return trace_of(steps=5, events=[*loaders, *ends])


def test_an_evaluation_of_the_whole_set_is_verified():
    whole = {"loader": 1, "steps": 0, "examples": 100, "complete": True}
    assert data.evaluation_passes(passes(whole)).state is State.VERIFIED


@pytest.mark.parametrize(
    "other",
    [
        {"loader": 1, "steps": 0, "examples": 64, "complete": False},
        {"loader": 1, "steps": 0, "examples": 80, "complete": True},
        {"loader": 0, "steps": 0, "examples": 100, "complete": True},
    ],
    ids=["broken off", "a part", "a look at the training loader"],
)
def test_other_passes_without_training_verify_no_evaluation(other):
    assert data.evaluation_passes(passes(other)).state is State.UNCHECKED


def test_epochs_of_keras_tell_metrics_and_no_passes():
    metrics = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0}
    trace = trace_of(steps=2, events=[event("epoch", 2, epoch=0, metrics=metrics)])
    assert data.training_passes(trace) is None
    assert data.evaluation_passes(trace).text.startswith("fit evaluated 1 times")
    assert training.other_metrics(trace).text == "logged: accuracy"


@pytest.mark.parametrize(("end", "state"), [(1.8, State.VERIFIED), (1.9, State.UNCHECKED)])
def test_the_input_was_of_use_when_the_loss_ends_clearly_below_chance(end, state):
    assert training.beats_chance(classifier(end)).state is state


@pytest.mark.parametrize(("end", "state"), [(0.22, State.VERIFIED), (0.24, State.UNCHECKED)])
def test_training_data_is_fitted_at_a_tenth_of_chance(end, state):
    assert training.fits_training_data(classifier(end)).state is state


def test_nothing_is_said_of_chance_where_it_is_not_known():
    trace = classifier(0.1, loss_function="my_loss")
    assert training.beats_chance(trace).state is State.UNCHECKED
    assert training.fits_training_data(trace).state is State.UNCHECKED


def test_a_run_on_one_batch_verifies_that_it_can_be_overfitted():
    assert training.one_batch(classifier(0.001, fingerprint=7)).state is State.VERIFIED
    assert training.one_batch(classifier(0.1, fingerprint=7)).state is State.UNCHECKED
    assert training.one_batch(classifier(0.001, fingerprint=[*range(40)])) is None
    other_targets = classifier(0.001, fingerprint=7, target_mean=[*map(float, range(40))])
    assert training.one_batch(other_targets) is None


def test_a_seed_is_named():
    fact = training.seed(trace_of(events=[event("seed", function="torch.manual_seed", seed="3")]))
    assert (fact.state, fact.text) == (State.VERIFIED, "torch.manual_seed(3) at step 0")


def test_moved_and_frozen_parameters_are_counted():
    trace = trace_of(
        steps=2,
        sites=[
            site("a", "param", requires_grad=True, rms=1.0),
            site("b", "param", requires_grad=True, rms=1.0),
            site("c", "param", requires_grad=False),
            site("a", "update", rms=0.1),
            site("b", "update", rms=0.0),
        ],
    )
    text = "1 of 2 trainable parameters changed; 1 are frozen"
    assert training.learning_parameters(trace).text == text


@pytest.mark.parametrize(
    ("name", "rate", "state"),
    [
        ("AdamW", 3e-4, State.VERIFIED),
        ("Adam", 0.3, State.ADVICE),
        ("SGD", 1e-3, State.ADVICE),
    ],
)
def test_only_adam_at_a_usual_rate_is_the_safe_beginning(name, rate, state):
    trace = trace_of(events=[event("optimizer", **{"class": name, "lr": rate})])
    assert training.adam(trace).state is state


def test_a_constant_learning_rate_is_verified_and_a_schedule_left_to_the_reader():
    assert training.schedule(trace_of(steps=30, lr=0.1)).state is State.VERIFIED
    fallen = training.schedule(trace_of(steps=30, lr=[0.1] * 20 + [0.01] * 10))
    assert fallen.state is State.UNCHECKED
    assert "from 0.1 to 0.01" in fallen.text


def test_a_loss_that_still_falls_at_the_end_is_told():
    falling = trace_of(loss=[10.0 - 0.05 * step for step in range(100)])
    assert "still fell" in training.still_falling(falling).text
    assert "no longer" in training.still_falling(trace_of(loss=[1.0] * 100)).text


def test_metrics_other_than_the_loss_are_seen():
    logged = [{"step": 0, "time_ns": 0, "name": n, "value": 1.0} for n in ("val_loss", "accuracy")]
    assert training.other_metrics(Trace.from_rows(scalars=logged)).text == "logged: accuracy"
    assert training.other_metrics(Trace.from_rows(scalars=logged[:1])) is None
