import numpy as np
import pytest
from rules.builders import batch, trace_of

from nntrace.rules.common.chance import (
    chance_losses,
    entropy,
    expected_entropy,
    label_totals,
    target_variance,
    training_batches,
)


@pytest.mark.parametrize("size", [1, 2, 7, 40, 3000])
def test_the_expected_entropy_of_a_draw_is_that_of_simulated_draws(size):
    counts = [500, 300, 150, 50]
    rng = np.random.default_rng(0)
    draws = rng.multinomial(size, np.array(counts) / 1000, size=4000)
    simulated = np.mean([entropy(draw) for draw in draws])
    assert expected_entropy(counts, size) == pytest.approx(simulated, abs=0.01)


def test_the_variance_of_the_targets_includes_that_between_batches():
    rows = [batch(0, target_mean=1.0, target_std=2.0), batch(1, target_mean=-1.0, target_std=2.0)]
    mean, variance = target_variance(training_batches(trace_of(batches=rows)))
    assert (mean, variance) == (0.0, 5.0)


def test_labels_of_evaluation_batches_are_not_counted():
    rows = [
        batch(0, label_values=[0, 1], label_counts=[3, 4]),
        batch(0, phase="eval", label_values=[0], label_counts=[99]),
    ]
    assert label_totals(training_batches(trace_of(batches=rows))) == {0: 3, 1: 4}


def test_the_label_entropy_is_not_a_chance_value_while_few_labels_were_seen():
    rows = [batch(0, loss_function="nll_loss", classes=2, label_values=[0, 1], label_counts=[9, 1])]
    trace = trace_of(batches=rows)
    names = [chance.name for chance in chance_losses("nll_loss", training_batches(trace))]
    assert names == ["ln 2"]
