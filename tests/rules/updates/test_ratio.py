import numpy as np
import pytest
from rules.builders import batches, findings, run_rule, site, skip_reasons, trace_of
from rules.updates.parameter_rows import STEPS, STUCK, parameter, trace

from nntrace.rules import Severity

# UPD01


@pytest.mark.parametrize(
    ("ratio", "level"),
    [
        (0.9e-2, None),
        (1.1e-2, Severity.WARNING),
        (0.9e-1, Severity.WARNING),
        (1.1e-1, Severity.ERROR),
    ],
)
def test_large_lasting_updates_with_a_high_loss_are_blamed(ratio, level):
    results = findings("UPD01", trace(parameter("a.weight", update=ratio)))
    assert [finding.level for finding in results] == ([level] if level else [])


@pytest.mark.parametrize(
    ("weights", "updates", "found"), [(0.0, 0, 1), (0.96, 0, 0), (0.96, 0.96, 1)]
)
def test_a_step_on_pruned_weights_is_compared_with_those_that_are_left(weights, updates, found):
    rows = parameter("a.weight", update=0.02)
    for row, share in zip(rows, (weights, 0.0, updates), strict=True):
        row["stats"]["zero_fraction"] = share
    assert len(findings("UPD01", trace(rows))) == found


@pytest.mark.parametrize(("end", "found"), [(1.2, 1), (1.1, 0)])
def test_large_updates_under_which_the_loss_halves_are_healthy(end, found):
    loss = [*[2.3] * 10, *[end] * 30]
    assert len(findings("UPD01", trace(parameter("a.weight", update=0.05), loss=loss))) == found


@pytest.mark.parametrize(("end", "found"), [(1.95, 1), (1.75, 0)])
def test_large_updates_under_which_the_loss_falls_to_the_end_are_healthy(end, found):
    loss = np.linspace(2.3, end, STEPS).tolist()
    assert len(findings("UPD01", trace(parameter("a.weight", update=0.05), loss=loss))) == found


@pytest.mark.parametrize(
    ("steps", "falls_until", "noise", "found"),
    [
        (40, 40, 0.07, 0),
        (60, 60, 0.07, 0),
        (198, 198, 0.15, 0),
        (60, 20, 0.07, 1),
        (198, 60, 0.15, 1),
        (200, 200, 0.15, 1),
    ],
)
def test_a_short_run_whose_loss_falls_as_far_as_so_few_steps_let_it_is_healthy(
    steps, falls_until, noise, found
):
    falling = np.interp(np.arange(steps), [0, falls_until], [1.1, 0.8])
    loss = (falling + noise * np.random.default_rng(0).standard_normal(steps)).tolist()
    rows = trace(parameter("a.weight", update=[0.016] * steps), loss=loss, steps=steps)
    assert len(findings("UPD01", rows)) == found


@pytest.mark.parametrize(("second", "judged"), [("SGD", True), ("SGD2", False)])
def test_updates_are_judged_in_the_phase_whose_loss_is(second, judged):
    """A copy of the model that each of several parties trains for a few steps has its own phase."""
    names = ["SGD"] * (STEPS - 12) + [second] * 12
    rows = trace(parameter("a.weight", update=0.05), optimizer=names)
    assert bool(findings("UPD01", rows) if judged else skip_reasons("UPD01", rows))


@pytest.mark.parametrize(("cosine", "found"), [(0.55, 0), (0.45, 1)])
@pytest.mark.parametrize("falls", [True, False])
def test_large_updates_do_not_overshoot_where_gradients_agree_and_the_loss_falls(
    cosine, found, falls
):
    loss = np.linspace(2.3, 1.95, STEPS).tolist() if falls else STUCK
    rows = trace(parameter("a.weight", update=0.05), loss=loss, gradient_cosine=cosine)
    assert len(findings("UPD01", rows)) == (found if falls else 1)


def words(rare, end, steps=120):
    """Large updates, and a loss that falls to the share `end` of the entropy of 100 words, of which
    half are `rare` times as rare as the others.
    """
    counts = np.repeat([rare, 1], 50)
    shares = counts / counts.sum()
    level = -float((shares * np.log(shares)).sum())
    loss = np.linspace(level, end * level, steps)
    rows = batches(
        steps,
        loss_function="cross_entropy",
        loss_value=loss,
        classes=100,
        batch_size=700,
        label_values=tuple(range(100)),
        label_counts=tuple(int(count) for count in counts),
    )
    large = parameter("a.weight", update=[0.03] * steps)
    return trace(large, loss=loss.tolist(), steps=steps, batches=rows)


@pytest.mark.parametrize(("rare", "end", "found"), [(20, 0.94, 0), (20, 0.97, 1), (1, 0.94, 1)])
def test_large_updates_under_which_uneven_words_are_told_apart_are_healthy(rare, end, found):
    assert len(findings("UPD01", words(rare, end))) == found


def test_the_large_first_steps_of_adam_are_healthy():
    early = [*[0.3] * 15, *[1e-3] * 25]
    assert not findings("UPD01", trace(parameter("a.weight", update=early)))


def test_one_layer_of_three_does_not_make_the_learning_rate_too_high():
    rows = [parameter(f"{name}.weight") for name in "ab"]
    assert not findings("UPD01", trace(*rows, parameter("c.weight", update=0.05)))


def test_weights_that_start_at_zero_have_no_ratio():
    zero = parameter("b.weight", size=[0.0, *[1e-3] * 39], update=1e-3)
    assert not findings("UPD01", trace(parameter("a.weight"), zero))


def test_embeddings_and_biases_have_no_say():
    rows = [
        parameter("a.weight"),
        parameter("a.bias", update=0.5, shape=(64,)),
        parameter("e.weight", update=0.5, kind="Embedding"),
    ]
    assert not findings("UPD01", trace(*rows))


def test_several_optimizers_are_blamed_from_the_error_level_on():
    names = ["Adam", "Adam.2"] * 20
    assert not findings("UPD01", trace(parameter("a.weight", update=0.05), optimizer=names))
    [finding] = findings("UPD01", trace(parameter("a.weight", update=0.2), optimizer=names))
    assert finding.level is Severity.ERROR


@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_of_updates_are_needed(samples, skipped):
    rows = trace(parameter("a.weight"), sampled=range(STEPS - samples, STEPS))
    assert bool(skip_reasons("UPD01", rows)) is skipped
    assert bool(skip_reasons("UPD02", rows)) is skipped


@pytest.mark.parametrize(("late", "skipped"), [(2, True), (3, False)])
def test_samples_of_the_first_half_alone_cannot_show_that_a_ratio_lasts(late, skipped):
    sampled = [*range(15), *range(STEPS - late, STEPS)]
    rows = trace(parameter("a.weight", update=0.05), sampled=sampled)
    assert bool(skip_reasons("UPD01", rows)) is skipped


@pytest.mark.parametrize(("steps", "skipped"), [(22, True), (23, False)])
def test_a_run_of_hardly_more_than_adams_first_steps_is_not_judged(steps, skipped):
    rows = trace(parameter("a.weight", update=0.05), loss=[2.3] * steps, steps=steps)
    assert bool(skip_reasons("UPD01", rows)) is skipped


# UPD02


@pytest.mark.parametrize(("ratio", "found"), [(0.9e-5, 1), (1.1e-5, 0)])
def test_tiny_lasting_updates_with_a_high_loss_are_a_warning(ratio, found):
    results = findings("UPD02", trace(parameter("a.weight", update=ratio)))
    assert len(results) == found
    assert all(finding.level is Severity.WARNING for finding in results)


@pytest.mark.parametrize(("signal", "spared"), [(0.04, ("ACT01",)), (0.03, ())])
def test_updates_far_smaller_than_a_weak_signal_makes_them_do_not_come_from_it(signal, spared):
    hidden = [site("a", "activation", rms=signal, module_type="Linear")]
    [finding] = findings("UPD02", trace(parameter("a.weight", update=1e-6), hidden))
    assert finding.not_explained_by == spared


@pytest.mark.parametrize(("end", "found"), [(2.1, 1), (2.0, 0)])
def test_tiny_updates_under_which_the_loss_falls_are_healthy(end, found):
    loss = [*[2.3] * 5, *[end] * 35]
    assert len(findings("UPD02", trace(parameter("a.weight", update=1e-6), loss=loss))) == found


def test_a_model_that_was_trained_before_needs_small_updates():
    rows = batches(STEPS, loss_function="cross_entropy", classes=10, batch_size=32, loss_value=0.1)
    loss = [0.1] * STEPS
    tiny = parameter("a.weight", update=1e-6)
    assert not findings("UPD02", trace(tiny, loss=loss, batches=rows))
    assert findings("UPD02", trace(tiny, batches=rows))


@pytest.mark.parametrize("order", [1, -1], ids=["warms up", "has decayed"])
def test_a_rate_that_warms_up_or_has_decayed_is_not_judged(order):
    rates = [*[1e-6] * 20, *[1e-2] * 20][::order]
    update = [*[1e-7] * 20, *[1e-3] * 20][::order]
    assert not findings("UPD02", trace(parameter("a.weight", update=update), lr=rates))


@pytest.mark.parametrize(("later", "found"), [(1e-6, 1), (1e-3, 0)])
def test_tiny_updates_are_judged_in_the_phase_whose_loss_is(later, found):
    half = STEPS // 2
    phases = {"lr": [1e-2] * half + [1e-6] * half, "optimizer": ["SGD"] * half + ["SGD_2"] * half}
    update = [1e-3] * half + [later] * half
    assert len(findings("UPD02", trace(parameter("a.weight", update=update), **phases))) == found


def test_updates_of_exactly_zero_are_another_rules():
    assert skip_reasons("UPD02", trace(parameter("a.weight", update=0.0)))


def test_losses_of_several_optimizers_cannot_be_told_apart():
    names = ["Adam", "Adam.2"] * 20
    assert skip_reasons("UPD02", trace(parameter("a.weight", update=1e-7), optimizer=names))


# all


@pytest.mark.parametrize("code", ["UPD01", "UPD02", "UPD04", "UPD06"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 20])
def test_degenerate_updates_raise_nothing(code, value, steps):
    rows = [parameter(f"{name}.weight", size=value, update=value, gradient=value) for name in "ab"]
    run_rule(code, trace(*rows, loss=value, steps=steps, lr=value))
    run_rule(code, trace_of())
