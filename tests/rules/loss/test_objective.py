import pytest
from rules.builders import batches, event, findings, skip_reasons, summed, trace_of

from nntrace.rules import Severity

OBJECTIVE = event("objective", terms=["other"], clamped=True, file="train.py", line=5)


# LOS16


@pytest.mark.parametrize(("large", "found"), [(99.0, 0), (101.0, 1)])
def test_a_loss_a_hundred_times_another_is_a_warning(large, found):
    trace = summed(["mse_loss", "cross_entropy"], (large, 1.0))
    results = findings("LOS16", trace)
    assert len(results) == found
    assert all("Multiply `mse_loss` by about 0.01" in finding.advice for finding in results)


@pytest.mark.parametrize(("small", "found"), [(0.49, 0), (0.51, 1)])
def test_a_small_loss_that_falls_by_half_on_its_own_is_healthy(small, found):
    values = [(900.0, 1.0)] * 5 + [(900.0, small)] * 15
    assert len(findings("LOS16", summed(["mse_loss", "cross_entropy"], values))) == found


@pytest.mark.parametrize(("small", "found"), [(5.1, 0), (4.9, 1)])
def test_a_small_loss_that_grows_with_the_model_is_no_neglected_task(small, found):
    values = [(9000.0, 1.0)] * 5 + [(9000.0, small)] * 15
    assert len(findings("LOS16", summed(["mse_loss", "cross_entropy"], values))) == found


def test_a_loss_that_becomes_small_beside_another_later_is_healthy():
    values = [(1.0, 1.0)] * 5 + [(300.0, 1.0)] * 15
    assert findings("LOS16", summed(["mse_loss", "cross_entropy"], values)) == []


@pytest.mark.parametrize(("small", "found"), [(0.0, 0), (1e-3, 1)])
def test_a_term_that_stays_at_zero_is_no_small_one(small, found):
    """As that of a chunk of tokens of which none counts."""
    terms = ["cross_entropy", "cross_entropy#2", "cross_entropy#3"]
    assert len(findings("LOS16", summed(terms, (20.0, small, 18.0)))) == found


@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_of_several_losses_are_needed(samples, skipped):
    trace = summed(["mse_loss", "cross_entropy"], (101.0, 1.0), samples)
    assert bool(skip_reasons("LOS16", trace)) is skipped


def test_terms_that_are_no_loss_functions_are_not_compared():
    assert skip_reasons("LOS16", summed(["cross_entropy", "penalty"], (1.0, 1000.0)))


@pytest.mark.parametrize(
    ("optimizers", "others", "found"),
    [
        (["Adam", "Adam#2"], ["cross_entropy", "cross_entropy#2"], 0),
        (["Adam", "Adam#2"], ["l1_loss", "l1_loss#2"], 1),
        (["Adam"], ["cross_entropy", "cross_entropy#2"], 1),
    ],
)
def test_a_small_loss_that_another_optimizer_works_against_is_no_neglected_task(
    optimizers, others, found
):
    names = ("mse_loss", "cross_entropy")
    rows = batches(20, term_names=names, term_values=(999.0, 1.0))
    objectives = [event("objective", terms=list(names)), event("objective", terms=others)]
    steps = {"optimizer": optimizers * (20 // len(optimizers)), "steps": 20}
    trace = trace_of(batches=rows, events=objectives, **steps)
    assert len(findings("LOS16", trace)) == found


# LOS17


@pytest.mark.parametrize(("share", "found"), [(0.009, 0), (0.011, 1)])
def test_a_clamp_that_cuts_losses_off_is_a_warning(share, found):
    rows = batches(10, clamped_fraction=share)
    trace = trace_of(steps=10, batches=rows, events=[OBJECTIVE])
    results = findings("LOS17", trace)
    assert len(results) == found
    assert all(finding.location.line == 5 for finding in results)


@pytest.mark.parametrize(("active", "found"), [(2, 0), (3, 1)])
def test_a_clamp_must_be_active_in_a_quarter_of_the_samples(active, found):
    rows = batches(12, clamped_fraction=[0.3] * active + [0.0] * (12 - active))
    assert len(findings("LOS17", trace_of(steps=12, batches=rows, events=[OBJECTIVE]))) == found


@pytest.mark.parametrize(("samples", "skipped"), [(4, True), (5, False)])
def test_five_samples_of_a_clamp_are_needed(samples, skipped):
    rows = batches(samples, clamped_fraction=0.3)
    trace = trace_of(steps=12, batches=rows, events=[OBJECTIVE])
    assert bool(skip_reasons("LOS17", trace)) is skipped


def test_without_a_clamp_there_is_nothing_to_say():
    plain = event("objective", terms=["cross_entropy"])
    assert findings("LOS17", trace_of(steps=9, batches=batches(9), events=[plain])) == []
    assert skip_reasons("LOS17", trace_of(steps=9, batches=batches(9)))


# LOS19


def reduced(loss, value=64.0, optimizer="SGD", size=32, reduction="sum", samples=8):
    rows = batches(samples, loss_function="mse_loss", loss_value=value, batch_size=size)
    call = event("loss_call", function="mse_loss", reduction=reduction, file="train.py", line=4)
    built = [event("optimizer", **{"class": optimizer})] if optimizer else []
    events = [call, *built]
    return trace_of(steps=8, loss=[loss] * 8, batches=rows, events=events)


@pytest.mark.parametrize(("loss", "found"), [(64.0, 1), (2.0, 0), (57.0, 0), (58.0, 1)])
def test_a_sum_that_nothing_divides_is_a_warning(loss, found):
    assert len(findings("LOS19", reduced(loss))) == found


@pytest.mark.parametrize(("samples", "skipped"), [(4, True), (5, False)])
def test_five_samples_of_a_sum_are_needed(samples, skipped):
    assert bool(skip_reasons("LOS19", reduced(64.0, samples=samples))) is skipped


@pytest.mark.parametrize(("size", "found"), [(7, 0), (8, 1)])
def test_a_sum_over_a_few_examples_matters_little(size, found):
    assert len(findings("LOS19", reduced(64.0, size=size))) == found


def test_an_optimizer_that_normalises_makes_it_a_note():
    [finding] = findings("LOS19", reduced(64.0, optimizer="AdamW"))
    assert finding.level is Severity.INFO


def test_weights_that_the_program_changes_itself_feel_the_sum():
    [finding] = findings("LOS19", reduced(64.0, optimizer=""))
    assert finding.level is Severity.WARNING


def test_a_summed_loss_is_found_beside_an_averaged_one():
    calls = [
        event("loss_call", function="mse_loss", path=path, reduction=reduction)
        for path, reduction in (("mse_loss:a", "mean"), ("mse_loss:b", "sum"))
    ]
    given = {"loss_function": "mse_loss", "batch_size": 32}
    trace = trace_of(
        steps=8,
        loss=[66.0] * 8,
        batches=batches(8, loss_path="mse_loss:a", loss_value=2.0, **given),
        losses=batches(8, loss_path="mse_loss:b", loss_value=64.0, **given),
        events=calls,
    )
    [finding] = findings("LOS19", trace)
    assert "mse_loss:b" in finding.message


@pytest.mark.parametrize(
    ("terms", "weights", "found"),
    [
        (["mse_loss"], [0.9], 0),
        (["mse_loss"], [0.91], 1),
        (["cross_entropy", "mse_loss#2"], [1.0, 1 / 32], 0),  # divided beside a larger term
        (["cross_entropy"], [1.0], 0),  # what an attack climbs
        (["cross_entropy", "other"], [1.0, 1.0], 1),
    ],
)
def test_the_weight_that_the_objective_gives_to_a_sum_counts(terms, weights, found):
    events = [
        event("loss_call", function="mse_loss", reduction="sum"),
        event("optimizer", **{"class": "SGD"}),
        event("objective", terms=terms, weights=weights),
    ]
    rows = batches(8, loss_function="mse_loss", loss_value=64.0, batch_size=32)
    trace = trace_of(steps=8, loss=[64.0] * 8, batches=rows, events=events)
    assert len(findings("LOS19", trace)) == found


def test_a_mean_is_healthy():
    assert findings("LOS19", reduced(64.0, reduction="mean")) == []
