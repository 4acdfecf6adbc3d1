import pytest
from rules.builders import event, trace_of

from nntrace.rules.common.loaders import data_set_sizes, loader_passes, trained_loaders

PASS = {"loader": 0, "epoch": 0, "batches": 4, "steps": 4, "examples": 32, "complete": True}


def passes(*changes):
    return trace_of(events=[event("epoch", **{**PASS, **change}) for change in changes])


def test_training_draws_from_the_loaders_whose_passes_hold_steps():
    assert trained_loaders(passes({}, {"loader": 1, "steps": 0})) == {0}


def test_an_epoch_that_a_framework_counts_is_no_pass_over_a_loader():
    assert loader_passes(trace_of(events=[event("epoch", metrics={"loss": 1.0})])) == []


@pytest.mark.parametrize("order", [None, -1, "a", True])
def test_an_order_that_is_no_checksum_counts_as_unknown(order):
    [one] = loader_passes(passes({"order": order}))
    assert (one.order, one.examples, one.complete) == (None, 32, True)


def test_a_data_set_of_unknown_size_has_none():
    loaders = [event("loader", loader=n, dataset_size=size) for n, size in enumerate([90, None, 0])]
    assert data_set_sizes(trace_of(events=loaders)) == {0: 90}
