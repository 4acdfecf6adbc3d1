import pytest
from rules.builders import batch, batches, event, findings, site, skip_reasons, trace_of
from rules.loss.loss_rows import LN10, classified

from nntrace.rules import Severity


@pytest.mark.parametrize(("first", "found"), [(1.55, 1), (1.45, 0), (0.3, 0)])
def test_a_first_cross_entropy_beyond_one_and_a_half_times_chance_is_a_warning(first, found):
    results = findings("LOS01", classified([first * LN10, 2.0, 1.5]))
    assert len(results) == found
    assert all(finding.level is Severity.WARNING for finding in results)


@pytest.mark.parametrize(("times", "said"), [(2.5, " 2.5 times"), (1e12, " 1.0e+12 times")])
def test_how_many_times_too_large_it_is_has_no_more_digits_than_mean_something(times, said):
    [finding] = findings("LOS01", classified([times * LN10, 2.0, 1.5]))
    assert said in finding.message


def test_a_first_loss_far_below_chance_is_only_noted():
    [finding] = findings("LOS01", classified([0.2 * LN10, 0.2, 0.2]))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("first", "found"), [(1.1, 1), (1.0, 0)])
def test_binary_cross_entropy_starts_at_the_logarithm_of_two(first, found):
    trace = classified([first], function="binary_cross_entropy_with_logits", classes=1)
    assert len(findings("LOS01", trace)) == found


def test_the_first_loss_is_not_anothers_where_an_objective_of_its_own_comes_first():
    known = {"loss_function": "mse_loss", "target_mean": 0.0, "target_std": 1.0}
    rows = [batch(0), *(batch(step, **known, loss_value=1.0) for step in range(1, 9))]
    assert skip_reasons("LOS01", trace_of(loss=[0.0] + [1.0] * 8, batches=rows))


@pytest.mark.parametrize(("other", "judged"), [("other", False), ("penalty", True)])
def test_a_squared_error_beside_a_term_of_the_programs_own_may_be_the_lesser_one(other, judged):
    known = {"loss_function": "mse_loss", "target_mean": 0.0, "target_std": 1.0, "batch_size": 32}
    rows = batches(9, **known, loss_value=5.0)
    events = [event("objective", 0, terms=[other, "mse_loss"], weights=[1.0, 10.0])]
    trace = trace_of(loss=[5.0] * 9, batches=rows, events=events)
    assert findings("LOS01", trace) if judged else skip_reasons("LOS01", trace)


@pytest.mark.parametrize(("head", "found"), [("affine", True), ("cosine", False)])
def test_cosines_with_a_scale_start_with_a_high_loss_by_design(head, found):
    call = event("loss_call", 0, function="cross_entropy", path="cross_entropy", head=head)
    rows = batches(2, loss_function="cross_entropy", loss_value=20.0, batch_size=64, classes=10)
    output = [site("cross_entropy", "output", rms=12.0, std=12.0, q25=-8.0, q75=8.0)]
    trace = trace_of(loss=[20.0, 9.0], batches=rows, sites=output, events=[call])
    for code in ("LOS01", "INI05"):
        assert findings(code, trace) if found else skip_reasons(code, trace)


def test_a_weight_on_the_positive_class_is_no_bad_start():
    function = "binary_cross_entropy_with_logits"
    rows = batches(1, loss_function=function, loss_value=1.3, batch_size=64)
    small = [site(function, "output", rms=0.3)]
    assert skip_reasons("LOS01", trace_of(loss=[1.3], batches=rows, sites=small))
    large = [site(function, "output", rms=1.7)]
    assert findings("LOS01", trace_of(loss=[1.3], batches=rows, sites=large))


@pytest.mark.parametrize(("path", "judged"), [("dense/kernel", False), ("dense.weight", True)])
def test_a_mean_of_weighted_examples_is_not_compared_in_keras(path, judged):
    function = "binary_cross_entropy"
    rows = batches(9, loss_function=function, loss_value=1e-4, batch_size=64)
    sites = [site(path, "param", parent="dense"), site(function, "output", rms=0.5)]
    call = event("loss_call", function=function, weighted=True)
    trace = trace_of(loss=[1e-4] * 9, batches=rows, sites=sites, events=[call])
    assert findings("LOS01", trace) if judged else skip_reasons("LOS01", trace)


@pytest.mark.parametrize(("size", "level"), [(1.49, Severity.INFO), (1.51, Severity.WARNING)])
def test_first_logits_of_the_size_that_usual_weights_give_are_only_noted(size, level):
    rows = batches(1, loss_function="cross_entropy", loss_value=4.0, batch_size=64, classes=10)
    trace = trace_of(loss=[4.0], batches=rows, sites=[site("cross_entropy", "output", rms=size)])
    [finding] = findings("LOS01", trace)
    assert finding.level is level


@pytest.mark.parametrize(("size", "level"), [(1.49, Severity.INFO), (1.51, Severity.WARNING)])
def test_first_outputs_of_the_size_that_usual_weights_give_are_only_noted(size, level):
    rows = batches(
        3, loss_function="mse_loss", loss_value=2.0, target_mean=0.0, target_std=1.0, batch_size=64
    )
    trace = trace_of(loss=[2.0] * 3, batches=rows, sites=[site("mse_loss", "output", rms=size)])
    [finding] = findings("LOS01", trace)
    assert finding.level is level


@pytest.mark.parametrize(
    ("mean", "std", "first", "found"),
    [(0.0, 1.0, 1.6, 1), (0.0, 1.0, 1.4, 0), (150.0, 77.0, 29_000.0, 0), (0.0, 3.0, 12.0, 0)],
)
def test_squared_error_starts_at_the_mean_square_of_the_targets(mean, std, first, found):
    rows = batches(1, loss_function="mse_loss", loss_value=first, target_mean=mean, target_std=std)
    assert len(findings("LOS01", trace_of(loss=[first], batches=rows))) == found


@pytest.mark.parametrize(
    ("function", "rms", "found"),
    [
        ("cross_entropy", 0.99, 0),
        ("cross_entropy", 1.01, 1),
        ("mse_loss", 0.49, 0),
        ("mse_loss", 0.51, 1),
    ],
)
def test_outputs_near_zero_are_no_bad_start(function, rms, found):
    rows = batches(
        3, loss_function=function, loss_value=5.0, classes=10, target_mean=0.0, target_std=1.0
    )
    trace = trace_of(loss=[5.0] * 3, batches=rows, sites=[site(function, "output", rms=rms)])
    assert len(findings("LOS01", trace)) == found


@pytest.mark.parametrize(("first_std", "found"), [(1.2, 0), (1.0, 1)])
def test_a_first_batch_with_large_targets_is_compared_with_those(first_std, found):
    rows = batches(
        9,
        loss_function="mse_loss",
        loss_value=[1.6] + [0.9] * 8,
        target_mean=0.0,
        target_std=[first_std] + [1.0] * 8,
        batch_size=32,
    )
    assert len(findings("LOS01", trace_of(loss=[1.6] + [0.9] * 8, batches=rows))) == found


def test_an_autoencoder_whose_sigmoid_starts_at_one_half_is_healthy():
    rows = batches(
        1,
        loss_function="mse_loss",
        loss_value=0.23,
        target_mean=0.1,
        target_std=0.3,
        output_min=0.4,
        output_max=0.6,
    )
    assert findings("LOS01", trace_of(loss=[0.23], batches=rows)) == []


def test_the_first_losses_of_tiny_batches_are_averaged():
    values = [8.0, 2.0, 2.2, 1.9, 2.1]
    rows = batches(5, loss_function="cross_entropy", loss_value=values, classes=10, batch_size=2)
    assert findings("LOS01", trace_of(loss=values, batches=rows)) == []


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_loss_that_is_not_averaged_has_no_chance_value(reduction):
    call = event("loss_call", function="cross_entropy", reduction=reduction)
    assert skip_reasons("LOS01", classified([60.0], events=[call]))
    assert skip_reasons("LOS11", classified([60.0] * 300, events=[call]))


def test_a_window_without_the_first_step_says_nothing_about_the_start():
    trace = classified([9.0] * 20).window(last=10)
    assert skip_reasons("LOS01", trace)


def test_a_finding_points_at_the_call_of_the_loss_function():
    call = event("loss_call", function="cross_entropy", file="train.py", line=7, source="loss = …")
    [finding] = findings("LOS01", classified([9.0], events=[call]))
    assert (finding.location.file, finding.location.line) == ("train.py", 7)
