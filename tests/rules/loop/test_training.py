import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity


def mode(step=0, *, training, dropout=(0, 0), norm=(0, 0), model=""):
    """A change of mode; `dropout` and `norm` are numbers of (active, inactive) layers."""
    return event(
        "mode",
        step,
        model=model,
        training=training,
        dropout_active=dropout[0],
        dropout_inactive=dropout[1],
        norm_active=norm[0],
        norm_inactive=norm[1],
    )


TRAINING = mode(0, training=True, dropout=(1, 0), norm=(2, 0))

# RUN01


def test_steps_after_a_forgotten_return_to_training_mode_are_a_warning():
    events = [TRAINING, mode(10, training=False, dropout=(0, 1), norm=(0, 2))]
    [finding] = findings("RUN01", trace_of(steps=40, events=events))
    assert finding.steps == (10, 39)
    assert finding.evidence["steps_in_eval_mode"] == 30


def test_the_line_that_calls_the_model_is_named_where_it_is_known():
    called = {"file": "train.py", "line": 16, "dropout_inactive": 2}
    events = [event("mode", 0, model="", training=False, **called)]
    [finding] = findings("RUN01", trace_of(steps=40, events=events))
    assert (finding.location.file, finding.location.line) == ("train.py", 16)


def test_frozen_norms_in_a_model_in_training_mode_are_healthy():
    events = [mode(0, training=True, dropout=(1, 0), norm=(0, 2))]
    assert findings("RUN01", trace_of(steps=40, events=events)) == []


@pytest.mark.parametrize(("trained", "dropout", "found"), [(0, 0, 1), (2, 0, 0), (0, 1, 0)])
def test_norms_that_were_never_trained_cannot_be_frozen_by_intent(trained, dropout, found):
    frozen = {"norm_inactive": 2, "dropout_active": dropout, "norm_trained": trained}
    rows = trace_of(steps=40, events=[event("mode", 0, model="", training=True, **frozen)])
    assert len(findings("RUN01", rows)) == found


@pytest.mark.parametrize(("trained", "found"), [("fc.weight", 1), ("teacher/fc.weight", 0)])
def test_a_model_beside_named_ones_is_judged_by_the_parameters_that_are_its_own(trained, found):
    forgotten = {"training": False, "dropout": (0, 1)}
    events = [mode(0, **forgotten), mode(0, training=True, model="teacher")]
    trace = trace_of(steps=40, events=events, sites=[site(trained, "update", rms=1e-3)])
    assert len(findings("RUN01", trace)) == found


def test_a_model_alone_is_judged_by_all_that_its_optimizer_holds():
    sites = [site("fc.weight", "update", rms=1e-3)]
    events = [mode(0, training=False, dropout=(0, 1))]
    assert findings("RUN01", trace_of(steps=40, events=events, sites=sites))


def test_eval_mode_does_not_matter_without_dropout_or_norms():
    assert findings("RUN01", trace_of(steps=40, events=[mode(0, training=False)])) == []


def two_loaders(second_trains, *, passes=3):
    """Passes of eight steps over a first loader and of two over a second one, in turn."""
    events = [event("loader", 0, loader=1, dataset_size=64, file="train.py", line=7)]
    for begin in range(0, 10 * passes, 10):
        events += [
            mode(begin, training=True),
            event("epoch", begin + 8, loader=0, steps=8),
            mode(begin + 8, training=second_trains),
            event("epoch", begin + 10, loader=1, steps=2),
        ]
    return trace_of(steps=10 * passes, events=events)


def test_a_loop_over_evaluation_data_that_steps_is_told_at_its_line_whatever_the_layers():
    [finding] = findings("RUN01", two_loaders(False))
    assert finding.evidence["steps_in_eval_mode"] == 6
    assert finding.location.line == 7
    assert "DAT03" in finding.explains


def test_two_loaders_that_are_trained_on_in_training_mode_are_healthy():
    assert findings("RUN01", two_loaders(True)) == []


@pytest.mark.parametrize("training", [(True, False, False), (False, False, True)])
def test_a_part_of_the_training_may_be_in_evaluation_mode(training):
    events = []
    for begin, trains in zip((0, 10, 20), training, strict=True):
        own = {"loader": int(trains), "steps": 10}
        events += [mode(begin, training=trains), event("epoch", begin + 10, **own)]
    assert findings("RUN01", trace_of(steps=30, events=events)) == []


@pytest.mark.parametrize(("passes", "found"), [(1, 0), (2, 1)])
def test_two_such_passes_are_needed(passes, found):
    assert len(findings("RUN01", two_loaders(False, passes=passes))) == found


@pytest.mark.parametrize(("back", "found"), [(6, 0), (7, 1)])
def test_two_steps_in_eval_mode_are_needed(back, found):
    events = [TRAINING, mode(5, training=False, dropout=(0, 1)), mode(back, training=True)]
    assert len(findings("RUN01", trace_of(steps=40, events=events))) == found


def test_a_frozen_helper_model_in_eval_mode_is_healthy():
    events = [TRAINING, mode(0, training=False, dropout=(0, 2), model="VGG")]
    sites = [site("fc.weight", "update")]
    assert findings("RUN01", trace_of(steps=40, events=events, sites=sites)) == []
    sites = [site("fc.weight", "update"), site("VGG.conv.weight", "update")]
    assert findings("RUN01", trace_of(steps=40, events=events, sites=sites))


def test_only_the_steps_of_a_models_own_optimizers_are_taken_with_it():
    events = [TRAINING, mode(5, training=False, dropout=(0, 1), model="Clone")]
    sites = [site("fc.weight", "update"), site("Clone.fc.weight", "update", optimizer="Adam.2")]
    trained = {"steps": 40, "sites": sites}
    by = ["Adam.2"] * 6 + ["Adam.3"] * 34
    assert findings("RUN01", trace_of(events=events, optimizer=by, **trained)) == []
    events.append(event("optimizer", 6, name="Adam.3", replaces="Adam.2"))
    assert findings("RUN01", trace_of(events=events, optimizer=by, **trained))


def test_without_recorded_modes_nothing_can_be_said():
    assert skip_reasons("RUN01", trace_of(steps=40))


# RUN03


def test_a_missing_seed_is_noted():
    [finding] = findings("RUN03", trace_of(steps=2))
    assert finding.level is Severity.INFO


def test_a_seed_before_the_first_step_is_healthy():
    seed = event("seed", 0, function="manual_seed", seed=1)
    assert findings("RUN03", trace_of(steps=2, events=[seed])) == []


def test_a_window_of_the_run_says_nothing_about_seeds():
    assert skip_reasons("RUN03", trace_of(steps=20).window(last=5))


# RUN07


def loader(dataset_size=320, batch_size=32, **payload):
    return event("loader", loader=0, dataset_size=dataset_size, batch_size=batch_size, **payload)


MS = 1_000_000


def waiting(wait_ms, *, step_ms=20.0, steps=40, **columns):
    return trace_of(
        steps=steps,
        sampled=[],
        duration_ns=int(step_ms * MS),
        data_wait_ns=int(wait_ms * MS),
        events=[loader()],
        **columns,
    )


@pytest.mark.parametrize(("wait", "found"), [(10.1, 1), (9.9, 0)])
def test_more_than_half_of_the_step_spent_on_waiting_is_found(wait, found):
    results = findings("RUN07", waiting(wait))
    assert len(results) == found


@pytest.mark.parametrize(("wait", "found"), [(5.1, 1), (4.9, 0)])
def test_a_few_milliseconds_are_the_loops_own_python(wait, found):
    assert len(findings("RUN07", waiting(wait, step_ms=6.0))) == found


@pytest.mark.parametrize(("steps", "level"), [(299, Severity.INFO), (300, Severity.WARNING)])
def test_waiting_of_a_few_seconds_in_all_is_a_fact(steps, level):
    [finding] = findings("RUN07", waiting(10.0, step_ms=15.0, steps=steps))
    assert finding.level is level


@pytest.mark.parametrize(("starved", "found"), [(0.1, 1), (0.5, 0)])
def test_time_in_which_other_work_had_the_processor_is_taken_off(starved, found):
    events = [loader(), event("rank_stop", 40, starved=starved)]
    rows = trace_of(steps=40, sampled=[], duration_ns=12 * MS, data_wait_ns=8 * MS, events=events)
    assert len(findings("RUN07", rows)) == found


@pytest.mark.parametrize(("known", "found"), [(20, 1), (19, 0), (0, 0)])
def test_steps_of_which_the_waiting_is_known_are_enough(known, found):
    """`fit` of Keras is asked now and then."""
    wait = [None] * 20 + [8 * MS] * known + [None] * (60 - known)
    rows = trace_of(steps=80, sampled=[], duration_ns=12 * MS, data_wait_ns=wait, events=[loader()])
    assert bool(skip_reasons("RUN07", rows)) is not bool(found)
    if found:
        (finding,) = findings("RUN07", rows)
        assert finding.evidence["steps"] == known


def test_a_loop_over_tf_data_has_no_loader_and_waits_all_the_same():
    rows = trace_of(steps=40, sampled=[], duration_ns=12 * MS, data_wait_ns=8 * MS)
    assert len(findings("RUN07", rows)) == 1


@pytest.mark.parametrize(("steps", "skipped"), [(24, True), (25, False)])
def test_waiting_is_judged_over_twenty_steps(steps, skipped):
    assert bool(skip_reasons("RUN07", waiting(1.0, steps=steps))) == skipped
