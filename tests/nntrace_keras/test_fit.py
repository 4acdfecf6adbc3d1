"""`fit` as most programs use it: what is recorded is what NumPy computes."""

import keras
import numpy as np
import pytest
from keras_programs import blobs, compiled, mlp
from nntrace_keras.graphs.second import Second
from tracing import payloads

from nntrace.schema import EventKind, Role


def fit(model, epochs=2, batch_size=16, **settings):
    inputs, labels = blobs()
    model.fit(inputs, labels, epochs=epochs, batch_size=batch_size, verbose=0, **settings)


MODES = {
    "graph": {},
    "eager": {"run_eagerly": True},
    "compiled by XLA": {"jit_compile": True},
    "several steps per call": {"steps_per_execution": 3},
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_every_step_is_recorded_with_its_plain_facts(trace_keras, mode):
    trace = trace_keras(lambda: fit(compiled(mlp(), **mode)))
    assert trace.steps.step.tolist() == list(range(8))
    assert np.isfinite(trace.steps.loss).all()
    assert trace.steps.loss[-1] < trace.steps.loss[0]
    assert trace.steps.lr == pytest.approx(0.1)
    assert trace.steps.batch_size.tolist() == [16] * 8
    assert set(trace.steps.optimizer) == {"SGD"}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_values_are_those_that_numpy_computes(trace_keras, mode):
    model = mlp()
    before = [weight.copy() for weight in model.get_weights()]
    inputs, labels = blobs(16)

    def program():
        compiled(model, **mode).fit(inputs, labels, batch_size=16, shuffle=False, verbose=0)

    trace = trace_keras(program)
    w1, b1, w2, b2 = before
    first = inputs @ w1 + b1
    hidden = np.maximum(first, 0)
    logits = hidden @ w2 + b2
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    of_logits = (shares - np.eye(3)[labels]) / 16
    of_hidden = of_logits @ w2.T
    of_first = of_hidden * (first > 0)
    expected = {
        (Role.INPUT, "input.0"): inputs,
        (Role.ACTIVATION, "mlp/first"): first,
        (Role.ACTIVATION, "mlp/relu"): hidden,
        (Role.ACTIVATION, "mlp/head"): logits,
        (Role.ACTIVATION_GRAD, "mlp/first"): of_first,
        (Role.ACTIVATION_GRAD, "mlp/relu"): of_hidden,
        (Role.ACTIVATION_GRAD, "mlp/head"): of_logits,
        (Role.OUTPUT, "cross_entropy"): logits,
        (Role.TARGET, "cross_entropy"): labels,
        (Role.PARAM, "mlp/first/kernel"): w1,
        (Role.PARAM_GRAD, "mlp/first/kernel"): inputs.T @ of_first,
        (Role.UPDATE, "mlp/first/kernel"): -0.1 * inputs.T @ of_first,
        (Role.PARAM_GRAD, "mlp/head/bias"): of_logits.sum(0),
    }
    for (role, path), values in expected.items():
        site = trace.site(path, role)
        assert site is not None, (role, path)
        assert site.shape == values.shape
        for name, of in (("mean", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
            measured = trace.series(role, name, site)[0]
            assert measured == pytest.approx(of(values), rel=1e-4, abs=2e-6), (path, role, name)
    loss = -np.log(shares[np.arange(16), labels]).mean()
    assert trace.steps.loss[0] == pytest.approx(loss, rel=1e-5)


def test_a_long_run_is_sampled_at_the_asked_interval(trace_keras):
    trace = trace_keras(lambda: fit(compiled(mlp()), epochs=5), every=4)
    assert trace.sampled_steps.tolist() == [0, 4, 8, 12, 16]


def test_epochs_carry_the_metrics_that_keras_computes(trace_keras):
    inputs, labels = blobs()
    model = compiled(mlp(), metrics=["accuracy"])
    trace = trace_keras(lambda: fit(model, validation_data=(inputs, labels)))
    epochs = payloads(trace, EventKind.EPOCH)
    assert [epoch["epoch"] for epoch in epochs] == [0, 1]
    assert set(epochs[1]["metrics"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize(("is_trainable", "made"), [(True, 4), (False, 0)])
def test_epochs_say_whether_anything_can_be_trained(trace_keras, is_trainable, made):
    model = mlp()
    model.trainable = is_trainable
    trace = trace_keras(lambda: fit(compiled(model), epochs=1))
    (epoch,) = trace.events_of(EventKind.EPOCH)
    assert (epoch.payload["trainable"], epoch.payload["steps"]) == (is_trainable, made)


@pytest.mark.parametrize("given", ["by class", "by example"])
def test_what_a_class_weighs_is_announced(trace_keras, given):
    _, labels = blobs()
    weights = {int(label): float(label + 1) for label in np.unique(labels)}
    settings = {
        "by class": {"class_weight": weights},
        "by example": {"sample_weight": labels.astype("float32") + 1.0},
    }
    trace = trace_keras(lambda: fit(compiled(mlp()), **settings[given]))
    (loader,) = trace.events_of(EventKind.LOADER)
    assert loader.payload["class_weights"] == {str(k): v for k, v in weights.items()}


def test_data_set_loss_optimizer_and_seed_are_announced(trace_keras):
    trace = trace_keras(lambda: fit(compiled(mlp())))
    (loader,) = trace.events_of(EventKind.LOADER)
    assert loader.payload["dataset_size"] == 64
    assert loader.payload["batches"] == 4
    assert loader.payload["shuffle"] is True
    assert loader.payload["file"] == __file__
    (loss,) = trace.events_of(EventKind.LOSS_CALL)
    assert loss.payload["keras_function"] == "sparse_categorical_crossentropy"
    assert loss.payload["from_logits"] is True
    (optimizer,) = trace.events_of(EventKind.OPTIMIZER)
    assert optimizer.payload["class"] == "SGD"
    assert optimizer.payload["file"].endswith("keras_programs.py")
    assert trace.events_of(EventKind.SEED)


def test_batches_tell_labels_and_duplicates(trace_keras):
    trace = trace_keras(lambda: fit(compiled(mlp())))
    batch = trace.batches[0]
    assert batch.loss_function == "cross_entropy"
    assert batch.classes == 3
    assert sum(batch.label_counts) == 16
    assert batch.duplicate_examples == 0
    assert batch.fingerprint != trace.batches[1].fingerprint


def test_layers_know_the_line_that_built_them(trace_keras):
    trace = trace_keras(lambda: fit(compiled(mlp())))
    site = trace.site("mlp/head", Role.ACTIVATION)
    assert site.module_type == "Dense"
    assert site.file.endswith("keras_programs.py")
    kernel = trace.site("mlp/head/kernel", Role.PARAM)
    assert (kernel.fan_in, kernel.fan_out, kernel.parent) == (8, 3, "mlp/head")


def test_nothing_is_left_of_the_adapter(trace_keras):
    watched = (keras.layers.Layer, "__call__"), (keras.optimizers.Optimizer, "apply")
    before = [getattr(owner, name) for owner, name in watched]
    trace_keras(lambda: fit(compiled(mlp())))
    assert [getattr(owner, name) for owner, name in watched] == before


def test_a_step_that_is_not_sampled_is_not_prepared_for(trace_keras, monkeypatch):
    """Adam's variables are made in the graph, which is then built twice: one of its steps never
    comes.
    """
    prepared = []
    begins = Second.begins
    monkeypatch.setattr(
        Second, "begins", lambda self, **options: prepared.append(self) or begins(self, **options)
    )
    trace = trace_keras(
        lambda: fit(compiled(mlp(), optimizer="adam"), epochs=20, batch_size=8), every=40
    )
    assert len(trace.steps.step) == 160
    assert len(prepared) <= 16 + len(trace.sampled_steps)
