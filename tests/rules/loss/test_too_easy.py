import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity


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
# Which of 600 words each text has: some are rare, and some are met mostly in texts of one class.
WORDS = (
    np.random.default_rng(3).random((16, 600))
    < np.random.default_rng(4).choice([0.02, 0.1, 0.7], (3, 600))[CLASSES]
)


def with_column(values):
    return np.column_stack([FEATURES, values])


@pytest.mark.parametrize(
    ("inputs", "target", "named"),
    [
        (with_column(7.0 - CLASSES), CLASSES, "column 5 of input.0"),
        (np.column_stack([FEATURES, np.eye(3)[CLASSES]]), np.eye(3)[CLASSES], "columns 5, 6, 7 of"),
        (np.column_stack([FEATURES, np.eye(4)[CLASSES + (CLASSES > 0)]]), CLASSES, "5, 7, 8 of"),
        (with_column(3.0 * FEATURES[:, 0] + 1.0)[:, 1:], FEATURES[:, :1], "column 4 of input.0"),
        (np.stack([FEATURES, FEATURES[::-1]], axis=1), FEATURES[:, 2], "column 2 of input.0"),
    ],
)
def test_a_column_that_is_the_target_is_named_and_a_warning(inputs, target, named):
    tensors = [kept("input", inputs), kept("target", target)]
    [finding] = findings("LOS20", easy(0.01, tensors=tensors))
    assert finding.level is Severity.WARNING
    assert named in finding.message


WINDOWS = np.random.default_rng(1).normal(size=(16, 6, 1))


@pytest.mark.parametrize(
    ("inputs", "target", "named"),
    [
        (WINDOWS, WINDOWS[:, -1], "the last of the 6 steps of input.0"),
        (with_column(2.0 * CLASSES), CLASSES, "column 5 of input.0, counted from 0"),
    ],
    ids=["window", "row"],
)
def test_a_target_among_the_inputs_is_told_however_long_it_took_to_find(inputs, target, named):
    tensors = [kept("input", inputs), kept("target", target)]
    [finding] = findings("LOS20", easy(1.0, after=0.2, tensors=tensors))
    assert finding.level is Severity.WARNING
    assert named in finding.message


@pytest.mark.parametrize(
    ("place", "after"), [(0, 0.2), (-1, 0.25)], ids=["to be remembered", "not found"]
)
def test_a_target_at_the_beginning_of_a_sequence_is_to_be_remembered(place, after):
    tensors = [kept("input", WINDOWS), kept("target", WINDOWS[:, place])]
    assert findings("LOS20", easy(1.0, after=after, tensors=tensors)) == []


def test_a_negative_loss_is_no_share_of_chance():
    assert "negative" in skip_reasons("LOS20", easy(-1.0))[0]


def test_a_decoder_that_was_seen_to_be_given_its_targets_is_an_error():
    seen = event("causality", 40, text="input.1 holds its targets", given="input.1")
    [finding] = findings("LOS20", trace_of(loss=[1.0] * 60, events=[seen]))
    assert finding.level is Severity.ERROR
    assert "start token" in finding.advice
    assert finding.evidence == {}


@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        (
            with_column(CLASSES + 0.01 * FEATURES[:, 0]),
            CLASSES,
        ),  # tells them apart
        (with_column(CLASSES == 1), CLASSES),  # one class against the others
        (with_column(CLASSES)[:9], CLASSES[:9]),  # too few
        (WORDS, CLASSES),  # some of 600 words are met in one class only
        (np.column_stack([WORDS, CLASSES == 1]), CLASSES % 2),  # one of 600 that fits is chance
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


def next_ids(end, *, given=IDS, targets=IDS, between=(8, 12, 32), target_mean=4.5, beside=None):
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
    if beside is not None:
        tensors.insert(1, {**kept("input", beside, "int64"), "path": "input.1"})
    return trace_of(loss=falling, batches=rows, tensors=tensors, sites=[layer])


@pytest.mark.parametrize(
    ("end", "level"), [(0.05, Severity.WARNING), (0.3, Severity.INFO)], ids=["told", "early"]
)
@pytest.mark.parametrize("targets", [IDS, IDS.ravel()], ids=["rows", "flat"])
def test_targets_that_are_the_ids_given_are_named(end, level, targets):
    [finding] = findings("LOS20", next_ids(end, targets=targets))
    assert finding.level is level
    assert "is the id in input.0" in finding.message


@pytest.mark.parametrize("between", [(8, 12, 32), (8, 32)], ids=["attention", "summary"])
def test_a_decoder_that_is_given_its_targets_may_shift_them_inside(between):
    trace = next_ids(0.05, given=IDS[:, ::-1], beside=IDS, between=between, target_mean=4.6)
    [finding] = findings("LOS20", trace)
    assert finding.level is Severity.INFO
    assert "is the id in input.1" in finding.message


def test_a_decoder_that_still_has_to_learn_its_targets_shifts_them_inside():
    trace = next_ids(0.11, given=IDS[:, ::-1], beside=IDS, target_mean=4.6)
    assert findings("LOS20", trace) == []


def test_a_decoder_that_is_given_the_targets_before_is_healthy():
    assert findings("LOS20", next_ids(0.05, given=IDS[:, ::-1], beside=np.roll(IDS, 1, 1))) == []


def padded(ids):
    """The ids with a second half of each row that the loss leaves out."""
    return np.where(np.arange(ids.shape[1]) < 6, ids, -1)


@pytest.mark.parametrize("mask", [np.array, padded], ids=["whole", "padded"])
def test_a_model_that_computes_its_own_loss_may_be_given_the_next_ids(mask):
    following = mask(np.roll(IDS, -1, axis=1))
    trace = next_ids(0.3, beside=following, targets=following, target_mean=4.6)
    assert findings("LOS20", trace) == []


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


def test_a_model_that_was_seen_to_look_ahead_is_an_error():
    seen = event("causality", 40, text="the output depends on inputs", depends_on_after=16)
    [finding] = findings("LOS20", trace_of(loss=[1.0] * 60, events=[seen]))
    assert (finding.level, finding.steps) == (Severity.ERROR, (40, 40))
    assert "mask" in finding.advice


def test_the_layer_that_looks_ahead_is_named_and_advice_is_in_the_words_of_its_framework():
    seen = event("causality", 40, text="the output depends on inputs", layer="block/attention")
    sites = [
        site("block/attention", "activation", file="model.py", line=7),
        site("block/attention/kernel", "param", parent="block/attention"),
    ]
    [finding] = findings("LOS20", trace_of(loss=[1.0] * 60, events=[seen], sites=sites))
    assert "`block/attention` is the first layer that looks ahead" in finding.message
    assert (finding.location.file, finding.location.line) == ("model.py", 7)
    assert "use_causal_mask" in finding.advice


def test_a_mask_that_is_added_and_hides_nothing_is_an_error_at_its_line():
    added = event("axes", 0, what="mask", file="train.py", line=7)
    [finding] = findings("LOS20", trace_of(steps=20, events=[added]))
    assert finding.level is Severity.ERROR
    assert "-inf" in finding.advice
    assert finding.location.line == 7
