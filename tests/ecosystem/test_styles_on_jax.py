"""Keras on JAX: what a step is, and that none is changed, in the ways in which Keras can train."""

import pytest
from keras_on_jax import traced_runs

from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

STYLES = ["in_half_precision", "several_in_one", "gathered", "by_batches", "eagerly"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What was printed of each way: whether it is as untraced, and its losses; its trace."""
    printed, folder = traced_runs("styles.py", tmp_path_factory.mktemp("styles"))
    told = {line.split()[0]: line.split()[1:] for line in printed.splitlines()}
    return {name: (told[name], Trace.open(folder / name)) for name in STYLES}


@pytest.mark.parametrize("name", STYLES)
def test_losses_and_weights_are_those_of_an_untraced_run(runs, name):
    (same, *_), trace = runs[name]
    assert same == "True"
    assert not trace.events_of(EventKind.ERROR)


def test_each_step_of_several_in_one_call_is_counted_at_the_end_of_the_data_too(runs):
    assert len(runs["several_in_one"][1].steps) == 10


def test_a_call_that_only_gathers_gradients_is_no_step(runs):
    (_, *losses), trace = runs["gathered"]
    assert trace.steps.batch_size.tolist() == [32, 32, 24, 32, 24]
    assert len(losses) == 2
    kernel = trace.sites_of(Role.UPDATE)[0]
    assert (trace.series(Role.UPDATE, "std", kernel) > 0.0).all()


def test_steps_of_train_on_batch_have_their_losses_and_updates(runs):
    (_, *losses), trace = runs["by_batches"]
    assert trace.steps.loss == pytest.approx([float(loss) for loss in losses])
    assert trace.steps.lr == pytest.approx(0.01)
    assert trace.sites_of(Role.ACTIVATION_GRAD)
    assert len(trace.sampled_steps) == 4


def test_the_rate_under_a_loss_scale_is_that_of_the_optimizer_inside(runs):
    assert runs["in_half_precision"][1].steps.lr == pytest.approx(0.01)
