import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of


def normed(size, shape=(4, 16), sizes=None, active=1, **columns):
    norm = site("bn", "activation", module_type="BatchNorm1d", shape=list(shape), mean=0.0)
    rows = batches(6, batch_size=size if sizes is None else sizes, **columns)
    modes = [event("mode", norm_active=active)]
    return trace_of(steps=6, sites=[norm], batches=rows, events=modes)


# DAT16


@pytest.mark.parametrize(("size", "found"), [(7, 1), (8, 0)])
def test_a_batch_norm_over_fewer_than_eight_vectors_is_a_warning(size, found):
    assert len(findings("DAT16", normed(size))) == found


@pytest.mark.parametrize(("size", "found"), [(3, 1), (4, 0)])
def test_a_batch_norm_over_fewer_than_four_images_is_a_warning(size, found):
    assert len(findings("DAT16", normed(size, shape=(size, 16, 8, 8)))) == found


def test_a_batch_norm_over_a_list_of_images_that_the_model_stacks_is_healthy():
    """Of such a list the first axis of its first tensor, its channels, is taken for the batch."""
    assert findings("DAT16", normed(3, shape=(16, 64, 8, 8))) == []


def test_a_smaller_last_batch_is_healthy():
    assert findings("DAT16", normed(32, sizes=[32, 32, 32, 32, 32, 2])) == []


def test_frozen_norms_take_no_statistics_from_the_batch():
    assert findings("DAT16", normed(2, active=0)) == []


@pytest.mark.parametrize(("last", "found"), [(7, 0), (8, 1)])
def test_a_single_picture_that_is_always_the_same_has_no_other_statistics(last, found):
    trace = normed(1, shape=(1, 16, 8, 8), fingerprint=[7, 7, 7, 7, 7, last])
    assert findings("DAT16", trace) if found else skip_reasons("DAT16", trace)


@pytest.mark.parametrize(("spread", "found"), [(0.019, False), (0.021, True)])
def test_a_target_that_is_always_the_same_is_a_single_picture_under_noise(spread, found):
    target = {"target_std": 0.2, "target_min": 0.0, "target_max": 1.0}
    means = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5 + spread]
    trace = normed(1, shape=(1, 16, 8, 8), fingerprint=[*range(6)], target_mean=means, **target)
    assert findings("DAT16", trace) if found else skip_reasons("DAT16", trace)


@pytest.mark.parametrize(
    ("mean", "shape", "found"),
    [(0.539, (1, 3, 8, 8), 0), (0.541, (1, 3, 8, 8), 1), (0.539, (2, 3, 8, 8), 1)],
)
def test_an_output_that_settles_on_one_picture_is_fitted_to_noise(mean, shape, found):
    means = [*np.linspace(0.0, 0.5, 23), 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, mean]
    levels = {"mean": means, "std": 0.2, "min": 0.0, "max": 1.0}
    norm = site("bn", "activation", module_type="BatchNorm2d", shape=list(shape))
    rows = batches(30, batch_size=shape[0], fingerprint=[*range(30)])
    sites = [norm, site("conv", "activation", shape=list(shape), **levels)]
    trace = trace_of(steps=30, sites=sites, batches=rows)
    assert findings("DAT16", trace) if found else skip_reasons("DAT16", trace)


def test_without_a_batch_norm_batches_may_be_small():
    assert findings("DAT16", trace_of(sites=[site("fc", "activation", mean=[0.0] * 5)])) == []


# DAT17


def of_a_set(size, dataset):
    events = [event("loader", loader=0, dataset_size=dataset, batch_size=size)]
    events += [event("epoch", 2, loader=0, epoch=0, batches=2, examples=dataset, steps=2)]
    return trace_of(steps=4, batches=batches(4, batch_size=size), events=events)


@pytest.mark.parametrize(
    ("size", "dataset", "found"),
    [(100, 1000, 0), (101, 1000, 1), (500, 999, 0), (8192, 10**6, 0), (8193, 10**6, 1)],
)
def test_a_tenth_of_the_data_or_thousands_of_examples_in_a_batch_are_a_note(size, dataset, found):
    assert len(findings("DAT17", of_a_set(size, dataset))) == found


def test_batches_of_unknown_size_are_not_judged():
    assert skip_reasons("DAT17", trace_of(steps=3, batches=batches(3)))
