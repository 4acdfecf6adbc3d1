import numpy as np
import pytest
from rules.builders import batches, event, findings, run_rule, site, skip_reasons, trace_of

from nntrace.rules import Finding, Severity

INFO, WARNING = Severity.INFO, Severity.WARNING

TRAINING = event(
    "mode",
    0,
    model="",
    training=True,
    dropout_active=1,
    dropout_inactive=0,
    norm_active=1,
    norm_inactive=0,
)


def evaluation(
    step, *, training=True, number=0, loss=None, examples=100, function="cross_entropy", **values
):
    active = {"dropout_active": int(training), "norm_active": 0, **values}
    return event(
        "evaluation",
        step,
        model="",
        number=number,
        training=training,
        examples=examples,
        loss=loss,
        loss_function=function,
        reduction="mean",
        file="train.py",
        line=3,
        **{"group": 0, **active},
    )


# RUN02


@pytest.mark.parametrize(("count", "found"), [(1, 0), (2, 1)])
def test_evaluations_with_dropout_active_are_a_warning(count, found):
    events = [TRAINING, *(evaluation(20 * n + 20, number=n) for n in range(count))]
    results = findings("RUN02", trace_of(steps=100, events=events))
    assert [finding.location.line for finding in results] == [3] * found


def epoch(loader, step, *, steps=0, for_nothing=True):
    values = {"batches": 2, "complete": True, "steps": steps, "for_nothing": for_nothing}
    return event("epoch", step, loader=loader, **values)


@pytest.mark.parametrize(
    ("passes", "changed", "found"),
    [
        (2, {}, 1),
        (1, {}, 0),
        (2, {"for_nothing": False}, 0),  # in evaluation mode, or something was differentiated
        (2, {"steps": 3}, 0),  # training draws from it, too
    ],
)
def test_passes_with_gradients_that_are_not_asked_for_are_a_warning(passes, changed, found):
    trained = [epoch(0, 20 * n + 20, steps=20, for_nothing=False) for n in range(3)]
    read = [epoch(1, 20 * n + 20, **changed) for n in range(passes)]
    loaders = [event("loader", 0, loader=n, file="train.py", line=n) for n in range(2)]
    events = [TRAINING, evaluation(20, training=False), *loaders, *trained, *read]
    results = findings("RUN02", trace_of(steps=100, events=events))
    assert [finding.location.line for finding in results] == [1] * found


def test_passes_before_any_training_and_models_without_active_layers_are_left_alone():
    calm = event("mode", 0, model="", training=True, dropout_active=0, norm_active=0)
    for mode, at in ((TRAINING, 0), (calm, 20)):
        passes = [epoch(0, 20, steps=20, for_nothing=False), epoch(1, at), epoch(1, at)]
        assert skip_reasons("RUN02", trace_of(steps=100, events=[mode, *passes]))


def test_norms_of_keras_that_were_told_to_infer_in_vain_are_a_note():
    told = event("trainable", 30, overruled=["base/norm/moving_mean"], file="train.py", line=7)
    [finding] = findings("RUN02", trace_of(steps=100, events=[told]))
    assert finding.level is INFO
    assert "base/norm/moving_mean" in finding.message
    assert finding.location.line == 7


@pytest.mark.parametrize(("function", "level"), [(None, INFO), ("mse_loss", WARNING)])
def test_samples_drawn_from_one_of_several_models_in_training_are_a_note(function, level):
    drawn = [evaluation(20 * n + 20, number=n, function=function) for n in range(3)]
    trace = trace_of(loss=[1.0, 2.0] * 50, optimizer=["d", "g"] * 50, events=[TRAINING, *drawn])
    [finding] = findings("RUN02", trace)
    assert finding.level is level


def test_evaluations_in_eval_mode_are_healthy():
    events = [TRAINING, *(evaluation(20 * n + 20, number=n, training=False) for n in range(4))]
    assert findings("RUN02", trace_of(steps=100, events=events)) == []


def test_training_mode_without_layers_that_mind_is_healthy():
    events = [evaluation(20 * n + 20, number=n, dropout_active=0) for n in range(4)]
    assert findings("RUN02", trace_of(steps=100, events=events)) == []


@pytest.mark.parametrize(
    ("loader", "function", "norms", "evaluated", "found"),
    [
        (0, None, 1, True, 0),
        (1, None, 1, True, 1),
        (0, "nll_loss", 1, True, 1),
        (0, None, 0, True, 1),
        (0, None, 1, False, 1),
    ],
    ids=["statistics", "other data", "a loss", "no norms", "no evaluation"],
)
def test_training_data_may_give_the_norms_of_averaged_weights_their_statistics(
    loader, function, norms, evaluated, found
):
    events = [TRAINING, event("epoch", 10, loader=0, steps=10, batches=10)]
    for step in (20, 40):
        values = {"loader": loader, "function": function, "norm_active": norms}
        events.append(evaluation(step, number=step // 20 - 1, **values))
        events += [evaluation(step, training=False, group=1, loader=2)] * evaluated
    assert len(findings("RUN02", trace_of(steps=100, events=events))) == found


@pytest.mark.parametrize(("passes", "found"), [(20, 1), (21, 0)])
def test_a_forward_in_many_steps_belongs_to_them(passes, found):
    events = [TRAINING, *(evaluation(n + 1, number=n) for n in range(passes))]
    assert len(findings("RUN02", trace_of(steps=100, events=events))) == found


def test_without_evaluations_their_mode_is_not_judged():
    assert skip_reasons("RUN02", trace_of(steps=100, events=[TRAINING]))


def test_a_dropout_function_that_is_not_told_the_mode_is_reported_at_its_line():
    dropout = {"dropout_function": "dropout", "dropout_file": "net.py", "dropout_line": 9}
    events = [event("evaluation", 50, model="", training=False, number=0, **dropout)]
    [finding] = findings("RUN02", trace_of(steps=100, events=events))
    assert (finding.location.file, finding.location.line) == ("net.py", 9)
    assert "training=self.training" in finding.advice


@pytest.mark.parametrize(("repeated", "found"), [(4, 1), (5, 0)])
@pytest.mark.parametrize(
    "active", [{"dropout_function": "dropout", "training": False}, {"dropout_active": 1}]
)
def test_predictions_that_are_drawn_again_from_each_input_are_meant(active, repeated, found):
    drawn = {"calls": 10, "repeated": repeated, **active}
    events = [TRAINING, *(evaluation(20 * n + 20, number=n, **drawn) for n in range(4))]
    assert len(findings("RUN02", trace_of(steps=100, events=events))) == found


def test_a_batch_norm_in_training_mode_is_not_meant_where_predictions_are_drawn_again():
    drawn = {"calls": 10, "repeated": 9, "norm_active": 1}
    events = [TRAINING, *(evaluation(20 * n + 20, number=n, **drawn) for n in range(4))]
    assert findings("RUN02", trace_of(steps=100, events=events))


def lessons(count, *, unchanged=1.0, beside=True, **values):
    """Answers of another model in every step, of which a share found the weights as they were."""
    return [
        evaluation(n, number=n, unchanged=int(unchanged * n), is_beside=beside, calls=1, **values)
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "found"), [(20, 0), (21, 1)])
def test_a_teacher_that_stays_as_it_is_with_active_layers_is_a_warning(count, found):
    results = findings("RUN02", trace_of(steps=count, events=[TRAINING, *lessons(count)]))
    assert [finding.location.line for finding in results] == [3] * found


@pytest.mark.parametrize(
    "values",
    [
        {"training": False},
        {"unchanged": 0.8},
        {"beside": False},
        {"repeated": 1},
    ],
)
def test_no_teacher_is_blamed_that_is_in_eval_mode_or_follows_or_has_inputs_of_its_own(values):
    assert findings("RUN02", trace_of(steps=50, events=[TRAINING, *lessons(50, **values)])) == []


# RUN13


def inconsistent(values, *, training_end=0.5, passes=()):
    losses = np.linspace(2.0, training_end, 100).tolist()
    events = [event("loss_call", function="cross_entropy", reduction="mean"), TRAINING]
    at = [80 + 15 * n for n in range(len(values))]
    events += [
        evaluation(step, training=False, loss=loss) for step, loss in zip(at, values, strict=True)
    ]
    data = batches(5, loss_function="cross_entropy", loss_value=losses[:5], classes=8)
    # One in which no step was made, as to look at a batch, is no pass of the training.
    events += [event("epoch", n, loader=0, steps=40 if n else 0, batches=40) for n in passes]
    return trace_of(loss=losses, events=events, batches=data)


@pytest.mark.parametrize(
    ("values", "passes", "found"),
    [
        ([1.85, 1.3], [80], 1),
        ([1.85, 1.3], [0, 80], 1),
        ([1.75, 1.3], [80], 0),  # the evaluation after the first pass finds something learnt
        ([1.85, 1.1], [80], 0),  # a later one does
        ([1.85, 1.3], [40, 80], 0),  # all examples have been seen before: it may be overfitting
    ],
)
def test_an_evaluation_after_the_first_pass_that_finds_nothing_learnt_is_a_warning(
    values, passes, found
):
    rows = inconsistent(values, training_end=0.1, passes=passes)
    assert len(findings("RUN13", rows)) == found


@pytest.mark.parametrize(("loss", "found"), [(2.5, 1), (2.3, 0)])
def test_evaluations_worse_than_before_training_are_a_warning(loss, found):
    assert len(findings("RUN13", inconsistent([loss, loss]))) == found


def test_an_evaluation_loss_that_was_good_at_first_is_overfitting():
    assert findings("RUN13", inconsistent([0.9, 3.0])) == []


@pytest.mark.parametrize(("end", "found"), [(0.5, 1), (1.9, 0)])
def test_only_a_model_that_learns_is_inconsistent(end, found):
    assert len(findings("RUN13", inconsistent([3.0, 3.0], training_end=end))) == found


def test_one_evaluation_says_nothing():
    assert skip_reasons("RUN13", inconsistent([3.0]))


FALLS = [2.0 - 0.01 * n for n in range(100)]


def looked(losses, **values):
    return [
        evaluation(20 * n + 20, training=False, number=n, loss=loss, **values)
        for n, loss in enumerate(losses)
    ]


def test_evaluations_that_all_find_the_same_loss_are_of_another_model_than_is_trained():
    trace = trace_of(loss=FALLS, events=looked([2.3] * 4))
    [finding] = findings("RUN13", trace)
    assert "not what is trained" in finding.message
    assert finding.location.line == 3


@pytest.mark.parametrize(("update", "found"), [(0.0, []), (1e-9, ["RUN13"])])
def test_a_model_that_no_update_changes_is_the_one_that_is_evaluated(update, found):
    sites = [site("fc.weight", "update", rms=update)]
    trace = trace_of(loss=FALLS, sites=sites, events=looked([2.3] * 4))
    given = [one.code for one in run_rule("RUN13", trace) if isinstance(one, Finding)]
    assert given == found


@pytest.mark.parametrize(
    ("loss", "losses"),
    [(FALLS, [2.3] * 3 + [2.29]), (FALLS, [2.3] * 2), ([2.0] * 100, [2.3] * 4)],
)
def test_no_other_model_is_seen_in_losses_that_move_are_few_or_are_those_of_training(loss, losses):
    assert skip_reasons("RUN13", trace_of(loss=loss, events=looked(losses)))


@pytest.mark.parametrize(
    ("model", "function", "losses", "found"),
    [
        ("ema", "cross_entropy", [2.1, 2.0, 1.7], 1),
        ("ema", "cross_entropy", [2.1, 2.0, 1.5], 0),
        ("ema", "cross_entropy", [2.6, 2.0, 1.7], 0),
        ("ema", "cross_entropy", [2.1, 2.0], 0),
        ("fc", "cross_entropy", [2.1, 2.0, 1.7], 0),
        ("ema", "mse_loss", [2.1, 2.0, 1.7], 0),
    ],
    ids=["stays", "follows", "began elsewhere", "twice", "is trained", "another loss"],
)
def test_an_average_that_stays_as_it_began_does_not_follow(model, function, losses, found):
    facts = {"model": model, "loss_function": function, "examples": 100}
    passes = [event("evaluation", 20 * n + 20, loss=one, **facts) for n, one in enumerate(losses)]
    trace = trace_of(
        loss=list(np.linspace(2.0, 0.5, 100)),
        sites=[site("fc.weight", "update", rms=1e-3)],
        events=[*passes, event("loss_call", function="cross_entropy")],
    )
    results = run_rule("RUN13", trace)
    assert len([one for one in results if isinstance(one, Finding)]) == found


def test_a_fixed_model_may_be_evaluated_beside_the_one_that_is_trained():
    beside = [
        event("evaluation", 20 * n + 20, model="b", group=1, examples=9, loss=2.0 - 0.1 * n)
        for n in range(4)
    ]
    assert skip_reasons("RUN13", trace_of(loss=FALLS, events=[*looked([2.3] * 4), *beside]))


@pytest.mark.parametrize(
    ("steps", "facts", "found"),
    [([5, 10], {}, 1), ([10], {}, 0), ([0, 10], {}, 0), ([5, 10], {"loss": None}, 0),
     ([5, 10], {"norms_are_fresh": False}, 0)],
    ids=["twice", "once", "before the training", "without a loss", "after batches"],
)  # fmt: skip
def test_evaluations_by_running_statistics_of_no_batch_are_a_warning(steps, facts, found):
    usual = {"norms_are_fresh": True, "norm_inactive": 2, "loss": 1.0, "model": "ema", "line": 9}
    events = [event("evaluation", step, file="train.py", **usual | facts) for step in steps]
    trace = trace_of(steps=40, events=events)
    if not found:
        assert skip_reasons("RUN13", trace)
        return
    [finding] = findings("RUN13", trace)
    assert "have not seen a batch" in finding.message
    assert finding.location.line == 9
