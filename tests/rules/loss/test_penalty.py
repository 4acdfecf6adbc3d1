import pytest
from rules.builders import findings, skip_reasons, summed


@pytest.mark.parametrize(("penalty", "found"), [(1.9, 0), (2.1, 1)])
def test_a_penalty_twice_the_loss_on_the_data_is_a_warning(penalty, found):
    assert len(findings("LOS24", summed(["cross_entropy", "penalty"], (1.0, penalty)))) == found


@pytest.mark.parametrize(("late", "found"), [(0.49, 0), (0.51, 1)])
def test_a_penalty_beside_data_that_fit_is_healthy(late, found):
    values = [(1.0, 9.0)] * 6 + [(late, 9.0)] * 14
    assert len(findings("LOS24", summed(["other", "penalty"], values))) == found


@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_of_a_penalty_are_needed(samples, skipped):
    trace = summed(["cross_entropy", "penalty"], (1.0, 9.0), samples)
    assert bool(skip_reasons("LOS24", trace)) is skipped


def test_a_penalty_that_is_large_only_at_the_start_is_healthy():
    values = [(1.0, 9.0)] * 9 + [(0.9, 0.5)] * 11
    assert findings("LOS24", summed(["other", "penalty"], values)) == []


@pytest.mark.parametrize(("late", "found"), [(0.91, 1), (0.89, 0)])
def test_a_penalty_that_weights_gave_way_to_is_told_where_the_data_never_fitted(late, found):
    values = [(1.0, 9.0)] * 6 + [(late, 1.7)] * 14
    assert len(findings("LOS24", summed(["other", "penalty"], values))) == found


def test_an_objective_without_a_penalty_is_not_judged():
    assert skip_reasons("LOS24", summed(["cross_entropy", "mse_loss"], (1.0, 9.0)))
