import numpy as np
import pytest
from rules.builders import batches, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 120
SAMPLED = range(0, STEPS, 10)
COUNT = len(SAMPLED)
FALLING = list(np.geomspace(1, 0.01, STEPS))


def trace(*sites, loss=1.0, **columns):
    columns = {"steps": STEPS, "sampled": SAMPLED, **columns}
    return trace_of(loss=loss, sites=sites, **columns)


# ACT09


def attention(path="attn", q25=0.5, q75=0.8):
    return site(path, "attention", module_type="Attention", q25=q25, q75=q75)


@pytest.mark.parametrize(("q75", "found"), [(0.049, 1), (0.051, 0)])
def test_rows_that_look_at_one_key_are_a_warning(q75, found):
    results = findings("ACT09", trace(attention(q25=0.0, q75=q75)))
    assert len(results) == found
    assert all(
        f.level is Severity.WARNING and "single key" in f.message and "root" in f.advice
        for f in results
    )


@pytest.mark.parametrize(("q25", "found"), [(0.996, 1), (0.994, 0)])
def test_even_rows_are_a_warning_where_the_loss_stays(q25, found):
    results = findings("ACT09", trace(attention(q25=q25, q75=1.0)))
    assert len(results) == found
    assert all("alike" in f.message and "positions" in f.advice for f in results)


@pytest.mark.parametrize(("q25", "q75"), [(0.999, 1.0), (0.0, 0.01)])
def test_a_model_that_learns_may_attend_as_it_likes(q25, q75):
    assert not findings("ACT09", trace(attention(q25=q25, q75=q75), loss=FALLING))


@pytest.mark.parametrize(("end", "found"), [(0.85, 1), (0.75, 0)])
def test_even_rows_are_healthy_while_the_loss_still_falls(end, found):
    falling = np.linspace(1.0, end, COUNT * 4).tolist()
    long = trace_of(
        loss=falling, sampled=range(0, COUNT * 4, 4), sites=[attention(q25=0.999, q75=1.0)]
    )
    assert len(findings("ACT09", long)) == found


@pytest.mark.parametrize(
    ("first", "level"), [(0.9, Severity.WARNING), (0.999, Severity.INFO)], ids=["became", "began"]
)
def test_attention_that_was_even_from_the_start_is_a_note(first, level):
    even = [first] * 2 + [0.999] * (COUNT - 2)
    [finding] = findings("ACT09", trace(attention(q25=even, q75=1.0)))
    assert finding.level is level


@pytest.mark.parametrize(("first", "found"), [(0.01, 1), (0.5, 0)])
def test_rows_that_are_sharp_from_the_first_step_are_named_while_the_loss_falls(first, found):
    falling = np.linspace(1.0, 0.7, COUNT * 4).tolist()
    q75 = [first] * 2 + [0.01] * (COUNT - 2)
    layer = attention(q25=0.0, q75=q75)
    long = trace_of(loss=falling, sampled=range(0, COUNT * 4, 4), sites=[layer])
    assert len(findings("ACT09", long)) == found


def test_one_sharp_layer_of_three_is_healthy():
    layers = [attention("a", 0.0, 0.01), attention("b"), attention("c")]
    assert not findings("ACT09", trace(*layers))


def test_attention_that_was_sharp_and_is_no_longer_is_healthy():
    passing = [0.01] * 8 + [0.5] * 4
    assert not findings("ACT09", trace(attention(q25=0.0, q75=passing)))


@pytest.mark.parametrize(("count", "skipped"), [(3, True), (4, False)])
def test_four_samples_of_attention_are_needed(count, skipped):
    series = [0.01] * count + [None] * (COUNT - count)
    assert bool(skip_reasons("ACT09", trace(attention(q25=0.0, q75=series)))) is skipped


# ACT12


def running(rms, path="bn"):
    return site(path, "running_norm", module_type="BatchNorm1d", rms=rms)


def norms(*sites):
    return trace(*sites, steps=2 * STEPS, sampled=range(0, 2 * STEPS, 20))


@pytest.mark.parametrize(("rms", "found"), [(2.05, 1), (1.95, 0), (0.49, 1), (0.51, 0)])
def test_running_statistics_a_factor_of_two_off_are_a_warning(rms, found):
    results = findings("ACT12", norms(running(rms)))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "bn" for f in results)


@pytest.mark.parametrize(("left", "found"), [(0.39, 0), (0.41, 1)])
def test_running_statistics_that_come_near_the_batches_are_on_their_way(left, found):
    differences = np.concatenate(
        [[20.0] * 3, np.linspace(20, 20 * left, COUNT - 6), [20 * left] * 3]
    )
    assert len(findings("ACT12", norms(running((1 + differences) ** -0.5)))) == found


def test_a_mismatch_at_the_start_is_how_running_statistics_begin():
    assert not findings("ACT12", norms(running([5.0, 4.0, 3.0, *[1.0] * (COUNT - 3)])))


def test_running_statistics_are_not_judged_before_the_usual_momentum_of_keras_lets_them_settle():
    short = trace_of(steps=199, sampled=range(0, 199, 10), sites=[running(5.0)])
    assert skip_reasons("ACT12", short)


def test_samples_of_the_first_half_say_nothing_of_running_statistics_at_the_end():
    early = trace_of(steps=200, sampled=range(0, 90, 10), sites=[running(5.0)])
    assert skip_reasons("ACT12", early)


# ACT13


def layer(path, rank, units=64, n=4096):
    owner = {"module_type": "Linear", "parent": path, "shape": [units, units], "numel": units**2}
    return [
        site(f"{path}.weight", "param", fan_in=units, fan_out=units, rms=0.1, **owner),
        site(
            path,
            "activation",
            module_type="Linear",
            shape=[64, units],
            n=n,
            effective_rank=rank,
        ),
    ]


def falling_to(end, start=20.0):
    return [start] * 4 + [end] * (COUNT - 4)


def network(*layers, **columns):
    rows = [row for one in (*layers, layer("head", 5.0)) for row in one]
    return trace(*rows, **columns)


@pytest.mark.parametrize(("end", "found"), [(3.1, 1), (3.2, 0)])
def test_a_layer_left_with_a_twentieth_of_its_directions_is_a_warning(end, found):
    results = findings("ACT13", network(layer("a", falling_to(end))))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "a" for f in results)


@pytest.mark.parametrize(("start", "found"), [(4.1, 1), (3.9, 0)])
def test_a_layer_that_never_had_directions_lost_none(start, found):
    assert len(findings("ACT13", network(layer("a", falling_to(1.9, start))))) == found


def test_a_branch_that_collapses_before_layers_that_do_not_is_its_own_affair():
    assert not findings("ACT13", network(layer("a", falling_to(1.0)), layer("b", 20.0)))


def test_a_layer_that_never_had_directions_says_nothing_of_those_before_it():
    narrow = layer("b", falling_to(1.0, 2.0))
    [finding] = findings("ACT13", network(layer("a", falling_to(1.0)), narrow))
    assert finding.site.path == "a"


@pytest.mark.parametrize(("units", "found"), [(7, 0), (8, 1)])
def test_few_numbers_to_predict_need_a_line_also_where_the_targets_are_unknown(units, found):
    rows = [row for one in (layer("a", falling_to(1.1)), layer("head", 1.0, units)) for row in one]
    assert len(findings("ACT13", trace(*rows))) == found


@pytest.mark.parametrize(("targets", "found"), [(True, 0), (False, 1)])
def test_a_classifier_that_learns_may_use_few_directions(targets, found):
    rows = [row for one in (layer("a", falling_to(1.1)), layer("head", 5.0)) for row in one]
    if targets:
        rows.append(site("cross_entropy", "target", std=1.0))
    assert len(findings("ACT13", trace(*rows, loss=FALLING))) == found


@pytest.mark.parametrize(("end", "found"), [(0.85, 1), (0.75, 0)])
def test_a_model_with_targets_may_use_few_directions_while_its_loss_falls(end, found):
    rows = [row for one in (layer("a", falling_to(1.1)), layer("head", 5.0)) for row in one]
    rows.append(site("cross_entropy", "target", std=1.0))
    falling = np.linspace(1.0, end, STEPS).tolist()
    assert len(findings("ACT13", trace(*rows, loss=falling))) == found


@pytest.mark.parametrize(("way", "found"), [(12, 1), (36, 0)])
def test_frequencies_of_labels_that_were_just_learnt_take_one_direction(way, found):
    rows = [row for one in (layer("a", falling_to(1.1)), layer("head", 5.0)) for row in one]
    rows.append(site("cross_entropy", "target", std=1.0))
    entropy = -(0.5 * np.log(0.5) + 3 / 6 * np.log(1 / 6))
    falling = np.concatenate([np.linspace(2.3, entropy, way), np.full(STEPS - way, entropy)])
    uneven = {"label_values": (0, 1, 2, 3), "label_counts": (30, 10, 10, 10)}
    labels = batches(
        STEPS,
        loss_function="cross_entropy",
        classes=10,
        batch_size=60,
        loss_value=falling,
        **uneven,
    )
    assert len(findings("ACT13", trace(*rows, loss=falling, batches=labels))) == found


@pytest.mark.parametrize(("units", "found"), [(1, 0), (2, 0), (3, 1)])
def test_a_number_or_two_classes_to_predict_need_no_more_than_a_line(units, found):
    weight = {"module_type": "Linear", "parent": "head", "shape": [units, 64], "numel": 64 * units}
    head = site("head.weight", "param", fan_in=64, fan_out=units, rms=0.1, **weight)
    outputs = site("head", "activation", module_type="Linear", shape=[64, units])
    rows = [*layer("a", falling_to(1.1)), head, outputs, site("mse_loss", "target", std=1.0)]
    assert len(findings("ACT13", trace(*rows))) == found


@pytest.mark.parametrize(("units", "found"), [(2, 0), (3, 0), (4, 1)])
def test_what_comes_behind_a_latent_of_a_few_numbers_has_no_more_directions(units, found):
    narrow = (layer("before", 20.0), layer("latent", 1.5, units))
    assert len(findings("ACT13", network(*narrow, layer("a", falling_to(1.5))))) == found


def embedding(end, units=16, start=0.6, rank=None):
    apart = [start] * 4 + (end if isinstance(end, list) else [end] * (COUNT - 4))
    owner = {"module_type": "Linear", "parent": "embed", "shape": [units, units], "numel": 256}
    weight = site("embed.weight", "param", fan_in=units, fan_out=units, rms=0.1, **owner)
    outputs = {"module_type": "Linear", "shape": [64, units], "rms": 1.0, "example_std": apart}
    outputs["numel"] = 64 * units
    if rank is not None:
        outputs["effective_rank"] = rank
    return [*layer("a", 20.0), weight, site("embed", "activation", **outputs)]


@pytest.mark.parametrize(("end", "units", "found"), [(0.049, 16, 1), (0.051, 16, 0), (0.01, 7, 0)])
def test_representations_that_become_one_point_have_collapsed(end, units, found):
    results = findings("ACT13", trace(*embedding(end, units), loss=FALLING))
    assert len(results) == found
    assert all("point" in f.message and f.level is Severity.WARNING for f in results)


@pytest.mark.parametrize(("last", "found"), [(79, 1), (78, 0)])
def test_a_point_that_lasts_a_quarter_of_the_steps_counts_however_many_were_sampled(last, found):
    rows = embedding([0.6] * 4 + [0.01] * 4)
    sampled = [*range(8), 60, 61, 62, last]
    assert len(findings("ACT13", trace(*rows, loss=1.0, steps=last + 1, sampled=sampled))) == found


@pytest.mark.parametrize(("targets", "explained"), [(False, True), (True, False)])
def test_units_that_die_in_a_collapse_without_targets_die_of_it(targets, explained):
    rows = [*layer("a", falling_to(1.1)), *layer("head", 5.0)]
    if targets:
        rows.append(site("cross_entropy", "target", std=1.0))
    [finding] = findings("ACT13", trace(*rows))
    assert ("ACT04" in finding.explains and "ACT04" in finding.not_explained_by) is explained


@pytest.mark.parametrize(("end", "rank", "found"), [(0.19, 4.9, 1), (0.21, 4.9, 0), (0.19, 5.1, 0)])
def test_representations_near_a_point_that_lose_half_their_directions_have(end, rank, found):
    rows = embedding(end, rank=[10.0] * 4 + [rank] * (COUNT - 4))
    results = findings("ACT13", trace(*rows, loss=FALLING))
    assert len(results) == found
    assert all("point" not in f.message for f in results)


@pytest.mark.parametrize(("numel", "found"), [(64 * 16, 0), (64 * 20, 1)])
def test_outputs_as_large_as_the_input_may_be_the_input(numel, found):
    given = site("input.0", "input", numel=numel, std=1.0)
    rows = embedding(0.19, rank=[10.0] * 4 + [2.0] * (COUNT - 4))
    assert len(findings("ACT13", trace(given, *rows, loss=FALLING))) == found


def test_outputs_that_were_close_from_the_start_have_not_collapsed():
    assert not findings("ACT13", trace(*embedding(0.04, start=0.3)))


def test_predictions_of_a_target_are_no_representation():
    target = site("mse_loss", "target", std=1.0)
    assert not findings("ACT13", trace(*embedding(0.01), target, loss=FALLING))


def test_layers_of_few_units_have_no_directions_to_lose():
    assert skip_reasons("ACT13", network(layer("a", falling_to(1.0), units=7)))
