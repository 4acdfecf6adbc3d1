import pytest
from rules.builders import batches, event, findings, image, site, skip_reasons, trace_of

from nntrace.rules import Severity

# DAT01


def test_an_input_of_zeros_in_two_batches_is_an_error():
    trace = trace_of(steps=2, sites=[image(mean=0.0, std=0.0, min=0.0, max=0.0)])
    [finding] = findings("DAT01", trace)
    assert finding.level is Severity.ERROR
    assert finding.evidence["values"] == [0.0]


def test_an_input_of_zeros_in_one_batch_is_not_blamed():
    trace = trace_of(steps=2, sites=[image(min=[0.0, -1.0], max=[0.0, 1.0])])
    assert findings("DAT01", trace) == []


def test_constant_batches_in_fewer_than_half_of_the_samples_are_a_warning():
    low = [0.0, 0.0, -1.0, -1.0, -1.0]
    trace = trace_of(steps=5, sites=[image(min=low, max=[-x for x in low])])
    [finding] = findings("DAT01", trace)
    assert finding.level is Severity.WARNING


def test_a_constant_mask_beside_a_varying_input_is_healthy():
    trace = trace_of(steps=3, sites=[image(), image("input.1", min=1.0, max=1.0)])
    assert findings("DAT01", trace) == []


def test_a_constant_first_input_beside_a_varying_one_is_a_warning():
    trace = trace_of(steps=3, sites=[image(min=1.0, max=1.0), image("input.1")])
    [finding] = findings("DAT01", trace)
    assert finding.level is Severity.WARNING


@pytest.mark.parametrize(("duplicates", "found"), [(31, 1), (30, 0)])
def test_zeros_sampled_from_a_sparse_input_whose_examples_differ_are_healthy(duplicates, found):
    rows = batches(3, batch_size=32, duplicate_examples=duplicates)
    trace = trace_of(steps=3, sites=[image(min=0.0, max=0.0)], batches=rows)
    assert len(findings("DAT01", trace)) == found


@pytest.mark.parametrize(
    ("shape", "dtype", "found"),
    [([32, 1], "int64", 0), ([32], "int64", 0), ([32, 2], "int64", 1), ([32, 1], "float32", 1)],
)
def test_one_category_of_all_examples_is_healthy(shape, dtype, found):
    given = {"shape": shape, "dtype": dtype, "numel": 64, "min": 0.0, "max": 0.0}
    trace = trace_of(steps=2, sites=[image(**given)])
    assert len(findings("DAT01", trace) if found else skip_reasons("DAT01", trace)) == 1


@pytest.mark.parametrize(
    ("high", "further", "output", "found"),
    [(1.0, 0, 2.0, 0), (0.0, 0, 2.0, 1), (1.0, 1, 2.0, 1), (1.0, 0, 1.0, 1)],
    ids=["varies", "does not", "another input", "predictions given to a loss"],
)
def test_one_value_at_the_first_of_several_calls_in_a_step_is_healthy(high, further, output, found):
    given = {"input_min": 0.0, "input_max": [0.0, high, 0.0, high], "duplicate_examples": 31}
    rows = batches(4, batch_size=32, output_min=0.0, output_max=output, **given)
    inputs = [image(f"input.{one}", min=0.0, max=0.0) for one in range(1 + further)]
    trace = trace_of(steps=4, sites=inputs, batches=rows)
    assert len(findings("DAT01", trace) if found else skip_reasons("DAT01", trace)) == 1


def copies(steps=20, copied=20, size=32, spread=0.0, dtype="int64", further=()):
    duplicates = [size - 1 if step < copied else 0 for step in range(steps)]
    rows = batches(steps, batch_size=size, duplicate_examples=duplicates)
    inputs = [image(min=0.0, max=9.0, example_std=spread), *further]
    return trace_of(steps=steps, sites=[{**row, "dtype": dtype} for row in inputs], batches=rows)


@pytest.mark.parametrize(("copied", "found"), [(9, 0), (10, 1)])
def test_copies_of_one_example_in_half_of_the_batches_are_an_error(copied, found):
    assert len(findings("DAT01", copies(copied=copied))) == found


@pytest.mark.parametrize(("dtype", "is_of_words"), [("int64", True), ("float32", False)])
def test_copies_of_words_are_looked_for_in_the_vocabulary(dtype, is_of_words):
    [finding] = findings("DAT01", copies(dtype=dtype))
    assert ("vocabulary" in finding.advice) is is_of_words


@pytest.mark.parametrize(
    "other",
    [
        {"size": 7},
        {"spread": 0.1},
        {"further": [image("input.1", min=0.0, max=9.0, example_std=1.0)]},
        {"steps": 7},
    ],
    ids=["small batches", "not all", "another input varies", "few"],
)
def test_a_few_copies_of_one_example_are_healthy(other):
    assert findings("DAT01", copies(**other)) == []


@pytest.mark.parametrize(("varying", "found"), [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("shape", "rows"), [([1, 64], batches(6, batch_size=1)), ([64], batches(6, batch_size=64))]
)
def test_single_examples_are_constant_only_when_all_are(shape, rows, varying, found):
    high = [0.0] * (6 - varying) + [1.0] * varying
    trace = trace_of(steps=6, sites=[image(shape=shape, numel=64, min=0.0, max=high)], batches=rows)
    assert len(findings("DAT01", trace)) == found


def test_constant_input_needs_two_sampled_batches():
    trace = trace_of(steps=1, sites=[image(min=0.0, max=0.0)])
    assert skip_reasons("DAT01", trace)


# DAT04


@pytest.mark.parametrize(
    ("spreads", "found"),
    [
        ([1.0, 1.51, 2.28, 3.44], 1),
        ([1.0, 1.49, 2.22, 3.31], 0),
        ([1.0, 0.66, 0.44, 0.29], 1),
        ([1.0, 2.0, 4.0], 0),  # too few epochs
        ([1.0, 2.0, 4.0, 4.0], 0),  # not again and again, as when a curriculum widens
        ([1.0, 2.0, 3.0, 4.0], 0),
    ],
)
def test_inputs_that_each_epoch_scales_by_the_same_factor_are_scaled_anew(spreads, found):
    rows = [b for n, s in enumerate(spreads) for b in batches(5, epoch=n, input_std=s)]
    told = findings("DAT04", trace_of(steps=len(rows), sites=[image()], batches=rows))
    assert ["scaled anew in each epoch" in one.message for one in told] == [True] * found


@pytest.mark.parametrize(("mean", "found"), [(3.1, 1), (2.9, 0), (-3.1, 1), (-2.9, 0)])
def test_a_mean_beyond_three_standard_deviations_is_a_warning(mean, found):
    assert len(findings("DAT04", trace_of(steps=3, sites=[image(mean=mean)]))) == found


@pytest.mark.parametrize(("std", "found"), [(10.1, 1), (9.9, 0)])
def test_a_standard_deviation_above_ten_is_a_warning(std, found):
    assert len(findings("DAT04", trace_of(steps=3, sites=[image(std=std)]))) == found


@pytest.mark.parametrize(("brightest", "found"), [(255.0, 1), (16.0, 0), (1.0, 0)])
def test_dark_images_of_whole_numbers_up_to_255_are_a_warning(brightest, found):
    pixels = image(
        mean=3.0, std=9.0, min=0.0, max=brightest, q99=0.7 * brightest, zero_fraction=0.8
    )
    trace = trace_of(steps=3, sites=[pixels], batches=batches(3, input_integer_valued=True))
    assert len(findings("DAT04", trace)) == found


def test_word_counts_are_healthy():
    counts = image(mean=1.0, std=12.0, min=0.0, max=250.0, q99=20.0, zero_fraction=0.9)
    trace = trace_of(steps=3, sites=[counts], batches=batches(3, input_integer_valued=True))
    assert findings("DAT04", trace) == []


def test_integer_token_ids_are_not_judged():
    tokens = image(mean=500.0, std=300.0, dtype="int64")
    assert skip_reasons("DAT04", trace_of(steps=3, sites=[tokens]))


def test_a_number_per_example_such_as_a_time_is_not_judged():
    times = image(mean=500.0, std=300.0, shape=[32])
    assert skip_reasons("DAT04", trace_of(steps=3, sites=[times]))


def test_a_model_that_normalises_first_is_healthy():
    layers = [
        site("flat", "activation", module_type="Flatten"),
        site("norm", "activation", module_type="BatchNorm1d"),
    ]
    trace = trace_of(steps=3, sites=[image(mean=100.0, std=50.0), *layers])
    assert findings("DAT04", trace) == []


@pytest.mark.parametrize(("other", "found"), [("Embedding", 0), ("Linear", 1)])
def test_one_of_several_inputs_may_have_a_norm_of_its_own(other, found):
    given = site("input.1", "input", shape=[64, 2], numel=128, mean=500.0, std=650.0)
    layers = [
        site("rows", "activation", module_type=other, shape=[64, 10]),
        site("norm", "activation", module_type="BatchNorm1d", shape=[64, 2]),
        *(site(f"{owner}.weight", "param", parent=owner) for owner in ("rows", "norm")),
    ]
    flow = event("graph", vertices=["rows", "norm", ":cat"], edges=[[0, 2], [1, 2]])
    trace = trace_of(steps=3, sites=[given, *layers], events=[flow])
    assert len(findings("DAT04", trace)) == found


@pytest.mark.parametrize(("std", "found"), [(50.0, 0), (5.0, 1)])
def test_a_module_that_hands_the_input_on_comes_before_the_first_layer(std, found):
    given = image(mean=100.0, std=50.0)
    layers = [
        site("embedder", "activation", module_type="Maybe", shape=given["shape"], std=std),
        site("norm", "activation", module_type="BatchNorm1d"),
    ]
    assert len(findings("DAT04", trace_of(steps=3, sites=[given, *layers]))) == found


@pytest.mark.parametrize(
    ("shapes", "found"), [([[64, 1], [64, 1]], 0), ([[64, 2]], 0), ([[64, 1]], 1)]
)
def test_layers_that_scale_data_may_stand_after_lookups_if_there_is_one_for_each_feature(
    shapes, found
):
    wide = {"mean": 40.0, "std": 17.0, "shape": [64, 1], "numel": 64}
    inputs = [site(f"input.{name}", "input", **wide) for name in ("age", "income")]
    layers = [
        site("embedding", "activation", module_type="Embedding", shape=[64, 1, 4]),
        *(site("scaled", "activation", module_type="Normalization", shape=s) for s in shapes),
    ]
    assert len(findings("DAT04", trace_of(steps=3, sites=[*inputs, *layers]))) == found


@pytest.mark.parametrize(("binned", "found"), [([[64, 6], [64, 4]], 0), ([[64, 6]], 1)])
def test_features_that_are_put_into_bins_need_no_scale(binned, found):
    wide = {"mean": 40.0, "std": 17.0, "shape": [64, 1], "numel": 64}
    inputs = [site(f"input.{name}", "input", **wide) for name in ("age", "income")]
    layers = [site("bins", "activation", module_type="Discretization", shape=s) for s in binned]
    assert len(findings("DAT04", trace_of(steps=3, sites=[*inputs, *layers]))) == found


@pytest.mark.parametrize(("std", "found"), [(50.0, 1), (1.0, 0)])
def test_a_normalisation_that_was_never_adapted_is_named(std, found):
    given = image(mean=100.0, std=50.0, min=0.0, max=300.0)
    scaled = {"mean": 2.0 * std, "std": std, "min": 0.0, "max": 6.0 * std}
    kind = {"module_type": "Normalization", "shape": given["shape"]}
    layer = site("scaling", "activation", **kind, **scaled)
    results = findings("DAT04", trace_of(steps=3, sites=[given, layer]))
    assert len(results) == found
    assert all("`scaling` hands it on unchanged" in result.message for result in results)
    assert all("adapt" in result.advice for result in results)


@pytest.mark.parametrize(
    ("largest", "std", "found"), [(1.0, 0.0029, 1), (1.0, 0.0031, 0), (0.09, 0.0029, 0)]
)
def test_what_is_scaled_already_and_then_scaled_again_is_named_at_the_layer(largest, std, found):
    given = image(mean=0.3, std=0.3, min=0.0, max=largest)
    left = {"module_type": "Rescaling", "shape": given["shape"], "std": std}
    layer = site("scaling", "activation", **left)
    results = findings("DAT04", trace_of(steps=3, sites=[given, layer]))
    assert [finding.site.path for finding in results] == ["scaling"] * found


def test_a_constant_input_is_left_to_its_own_rule():
    assert findings("DAT04", trace_of(steps=3, sites=[image(mean=5.0, std=0.0)])) == []


@pytest.mark.parametrize(
    ("kind", "std", "found"),
    [("RandomBrightness", 10.1, 1), ("RandomBrightness", 9.9, 0), ("Conv2D", 24.0, 0)],
)
def test_an_augmentation_that_widens_the_input_is_named(kind, std, found):
    made = site("bright", "activation", module_type=kind, std=std, shape=[32, 64], numel=2048)
    told = findings("DAT04", trace_of(steps=3, sites=[image(), made]))
    assert ["bright" in finding.message for finding in told] == [True] * found
    assert all("value_range" in finding.advice for finding in told)


@pytest.mark.parametrize(
    ("mean", "std", "found"),
    [(0.0, 5.1, 1), (0.0, 4.9, 0), (-0.8, 0.26, 1), (-0.8, 0.28, 0), (1.0, 0.0, 0)],
)
def test_a_layer_that_normalises_by_other_statistics_is_named(mean, std, found):
    values = {"mean": mean, "std": std, "shape": [32, 64]}
    made = site("norm", "activation", module_type="Normalization", **values)
    told = findings("DAT04", trace_of(steps=3, sites=[image(mean=100.0, std=25.0), made]))
    assert ["variance" in finding.advice for finding in told] == [True] * found


def test_a_layer_behind_weights_may_undo_a_normalisation():
    shape = {"shape": [32, 64], "numel": 2048}
    rows = [
        site("dense", "activation", module_type="Dense", std=1.0, **shape),
        site("undo", "activation", module_type="Normalization", std=25.0, **shape),
        site("dense/kernel", "param", parent="dense", shape=[64, 64], numel=4096, rms=0.1),
    ]
    assert findings("DAT04", trace_of(steps=3, sites=[image(), *rows])) == []


@pytest.mark.parametrize(("highest", "found"), [(1 / 255, 1), (1 / 200, 0), (1 / 300, 0)])
def test_an_input_that_ends_at_a_255th_was_divided_twice(highest, found):
    trace = trace_of(steps=5, sites=[image(mean=1e-3, std=1e-3, min=0.0, max=highest)])
    assert len(findings("DAT04", trace)) == found
