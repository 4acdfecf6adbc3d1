"""Callbacks that act on a metric say which of its values they take for better."""

import keras
import numpy as np
import pytest
from tracing import payloads

from nntrace.schema import EventKind


def told(trace_keras, build, metric="accuracy"):
    def train():
        keras.utils.set_random_seed(1)
        x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=[metric])
        model.fit(x, x[:, 0] > 0, epochs=2, callbacks=[build()], validation_split=0.5, verbose=0)

    return payloads(trace_keras(train), EventKind.MONITOR)


@pytest.mark.parametrize(
    ("monitor", "mode", "better", "meant"),
    [
        ("val_accuracy", "min", "lower", "higher"),
        ("val_accuracy", "max", "higher", "higher"),
        ("accuracy", "auto", "higher", "higher"),
        ("val_loss", "max", "higher", "lower"),
        ("loss", "auto", "lower", "lower"),
    ],
)
def test_an_early_stopping_says_what_it_takes_for_better(trace_keras, monitor, mode, better, meant):
    [answer] = told(trace_keras, lambda: keras.callbacks.EarlyStopping(monitor, mode=mode))
    assert (answer["class"], answer["metric"]) == ("EarlyStopping", monitor)
    assert (answer["better"], answer["meant"]) == (better, meant)
    assert (answer["file"], answer["epochs"]) == (__file__, 2)


def test_a_function_of_the_programs_own_says_nothing_of_its_direction(trace_keras):
    def hits(y_true, y_pred):
        return keras.ops.cast(y_pred > 0.5, "float32")

    stopping = keras.callbacks.EarlyStopping
    [answer] = told(trace_keras, lambda: stopping("val_hits", mode="min"), hits)
    assert (answer["better"], answer["meant"]) == ("lower", None)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
def test_a_checkpoint_of_every_epoch_is_not_told(trace_keras, tmp_path):
    file = tmp_path / "{epoch}.keras"
    checkpoint = keras.callbacks.ModelCheckpoint
    assert told(trace_keras, lambda: checkpoint(file, "val_accuracy", mode="min")) == []


def test_a_metric_that_is_not_there_is_no_error(trace_keras):
    stopping = keras.callbacks.EarlyStopping
    with pytest.warns(UserWarning, match="not available"):
        [answer] = told(trace_keras, lambda: stopping("val_f1", mode="min"))
    assert answer["meant"] is None


def test_an_early_stopping_says_how_long_it_waits_and_for_what_gain(trace_keras):
    def build():
        return keras.callbacks.EarlyStopping("val_loss", patience=3, min_delta=0.25)

    [answer] = told(trace_keras, build)
    assert (answer["patience"], abs(answer["min_delta"])) == (3, 0.25)


class OfProbabilities(keras.Model):
    """Gives its metrics something else than its outputs."""

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, keras.ops.sigmoid(y_pred), sample_weight)


@pytest.mark.parametrize(
    ("kind", "metric", "thresholds"),
    [
        (keras.Model, "accuracy", {"accuracy": 0.5}),
        (keras.Model, keras.metrics.BinaryAccuracy("sure", threshold=0.9), {"sure": 0.9}),
        (keras.Model, "mse", {}),
        (OfProbabilities, "accuracy", {}),
    ],
)
def test_an_epoch_says_where_a_binary_accuracy_cuts_the_outputs(
    trace_keras, kind, metric, thresholds
):
    def train():
        given = keras.Input((6,))
        model = kind(given, keras.layers.Dense(1)(given))
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=[metric])
        model.fit(np.ones((32, 6)), np.ones((32, 1)), verbose=0)

    [epoch] = payloads(trace_keras(train), EventKind.EPOCH)
    assert epoch["thresholds"] == thresholds
