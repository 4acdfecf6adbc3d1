"""An optimizer that gathers the gradients of four calls; of the validation data half is trained on.

Its argument is the run folder. Prints the loss of each call.
"""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
points = random.normal(size=(64, 4))
targets = points.sum(axis=1, keepdims=True)
held_out = random.normal(size=(16, 4))

model = keras.Sequential([layers.Input((4,)), layers.Dense(8), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.01, gradient_accumulation_steps=4), "mse")
for start in range(0, 64, 8):
    rows = slice(start, start + 8)
    print(model.train_on_batch(points[rows], targets[rows], return_dict=True)["loss"])

validated = np.concatenate([held_out, points[24:40]])
data = validated, validated.sum(axis=1, keepdims=True)
model.fit(points, targets, batch_size=8, epochs=3, shuffle=False, validation_data=data, verbose=0)
