import math

import numpy as np
import pytest
from rules.builders import batch, batches, event, findings, site, skip_reasons, trace_of
from rules.loss.loss_rows import LN10, classified, noisy, stuck

from nntrace.rules import Severity


@pytest.mark.parametrize(("level", "found"), [(0.98, 1), (0.96, 0), (1.08, 1), (1.12, 0)])
def test_a_loss_at_the_logarithm_of_the_classes_is_an_error(level, found):
    results = findings("LOS11", classified(noisy(np.full(400, level * LN10), 0.02)))
    assert len(results) == found
    assert all(finding.level is Severity.ERROR for finding in results)


@pytest.mark.parametrize(("last", "found"), [(99, 0), (100, 1)])
def test_of_several_fits_the_last_must_have_had_its_hundred_steps(last, found):
    rows = batches(10, loss_function="cross_entropy", classes=10, batch_size=32)
    losses = noisy(np.concatenate([np.linspace(LN10, 1.0, 200), np.full(last, LN10)]), 0.02)
    names = ["SGD"] * 200 + ["SGD.2"] * last
    trace = trace_of(loss=losses, batches=rows, optimizer=names)
    assert len(findings("LOS11", trace) if found else skip_reasons("LOS11", trace)) == 1


@pytest.mark.parametrize(
    ("terms", "end", "found"),
    [(2, 0.75, 0), (2, 0.85, 1), (1, 0.75, 1)],
    ids=["their sum falls", "their sum stays", "one call"],
)
def test_the_first_of_several_calls_of_a_loss_may_stay_where_their_sum_falls(terms, end, found):
    names = ["cross_entropy", "cross_entropy#2"][:terms]
    first = noisy(np.full(400, LN10), 0.02)
    rows = batches(400, loss_function="cross_entropy", loss_value=first, classes=10, batch_size=32)
    whole = np.concatenate([np.full(40, 4.6), np.linspace(4.6, end * 4.6, 200)])
    whole = np.concatenate([whole, np.full(160, end * 4.6)])
    objective = event("objective", terms=names, weights=[1.0] * terms)
    assert len(findings("LOS11", trace_of(loss=whole, batches=rows, events=[objective]))) == found


def uneven(way, steps=400):
    """Losses that take so many steps down to the entropy of uneven labels, and stay there."""
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    loss = np.concatenate([np.linspace(0.69, entropy, way), np.full(steps - way, entropy)])
    rows = batches(
        steps,
        loss_function="cross_entropy",
        classes=2,
        batch_size=50,
        label_values=(0, 1),
        label_counts=(45, 5),
    )
    return trace_of(loss=noisy(loss, 0.01), batches=rows)


def test_a_loss_at_the_entropy_of_uneven_labels_is_an_error():
    [finding] = findings("LOS11", uneven(50))
    assert finding.evidence["chance_is"] == "label entropy"
    assert finding.level is Severity.ERROR
    assert 30 <= finding.steps[0] <= 80


@pytest.mark.parametrize(("way", "level"), [(60, Severity.ERROR), (120, Severity.INFO)])
def test_a_loss_that_has_just_come_to_the_frequencies_of_labels_is_noted(way, level):
    [finding] = findings("LOS11", uneven(way))
    assert finding.level is level
    assert ("Train on" in finding.advice) is (level is Severity.INFO)


@pytest.mark.parametrize(
    ("targets", "rare", "level"),
    [
        (24, 1, Severity.INFO),
        (26, 1, Severity.ERROR),
        (149, 20, Severity.INFO),
        (151, 20, Severity.ERROR),
    ],
)
def test_classes_of_which_few_were_seen_cannot_have_been_learned_yet(targets, rare, level):
    [finding] = findings("LOS11", stuck(targets, rare=rare))
    assert finding.level is level


def test_a_bad_start_above_even_labels_is_no_learning_of_their_frequencies():
    loss = np.concatenate([np.linspace(2 * LN10, LN10, 120), np.full(280, LN10)])
    rows = batches(
        400,
        loss_function="cross_entropy",
        classes=10,
        batch_size=50,
        label_values=tuple(range(10)),
        label_counts=(5,) * 10,
    )
    [finding] = findings("LOS11", trace_of(loss=noisy(loss, 0.01), batches=rows))
    assert finding.level is Severity.ERROR


def test_a_squared_error_at_the_variance_of_the_targets_is_an_error():
    rows = batches(
        400, loss_function="mse_loss", batch_size=32, target_mean=[0.5, -0.5] * 200, target_std=2.0
    )
    assert findings("LOS11", trace_of(loss=noisy(np.full(400, 4.25)), batches=rows))
    assert findings("LOS11", trace_of(loss=noisy(np.full(400, 3.0)), batches=rows)) == []


@pytest.mark.parametrize(("steps", "level"), [(120, Severity.WARNING), (200, Severity.ERROR)])
def test_a_short_run_at_chance_is_only_a_warning(steps, level):
    [finding] = findings("LOS11", classified(noisy(np.full(steps, LN10), 0.02)))
    assert finding.level is level


def test_fewer_than_a_hundred_steps_at_full_learning_rate_are_not_judged():
    assert skip_reasons("LOS11", classified(np.full(99, LN10)))
    assert findings("LOS11", classified(np.full(100, LN10)))
    assert skip_reasons("LOS11", classified(np.full(150, LN10), lr=np.linspace(0, 0.1, 150)))


def outputs(between, path="head"):
    """Ten logits whose spread is by this part between examples."""
    shape = {"module_type": "Linear", "shape": [32, 10]}
    return site(path, "activation", std=1.0, example_std=between, **shape)


@pytest.mark.parametrize(("between", "found"), [(0.14, 1), (0.16, 0)])
@pytest.mark.parametrize(("level", "at_chance"), [(0.96, True), (0.94, False), (1.1, False)])
def test_a_loss_little_below_chance_is_blamed_where_examples_are_alike(
    between, found, level, at_chance
):
    loss = noisy(np.full(120, level * LN10), 0.02)
    results = findings("LOS11", classified(loss, sites=[outputs(between)]))
    assert len(results) == (found if at_chance else 0)


@pytest.mark.parametrize(("steps", "judged"), [(30, True), (29, False)])
def test_thirty_steps_tell_where_examples_are_alike(steps, judged):
    trace = classified(np.full(steps, LN10), sites=[outputs(0.01)])
    assert bool(skip_reasons("LOS11", trace)) is not judged


def test_the_layer_from_which_examples_are_alike_is_named():
    layers = [outputs(0.9, "one"), outputs(0.05, "two"), outputs(0.02, "head")]
    [finding] = findings("LOS11", classified(np.full(100, LN10), sites=layers))
    assert finding.evidence["alike_from"] == "two"
    assert "from two on" in finding.message


def test_a_loss_that_is_just_leaving_chance_is_healthy():
    loss = LN10 * np.concatenate([np.full(200, 1.0), np.linspace(1.0, 0.95, 200)])
    assert findings("LOS11", classified(noisy(loss, 0.01))) == []


@pytest.mark.parametrize(("fall", "found"), [(0.06, 0), (0.0, 1)])
def test_the_losses_of_all_steps_tell_that_it_falls_where_few_are_sampled(fall, found):
    course = np.concatenate([np.full(60, 1.03), np.linspace(1.03, 1.03 - fall, 60)])
    accumulated = noisy(LN10 * course, 0.06) / 4.0
    sampled = range(0, 120, 3)
    values = [4.0 * accumulated[step] for step in sampled]
    known = {"loss_function": "cross_entropy", "classes": 10, "batch_size": 32}
    rows = [
        batch(step, loss_value=value, **known) for step, value in zip(sampled, values, strict=True)
    ]
    assert len(findings("LOS11", trace_of(loss=accumulated, batches=rows))) == found


@pytest.mark.parametrize("seed", range(5))
def test_the_skewed_losses_of_tiny_batches_at_chance_are_found(seed):
    rng = np.random.default_rng(seed)
    rare = rng.binomial(8, 0.2, 4000)
    loss = (rare * -math.log(0.2) + (8 - rare) * -math.log(0.8)) / 8
    rows = batches(
        4000,
        loss_function="cross_entropy",
        classes=2,
        batch_size=8,
        label_values=(0, 1),
        label_counts=[(8 - int(k), int(k)) for k in rare],
    )
    assert findings("LOS11", trace_of(loss=loss, batches=rows))


def test_a_loss_too_noisy_to_tell_is_not_judged():
    assert skip_reasons("LOS11", classified(noisy(np.full(120, LN10), noise=1.0)))


def test_a_penalty_added_to_the_loss_does_not_hide_that_it_is_at_chance():
    values = noisy(np.full(400, LN10), 0.02)
    rows = batches(400, loss_function="cross_entropy", loss_value=values, classes=10)
    assert findings("LOS11", trace_of(loss=values + 3.0, batches=rows))


def test_an_unknown_loss_function_has_no_chance_value():
    assert skip_reasons("LOS11", classified(np.full(300, 1.0), function="huber_loss"))


def test_several_loss_functions_have_no_common_chance_value():
    rows = [batch(0, loss_function="mse_loss"), batch(1, loss_function="cross_entropy")]
    assert skip_reasons("LOS11", trace_of(loss=[1.0] * 300, batches=rows))


@pytest.mark.parametrize(("end", "found"), [(0.97, 0), (0.999, 1)])
def test_a_loss_that_leaves_chance_slowly_but_surely_is_not_stuck(end, found):
    slow = LN10 * np.concatenate([np.full(60, 1.0), np.linspace(1.0, end, 130)])
    assert len(findings("LOS11", classified(noisy(slow, 0.01)))) == found


@pytest.mark.parametrize(
    ("ratio", "cosine", "unguided"),
    [(0.029, 0.0, True), (0.031, 0.0, False), (0.02, -0.09, True), (0.02, -0.11, False)],
)
def test_steps_that_are_not_long_and_turn_nowhere_are_not_why_a_loss_stays_at_chance(
    ratio, cosine, unguided
):
    owner = {"shape": [64, 64], "numel": 4096, "module_type": "Linear"}
    sizes = {"param": 1.0, "update": ratio}.items()
    steps = [site("a.weight", role, rms=rms, **owner) for role, rms in sizes]
    loss = noisy(np.full(400, LN10), 0.02)
    [finding] = findings("LOS11", classified(loss, sites=steps, gradient_cosine=cosine))
    assert finding.not_explained_by == (("UPD01",) if unguided else ())
    assert finding.explains == (("UPD01",) if unguided else ())


@pytest.mark.parametrize(("smoothing", "level"), [(0.85, Severity.WARNING), (0.7, Severity.ERROR)])
def test_a_loss_that_label_smoothing_holds_at_chance_blames_the_smoothing(smoothing, level):
    call = event("loss_call", 0, function="cross_entropy", classes=10, label_smoothing=smoothing)
    [finding] = findings("LOS11", classified(noisy(np.full(400, LN10), 0.01), events=[call]))
    assert finding.level is level
    assert ("`label_smoothing=0.85`" in finding.message) is (level is Severity.WARNING)


@pytest.mark.parametrize(
    ("terms", "last", "found"),
    [
        (["other", "mse_loss"], 0.8, 0),
        (["other", "mse_loss"], 0.4, 1),
        (["mse_loss"], 0.8, 1),
    ],
)
def test_returns_that_move_with_a_policy_are_not_foreseen_by_its_critic(terms, last, found):
    mean = np.linspace(0.4, last, 400)
    loss = noisy(np.full(400, 0.16 + mean.var()), 0.001)
    columns = {"target_mean": mean, "target_std": np.full(400, 0.4), "loss_value": loss}
    rows = batches(400, loss_function="mse_loss", batch_size=32, **columns)
    objective = event("objective", 0, terms=terms)
    run = trace_of(loss=loss, batches=rows, events=[objective])
    assert len(findings("LOS11", run) if found else skip_reasons("LOS11", run)) == 1
