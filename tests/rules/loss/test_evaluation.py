import numpy as np
import pytest
from rules.builders import (
    batches,
    evaluated,
    event,
    findings,
    run_rule,
    site,
    skip_reasons,
    trace_of,
)

from nntrace.rules import Finding
from nntrace.trace import Trace


def run(evaluations, training=None, extra=(), **columns):
    training = np.linspace(1.0, 0.1, 200) if training is None else training
    return trace_of(loss=list(map(float, training)), events=[*evaluations, *extra], **columns)


# LOS13


@pytest.mark.parametrize(("last", "found"), [(0.59, 0), (0.61, 1)])
def test_an_evaluation_loss_a_fifth_above_its_best_is_overfitting(last, found):
    losses = [0.9, 0.7, 0.5, 0.55, last, last]
    results = findings("LOS13", run(evaluated(losses)))
    assert len(results) == found
    assert all(finding.evidence["best_step"] == 60 for finding in results)


@pytest.mark.parametrize(("last", "found"), [(0.149, 0), (0.151, 1)])
def test_a_fifth_of_a_loss_that_is_next_to_nothing_is_no_overfitting(last, found):
    training = [1.0] * 10 + [0.1] * 110 + [0.02] * 80
    losses = [0.5, 0.2, 0.1, last, last, last]
    assert len(findings("LOS13", run(evaluated(losses), training))) == found


def test_one_bad_evaluation_is_noise_and_two_are_none():
    assert findings("LOS13", run(evaluated([0.9, 0.7, 0.5, 0.9]))) == []
    assert findings("LOS13", run(evaluated([0.9, 0.7, 0.5, 0.9, 0.9])))


def test_the_best_of_evaluations_that_are_about_as_good_need_not_be_the_last():
    [finding] = findings("LOS13", run(evaluated([0.693, 0.694, 0.72, 0.88, 1.06, 1.2])))
    assert finding.evidence["best_step"] == 40


def test_a_rise_that_is_taken_back_is_noise():
    assert findings("LOS13", run(evaluated([0.9, 0.5, 0.8, 0.5, 0.8, 0.8]))) == []


@pytest.mark.parametrize(("end", "found"), [(0.42, 0), (0.38, 1)])
def test_the_training_loss_must_have_fallen_meanwhile(end, found):
    training = [1.0] * 40 + [0.5] * 40 + [end] * 120
    assert len(findings("LOS13", run(evaluated([0.9, 0.8, 0.5, 0.6, 0.7, 0.7]), training))) == found


def test_evaluations_on_the_training_data_do_not_count():
    drawn = event("epoch", 200, loader=1, epoch=0, batches=20, steps=20)
    assert skip_reasons("LOS13", run(evaluated([0.5, 0.6, 0.7, 0.8]), extra=[drawn]))


def test_keras_reports_its_own_evaluations():
    metrics = [
        event("epoch", 40 * n, epoch=n, metrics={"val_loss": loss})
        for n, loss in enumerate([0.9, 0.5, 0.7, 0.8, 0.9])
    ]
    assert findings("LOS13", run(metrics))


# LOS14


def flat(training, evaluation, count=400):
    rng = np.random.default_rng(0)
    values = np.concatenate([np.linspace(1.0, training, 100), np.full(count - 100, training)])
    values += rng.normal(0, 0.002, count)
    rows = batches(
        count,
        loss_function="mse_loss",
        loss_value=values.tolist(),
        target_mean=0.0,
        target_std=1.0,
        batch_size=32,
    )
    return run(evaluated([evaluation] * 3), values, batches=rows)


@pytest.mark.parametrize(("training", "found"), [(0.29, 0), (0.31, 1), (0.96, 1), (0.98, 0)])
def test_a_flat_training_loss_well_above_zero_is_a_note(training, found):
    assert len(findings("LOS14", flat(training, training))) == found


@pytest.mark.parametrize(("gap", "found"), [(1.08, 1), (1.12, 0)])
def test_a_gap_to_the_evaluation_is_no_underfitting(gap, found):
    assert len(findings("LOS14", flat(0.5, gap * 0.5))) == found


def test_without_an_evaluation_underfitting_is_not_judged():
    assert skip_reasons("LOS14", run([], np.full(300, 0.5)))


# LOS22


def with_accuracy(values, function, loss=0.3, training=(), **targets):
    rows = batches(100, loss_function=function, batch_size=20, loss_value=loss, **targets)
    steps = [{"step": n, "loss": loss, "lr": 0.1, "phase": "train"} for n in range(100)]
    scalars = [
        {"step": 10 * n, "time_ns": 0, "name": name, "value": value}
        for name, series in (("val_accuracy", values), ("accuracy", training))
        for n, value in enumerate(series)
    ]
    return Trace.from_rows(steps=steps, data=rows, scalars=scalars)


CLASSES = {"label_values": tuple(range(10)), "label_counts": (2,) * 10, "classes": 10}


def test_accuracy_of_a_regression_is_a_warning():
    real = {"target_mean": 3.0, "target_std": 1.0, "target_min": 0.0, "target_max": 7.0}
    assert findings("LOS22", with_accuracy([0.0] * 3, "mse_loss", **real))


def test_accuracy_beside_a_second_output_that_is_a_regression_is_not_judged():
    real = {"target_mean": 3.0, "target_std": 1.0, "target_min": 0.0, "target_max": 7.0}
    rows = batches(3, loss_function="mse_loss", loss_path="mse_loss:price", **real)
    other = batches(3, loss_function="cross_entropy", loss_path="cross_entropy:kind", **CLASSES)
    epochs = [event("epoch", n, epoch=n, metrics={"kind_accuracy": 0.0}) for n in range(3)]
    trace = trace_of(steps=3, batches=rows, losses=other, events=epochs)
    assert skip_reasons("LOS22", trace)
    announced = [event("loss_call", function=f) for f in ("mse_loss", "cross_entropy")]
    assert skip_reasons("LOS22", trace_of(steps=3, batches=rows, events=[*announced, *epochs]))
    assert findings("LOS22", trace_of(steps=3, batches=rows, events=epochs))


@pytest.mark.parametrize(
    ("function", "threshold", "found"),
    [
        ("binary_cross_entropy_with_logits", 0.5, 1),
        ("binary_cross_entropy_with_logits", 0.0, 0),
        ("binary_cross_entropy", 0.5, 0),
    ],
)
def test_logits_that_an_accuracy_cuts_like_probabilities_are_a_warning(function, threshold, found):
    cut = {"thresholds": {"accuracy": threshold}}
    epochs = [event("epoch", n, epoch=n, metrics={"accuracy": 0.8}, **cut) for n in range(3)]
    labels = {"label_values": (0, 1), "label_counts": (10, 10), "classes": 1}
    rows = batches(100, loss_function=function, batch_size=20, loss_value=0.5, **labels)
    given = run_rule("LOS22", trace_of(steps=100, batches=rows, events=epochs))
    assert sum(isinstance(one, Finding) for one in given) == found


def test_accuracy_of_zeros_and_ones_under_a_squared_error_is_healthy():
    flags = {"target_mean": 0.5, "target_std": 0.5, "target_min": 0.0, "target_max": 1.0}
    trace = with_accuracy([0.9] * 3, "mse_loss", loss=0.1, **flags)
    assert skip_reasons("LOS22", trace)


@pytest.mark.parametrize(("accuracy", "found"), [(0.109, 1), (0.12, 0), (10.9, 1), (80.0, 0)])
def test_accuracy_at_chance_while_the_loss_is_low_is_a_warning(accuracy, found):
    trace = with_accuracy([accuracy] * 4, "cross_entropy", **CLASSES)
    assert len(findings("LOS22", trace)) == found


@pytest.mark.parametrize(("training", "found"), [(0.109, 1), (0.12, 0)])
def test_an_accuracy_that_only_training_rises_above_chance_is_that_of_the_task(training, found):
    trace = with_accuracy([0.1] * 4, "cross_entropy", training=[training] * 4, **CLASSES)
    assert len(findings("LOS22", trace)) == found


@pytest.mark.parametrize(("accuracy", "compared"), [(0.049, "far worse"), (0.051, "no better")])
def test_an_accuracy_below_that_of_guessing_is_told_from_guessing(accuracy, compared):
    [finding] = findings("LOS22", with_accuracy([accuracy] * 4, "cross_entropy", **CLASSES))
    assert f"{compared} than always" in finding.message


@pytest.mark.parametrize(("loss", "found"), [(1.14, 1), (1.16, 0)])
def test_accuracy_at_chance_is_right_while_the_loss_is_high(loss, found):
    trace = with_accuracy([0.1] * 4, "cross_entropy", loss=loss, **CLASSES)
    assert len(findings("LOS22", trace)) == found


def reported(accuracy, loss=0.1, counts=(10, 10), shape=(20, 1), name="accuracy"):
    of_loss = "val_loss" if name.startswith("val_") else "loss"
    told = [
        {"loss": 0.1, "accuracy": 1.0, of_loss: float(value), name: accuracy}
        for value in np.broadcast_to(loss, max(4, np.size(loss)))
    ]
    epochs = [event("epoch", 10 * n, epoch=n, metrics=metrics) for n, metrics in enumerate(told)]
    labels = {"label_values": (0, 1), "label_counts": counts, "classes": 2}
    rows = batches(40, loss_function="cross_entropy", batch_size=20, loss_value=0.1, **labels)
    sites = [
        site("cross_entropy", "output", shape=[20, 2], numel=40),
        site("cross_entropy", "target", shape=list(shape), numel=int(np.prod(shape))),
    ]
    return trace_of(loss=[0.1] * 40, batches=rows, events=epochs, sites=sites)


@pytest.mark.parametrize(("last", "found"), [(3, 1), (2, 0)])
def test_the_last_three_epochs_are_enough_to_rule_an_accuracy_out(last, found):
    loss = [0.6] * (8 - last) + [0.1] * last
    assert len(findings("LOS22", reported(0.6, loss))) == found


# A loss of 0.1 allows 14 % of wrong examples, and as many are granted for rounding.
@pytest.mark.parametrize(("accuracy", "found"), [(0.74, 1), (0.77, 0)])
@pytest.mark.parametrize("name", ["accuracy", "val_accuracy"])
def test_an_accuracy_that_the_loss_rules_out_is_a_warning(name, accuracy, found):
    assert len(findings("LOS22", reported(accuracy, name=name))) == found


def test_an_accuracy_that_is_a_mean_over_classes_may_be_lower():
    assert findings("LOS22", reported(0.6, counts=(16, 4)))
    assert not findings("LOS22", reported(0.6, counts=(18, 2)))


def test_an_accuracy_of_whole_sequences_may_be_lower():
    assert not findings("LOS22", reported(0.6, shape=(20, 7)))


def test_without_a_logged_accuracy_there_is_nothing_to_judge():
    assert skip_reasons("LOS22", with_accuracy([0.1] * 2, "cross_entropy", **CLASSES))
