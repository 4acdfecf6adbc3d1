import numpy as np
import pytest
from rules.activations.test_architecture import graph
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 120
SAMPLED = range(0, STEPS, 10)
COUNT = len(SAMPLED)
FALLING = list(np.geomspace(1, 0.01, STEPS))


def trace(*sites, loss=1.0, **columns):
    columns = {"steps": STEPS, "sampled": SAMPLED, **columns}
    return trace_of(loss=loss, sites=sites, **columns)


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


@pytest.mark.parametrize(("left", "found"), [(0.81, 1), (0.79, 0)])
def test_a_loss_a_fifth_below_the_frequencies_of_labels_is_learnt_with_few_directions(left, found):
    rows = [row for one in (layer("a", falling_to(1.1)), layer("head", 5.0)) for row in one]
    rows.append(site("cross_entropy", "target", std=1.0))
    entropy = np.log(4)
    course = np.concatenate([np.linspace(1.5, left * entropy, 12), [left * entropy] * (STEPS - 12)])
    labels = batches(
        STEPS,
        loss_function="cross_entropy",
        classes=4,
        batch_size=40,
        loss_value=course,
        label_values=(0, 1, 2, 3),
        label_counts=(10, 10, 10, 10),
    )
    assert len(findings("ACT13", trace(*rows, loss=course, batches=labels))) == found


@pytest.mark.parametrize(("targets", "found"), [(25, 1), (24, 0)])
def test_a_vocabulary_of_which_few_words_were_seen_takes_one_direction(targets, found):
    rows = [row for one in (layer("a", falling_to(1.1)), layer("head", 5.0)) for row in one]
    rows.append(site("cross_entropy", "target", std=1.0))
    words = {"label_values": (0, 1, 2, 3), "label_counts": (57, 1, 1, 1), "classes": 10}
    chance = {"loss_function": "cross_entropy", "loss_value": 0.3, "batch_size": 60}
    of_words = {"function": "cross_entropy", "classes": 10, "path": "cross_entropy"}
    call = event("loss_call", shape=[targets, 10], target_shape=[targets], **of_words)
    labels = batches(STEPS, **chance, **words)
    results = findings("ACT13", trace(*rows, loss=0.3, batches=labels, events=[call]))
    assert len(results) == found


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


@pytest.mark.parametrize(
    ("flow", "found"),
    [
        (("embed :clamp :exp",), 0),
        (("embed pool :add :clamp :exp",), 0),
        (("embed :div :mm :exp",), 1),
        (("embed :mul :sum :exp",), 1),
        (("embed a :exp",), 1),
    ],
    ids=["scale", "through a sum of neighbours", "products", "sums", "of a later layer"],
)
def test_logarithms_of_scales_may_be_the_same_for_all_examples(flow, found):
    neighbours = site("pool", "activation", module_type="SumAggregation", shape=[64, 16])
    rows = [*embedding(0.01), neighbours]
    assert len(findings("ACT13", trace(*rows, loss=FALLING, events=[graph(*flow)]))) == found


def test_outputs_that_were_close_from_the_start_have_not_collapsed():
    assert not findings("ACT13", trace(*embedding(0.04, start=0.3)))


def test_predictions_of_a_target_are_no_representation():
    target = site("mse_loss", "target", std=1.0)
    assert not findings("ACT13", trace(*embedding(0.01), target, loss=FALLING))


def test_layers_of_few_units_have_no_directions_to_lose():
    assert skip_reasons("ACT13", network(layer("a", falling_to(1.0), units=7)))
