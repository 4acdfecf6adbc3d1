import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity
from nntrace.schema import RunStatus

RNG = np.random.default_rng(0)
FALLING = 2.0 * np.exp(-np.arange(200) / 60) + 0.1
NOISE = RNG.normal(0, 0.02, 200)


def course(values, **columns):
    return trace_of(loss=list(map(float, values)), **columns)


# LOS09


def spiked(height, width, at=150):
    values = FALLING + NOISE
    values[at : at + width] += height
    return course(values)


@pytest.mark.parametrize(("width", "found"), [(1, 0), (2, 0), (3, 1), (8, 1)])
def test_a_jump_that_lasts_three_steps_is_a_spike(width, found):
    results = findings("LOS09", spiked(3.0, width))
    assert len(results) == found
    assert all(finding.steps == (150, 150 + width - 1) for finding in results)


@pytest.mark.parametrize(("height", "found"), [(0.9, 0), (1.2, 1)])
def test_a_jump_within_half_of_the_first_loss_is_a_hard_batch(height, found):
    assert len(findings("LOS09", spiked(height, 5))) == found


def test_a_spike_at_the_end_has_not_recovered():
    [finding] = findings("LOS09", spiked(3.0, 5, at=195))
    assert "not come back" in finding.message


@pytest.mark.parametrize(
    ("function", "every", "skipped"), [("mse_loss", 1, 1), ("mse_loss", 2, 0), ("nll_loss", 1, 0)]
)
def test_a_network_that_makes_the_targets_of_every_step_may_be_renewed(function, every, skipped):
    passes = [event("evaluation", step, group=0) for step in range(0, 60, every)]
    values = FALLING + NOISE
    values[150:158] += 3.0
    trace = course(values, events=[event("loss_call", function=function), *passes])
    assert len(skip_reasons("LOS09", trace)) == skipped


@pytest.mark.parametrize("seed", range(5))
def test_the_losses_of_small_batches_are_no_spikes(seed):
    rng = np.random.default_rng(seed)
    assert findings("LOS09", course(rng.lognormal(0, 1.0, 300) * np.linspace(2, 0.3, 300))) == []


# LOS10


def alternating(size, drift=0.0, count=100):
    steps = np.arange(count)
    values = 1.0 + size / 2 * (-1.0) ** steps + drift * (1 - steps / count)
    return course(values)


@pytest.mark.parametrize(("size", "found"), [(0.09, 0), (0.11, 1)])
def test_a_loss_that_alternates_by_a_tenth_is_a_warning(size, found):
    assert len(findings("LOS10", alternating(size))) == found


@pytest.mark.parametrize(("drift", "found"), [(1.2, 0), (0.4, 1)])
def test_an_alternation_within_the_progress_made_is_healthy(drift, found):
    assert len(findings("LOS10", alternating(0.2, drift=drift))) == found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [40, 100, 1000])
def test_noise_does_not_oscillate(seed, count):
    values = 1.0 + 0.3 * np.random.default_rng(seed).normal(size=count)
    assert findings("LOS10", course(np.abs(values))) == []


@pytest.mark.parametrize(("size", "found"), [(0.9e-4, 0), (1.1e-4, 1)])
def test_what_is_left_of_a_solved_problem_may_alternate(size, found):
    values = np.concatenate([np.ones(10), size * (1.0 + 0.5 * (-1.0) ** np.arange(100))])
    assert len(findings("LOS10", course(values))) == found


def test_two_batches_in_turn_have_different_losses():
    rows = batches(100, fingerprint=[1, 2] * 50)
    values = [1.2, 0.8] * 50
    assert skip_reasons("LOS10", trace_of(loss=values, batches=rows))


# LOS15


@pytest.mark.parametrize(("end", "found"), [(0.95, 0), (0.8, 1)])
def test_a_loss_that_falls_to_the_end_is_a_note(end, found):
    values = np.concatenate([np.linspace(3, 1, 150), np.linspace(1, end, 50)])
    values += RNG.normal(0, 0.003, 200)
    assert len(findings("LOS15", course(values))) == found


def test_a_learning_rate_decayed_to_the_end_is_no_early_stop():
    values = np.linspace(3, 1, 200)
    assert findings("LOS15", course(values, lr=np.linspace(1, 0.19, 200))) == []
    assert findings("LOS15", course(values, lr=np.linspace(1, 0.21, 200)))


def test_a_run_that_still_goes_on_is_not_judged(monkeypatch):
    trace = course(np.linspace(3, 1, 200))
    monkeypatch.setattr(type(trace), "status", RunStatus.RUNNING)
    assert skip_reasons("LOS15", trace)


# LOS20


def easy(loss_at_40, first=2.3, sizes=32, prints=None, after=None, tensors=()):
    steps = 200
    values = np.full(steps, loss_at_40 if after is None else after)
    values[:80] = loss_at_40
    values[:20] = np.linspace(first, loss_at_40, 20)
    rows = batches(
        steps,
        loss_function="cross_entropy",
        classes=10,
        batch_size=sizes,
        fingerprint=list(range(steps)) if prints is None else prints,
        loss_value=values.tolist(),
    )
    return trace_of(loss=values.tolist(), batches=rows, tensors=tensors)


def kept(role, values, dtype="float32"):
    path = "input.0" if role == "input" else "cross_entropy"
    values = np.asarray(values, dtype=np.float64)
    shape = list(values.shape)
    row = {"step": 0, "role": role, "path": path, "dtype": dtype, "stride": 1}
    return row | {"shape": shape, "kept_shape": shape, "values": values.ravel().tolist()}


CLASSES = np.arange(16) % 3
FEATURES = np.random.default_rng(0).normal(size=(16, 5))


def with_column(values):
    return np.column_stack([FEATURES, values])


@pytest.mark.parametrize(
    ("inputs", "target", "named"),
    [
        (with_column(7.0 - CLASSES), CLASSES, "column 5 of input.0"),
        (np.column_stack([FEATURES, np.eye(3)[CLASSES]]), np.eye(3)[CLASSES], "columns 5, 6, 7 of"),
        (with_column(3.0 * FEATURES[:, 0] + 1.0)[:, 1:], FEATURES[:, :1], "column 4 of input.0"),
        (np.stack([FEATURES, FEATURES[::-1]], axis=1), FEATURES[:, 2], "column 2 of input.0"),
    ],
)
def test_a_column_that_is_the_target_is_named_and_a_warning(inputs, target, named):
    tensors = [kept("input", inputs), kept("target", target)]
    [finding] = findings("LOS20", easy(0.01, tensors=tensors))
    assert finding.level is Severity.WARNING
    assert named in finding.message


@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        (
            with_column(CLASSES + 0.01 * FEATURES[:, 0]),
            CLASSES,
        ),  # tells them apart
        (with_column(CLASSES == 1), CLASSES),  # one class against the others
        (with_column(CLASSES)[:9], CLASSES[:9]),  # too few
        (np.empty((0, 5)), np.empty(0)),
        (with_column(CLASSES), np.float64(1.0)),
        (with_column(CLASSES)[:, 5:], CLASSES),  # there is nothing else to learn from
        (with_column(FEATURES[:, 0] + 0.1 * FEATURES[:, 1]), FEATURES[:, 0] + 0.1 * FEATURES[:, 2]),
    ],
)
def test_an_easy_problem_without_a_column_that_is_the_target_is_a_note(inputs, target):
    tensors = [kept("input", inputs), kept("target", target)]
    [finding] = findings("LOS20", easy(0.01, tensors=tensors))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("level", "found"), [(0.0229, 1), (0.0231, 0)])
def test_a_loss_below_a_hundredth_of_chance_within_forty_steps_is_reported(level, found):
    assert len(findings("LOS20", easy(level))) == found


def test_a_loss_that_comes_back_was_luck():
    assert findings("LOS20", easy(0.01, after=0.5)) == []


def test_trained_weights_may_begin_low():
    assert skip_reasons("LOS20", easy(0.001, first=0.1))


def test_one_batch_learned_by_heart_is_not_judged():
    assert skip_reasons("LOS20", easy(0.001, prints=[7] * 200))
    assert skip_reasons("LOS20", easy(0.001, sizes=10, prints=[1, 2, 3, 4] * 50))


IDS = np.random.default_rng(1).integers(0, 10, size=(8, 12))


def next_ids(end, *, given=IDS, targets=IDS, between=(8, 12, 32), target_mean=4.5):
    """A trace of a model over ids, whose loss falls from ln 10 to a share `end` of it."""
    falling = np.geomspace(np.log(10), end * np.log(10), 200).tolist()
    rows = batches(
        200,
        loss_function="cross_entropy",
        classes=10,
        batch_size=8,
        fingerprint=list(range(200)),
        loss_value=falling,
        input_integer_valued=True,
        input_mean=4.5,
        input_std=3.0,
        target_mean=target_mean,
        target_std=3.0,
    )
    layer = site("block", "activation", shape=list(between), numel=int(np.prod(between)))
    tensors = [kept("input", given, "int64"), kept("target", targets, "int64")]
    return trace_of(loss=falling, batches=rows, tensors=tensors, sites=[layer])


@pytest.mark.parametrize(
    ("end", "level"), [(0.05, Severity.WARNING), (0.3, Severity.INFO)], ids=["told", "early"]
)
@pytest.mark.parametrize("targets", [IDS, IDS.ravel()], ids=["rows", "flat"])
def test_targets_that_are_the_ids_given_are_named(end, level, targets):
    [finding] = findings("LOS20", next_ids(end, targets=targets))
    assert finding.level is level
    assert "the same ids as input.0" in finding.message


def test_ids_that_pass_through_fewer_numbers_are_put_together_again():
    [finding] = findings("LOS20", next_ids(0.05, between=(8, 32)))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(
    "other",
    [
        {"given": IDS[:, :-1], "targets": IDS[:, 1:]},
        {"targets": IDS[:, ::-1]},
        {"target_mean": 4.6},
        {"given": IDS % 3, "targets": IDS % 3},
        {"given": np.empty((0, 12)), "targets": np.empty((0, 12))},
    ],
    ids=["next", "reversed", "other batches differ", "few ids", "none"],
)
def test_targets_that_differ_from_the_ids_given_are_healthy(other):
    assert findings("LOS20", next_ids(0.05, **other)) == []
