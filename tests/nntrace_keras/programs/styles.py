"""Trains in several ways, each bare and then traced, on the backend that KERAS_BACKEND names.

Its argument is the folder of the runs; prints for each whether losses and weights are the same to
the last bit.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

import nntrace

INPUTS = np.random.default_rng(0).normal(size=(72, 6)).astype("float32")
LABELS = np.arange(72) % 3


def compiled(gathers=None, **settings):
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), *parts])
    optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=gathers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **settings)
    return model


def fitted(**settings):
    model = compiled(**settings)
    losses = model.fit(INPUTS, LABELS, batch_size=16, epochs=2, verbose=0).history["loss"]
    return [losses, *model.get_weights()]


def by_batches():
    model = compiled()
    batches = [slice(start, start + 16) for start in range(0, 64, 16)]
    losses = [model.train_on_batch(INPUTS[batch], LABELS[batch]) for batch in batches]
    return [losses, *model.get_weights()]


def in_half_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return fitted()
    finally:
        keras.mixed_precision.set_global_policy("float32")


STYLES = {
    "in_half_precision": in_half_precision,
    "several_in_one": lambda: fitted(steps_per_execution=3),
    "gathered": lambda: fitted(gathers=2),
    "by_batches": by_batches,
    "eagerly": lambda: fitted(run_eagerly=True),
}

for name, style in STYLES.items():
    bare = style()
    with nntrace.start(out=Path(sys.argv[1]) / name, every=1):
        traced = style()
    same = all(np.array_equal(one, other) for one, other in zip(bare, traced, strict=True))
    print(name, same, *bare[0])
