"""Trains on one batch after another, of arrays as a program has them: batch_by_batch.py RUN."""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

keras.utils.set_random_seed(0)
rows = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
labels = (rows[:, 0] > 0).astype("int32")
model = keras.Sequential([layers.Input((4,)), layers.Dense(8, "relu"), layers.Dense(2)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
with nntrace.start(out=sys.argv[1], every=1):
    for start in range(0, 64, 16):
        model.train_on_batch(rows[start : start + 16], labels[start : start + 16])
