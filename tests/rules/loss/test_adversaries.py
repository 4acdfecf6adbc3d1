"""LOS20 on a generator and a discriminator that take turns."""

import pytest
from rules.builders import batch, event, run_rule, trace_of

from nntrace.rules import Severity
from nntrace.rules.finding import Finding

BCE = "binary_cross_entropy_with_logits"


def game(late, *, steps=300, real=1.0, fake=0.0, optimizers=("D", "G"), pairs=30, by=BCE):
    """Losses of a discriminator at every few steps; `late` is that of the last half on each."""
    at = [2 * n * (steps // (2 * pairs)) for n in range(pairs)]
    loss = [0.69 if n < pairs // 2 else late for n in range(pairs)]
    first, second = (
        [
            batch(
                step,
                loss_function=by,
                loss_path=path,
                loss_value=value,
                target_min=target,
                target_max=target,
            )
            for step, value in zip(at, loss, strict=True)
        ]
        for path, target in ((by, real), (f"{by}#2", fake))
    )
    call = event("loss_call", function=by, path=f"{by}#2", file="gan.py", line=9)
    turns = [optimizers[n % len(optimizers)] for n in range(steps)]
    return trace_of(
        loss=[1.0] * steps, batches=first, losses=second, events=[call], optimizer=turns
    )


def told(trace):
    results = run_rule("LOS20", trace)
    return [r for r in results if isinstance(r, Finding) and "discriminator" in r.message]


@pytest.mark.parametrize(("late", "found"), [(0.049, 1), (0.051, 0)])
def test_a_discriminator_that_errs_no_more_has_won(late, found):
    results = told(game(late))
    assert [finding.location.line for finding in results] == [9] * found
    assert [finding.level for finding in results] == [Severity.WARNING] * found


@pytest.mark.parametrize(
    ("late", "fake", "found"), [(0.0024, 0.0, 1), (0.0026, 0.0, 0), (0.0099, -1.0, 1)]
)
def test_squared_errors_are_judged_by_the_distance_of_their_two_targets(late, fake, found):
    results = told(game(late, fake=fake, by="mse_loss"))
    assert [finding.location.line for finding in results] == [9] * found


def test_squared_errors_of_other_targets_than_two_constants_are_no_game():
    assert told(game(1e-3, real=2.5, by="mse_loss")) == []


@pytest.mark.parametrize(("real", "found"), [(0.9, 1), (0.7, 0)])
def test_targets_of_real_examples_may_be_smoothed(real, found):
    assert len(told(game(0.01, real=real))) == found


def test_few_steps_of_a_discriminator_say_nothing():
    assert told(game(0.01, steps=160)) == []


def test_positive_and_negative_pairs_of_one_network_are_no_game():
    assert told(game(0.01, optimizers=("Adam",))) == []


def test_a_round_that_was_lost_in_between_is_a_game_that_goes_on():
    rows = [1e-3] * 24 + [0.9] + [1e-3] * 5
    values = [
        batch(
            10 * n,
            loss_function=BCE,
            loss_path=path,
            loss_value=value,
            target_min=target,
            target_max=target,
        )
        for path, target in ((BCE, 1.0), (f"{BCE}#2", 0.0))
        for n, value in enumerate(rows)
    ]
    lost = trace_of(
        loss=[1.0] * 300, batches=values[:30], losses=values[30:], optimizer=["D", "G"] * 150
    )
    assert told(lost) == []


def turns(generators, *, discriminators=0.02, label=0.0, terms=2, optimizers=("D", "G")):
    """Steps of a discriminator and of a generator in turn; both losses fall to these."""
    levels = [[0.69, 1.39], [generators, discriminators]]
    losses = [levels[n >= 100][1 - n % 2] for n in range(200)]
    rows = [
        batch(
            n,
            loss_function=BCE,
            loss_path=BCE,
            loss_value=losses[n],
            target_min=label if n % 2 else 1.0,
            target_max=label if n % 2 else 1.0,
            term_names=[BCE] if n % 2 else [BCE, f"{BCE}#2"][:terms],
            term_values=[losses[n]] if n % 2 else [losses[n] / 2] * terms,
        )
        for n in range(60)
    ]
    call = event("loss_call", function=BCE, path=BCE, file="gan.py", line=9)
    names = [optimizers[n % len(optimizers)] for n in range(200)]
    return trace_of(loss=losses, batches=rows, events=[call], optimizer=names)


# Half of 2 ln 2 is 0.693; the discriminator's loss counts twice, as it may be a mean.
@pytest.mark.parametrize(("generators", "found"), [(0.65, 1), (0.66, 0)])
def test_a_generator_that_is_told_to_be_recognised_is_a_warning(generators, found):
    results = told(turns(generators))
    assert ["have its examples recognised" in one.message for one in results] == [True] * found
    assert [finding.location.line for finding in results] == [9] * found


@pytest.mark.parametrize("change", [{"terms": 1}, {"optimizers": ("A",)}])
def test_two_losses_that_are_no_game_may_both_be_small(change):
    assert told(turns(0.02, **change)) == []
