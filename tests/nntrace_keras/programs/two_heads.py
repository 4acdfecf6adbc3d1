"""A model with two outputs and a loss for each, trained under nntrace; argument: the run folder."""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
inputs = layers.Input((4,))
outputs = [layers.Dense(1, name="price")(inputs), layers.Dense(3, name="kind")(inputs)]
model = keras.Model(inputs, outputs)
losses = ["mse", keras.losses.SparseCategoricalCrossentropy(from_logits=True)]
model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.02), losses)
random = np.random.default_rng(0)
targets = [random.normal(5.0, size=(24, 1)).astype("float32"), np.arange(24) % 3]
model.fit(random.normal(size=(24, 4)).astype("float32"), targets, batch_size=12, verbose=0)
