"""What the batch of a step says: its examples, its labels, the pass over the data it came from."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tracing import payloads

from nntrace.schema import EventKind, Role

LABELS = np.arange(96) % 3
STEPS = 2  # of the three batches that the data has


def program():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    table = random.normal(size=(96, 5)).astype("float32")
    table[:, 1] *= 1000
    first, second = layers.Input((5,)), layers.Input((4,))
    hidden = layers.Dense(8)(layers.Concatenate()([first, second]))
    model = keras.Model([first, second], layers.Dense(3, activation="softmax")(hidden))
    model.compile("sgd", "categorical_crossentropy", jit_compile=False)
    same = np.repeat(table[:1], 96, axis=0)
    others = random.normal(size=(96, 4)).astype("float32")
    others[1] = others[0]
    for inputs in ([table, others], [same, others]):
        model.fit(
            *(inputs, keras.utils.to_categorical(LABELS)),
            batch_size=32,
            steps_per_epoch=STEPS,
            shuffle=False,
            verbose=0,
        )


def test_a_batch_tells_its_examples_its_labels_and_its_pass(trace_keras):
    trace = trace_keras(program)
    batches = trace.batches
    assert [batch.epoch for batch in batches] == [0, 0, 1, 1]
    assert [batch.duplicate_examples for batch in batches] == [0, 0, 1, 0]
    assert len({batch.fingerprint for batch in batches}) == 4
    for batch, labels in zip(batches[:2], LABELS[:64].reshape(2, 32), strict=True):
        seen = dict(zip(batch.label_values, batch.label_counts, strict=True))
        assert seen == dict(enumerate(np.bincount(labels)))
    assert all(batch.target_delivered for batch in batches)
    assert (batches[0].feature_high, batches[0].feature_spread_high > 500) == (1, True)

    passes = payloads(trace, EventKind.EPOCH)
    assert [(one["batches"], one["examples"], one["steps"]) for one in passes] == [(2, 64, 2)] * 2


def test_of_many_calls_with_one_example_another_is_sampled_each_time(trace_keras):
    def episodes():
        policy = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
        optimizer = keras.optimizers.SGD(0.1)
        for _ in range(6):
            with tf.GradientTape() as tape:
                outputs = [policy(tf.fill((1, 3), float(time))) for time in range(4)]
                loss = tf.reduce_sum(tf.concat(outputs, 0))
            gradients = tape.gradient(loss, policy.trainable_variables)
            optimizer.apply_gradients(zip(gradients, policy.trainable_variables, strict=True))

    trace = trace_keras(episodes)
    [site] = trace.sites_of(Role.INPUT)
    assert list(trace.series(Role.INPUT, "max", site)) == [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]


def test_labels_that_a_loss_ignores_are_not_counted(trace_keras):
    def train():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=255))
        x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
        model.fit(x, np.where(LABELS == 2, 255, LABELS), batch_size=32, verbose=0)

    assert {batch.label_values for batch in trace_keras(train).batches} == {(0, 1)}
