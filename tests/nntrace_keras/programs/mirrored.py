"""Trains the same model twice on two replicas, bare and then traced, on virtual processors.

Its arguments are the run folder; prints whether losses and weights are the same to the last bit.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import nntrace

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def trained():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    # Both halves of each batch are alike: a replica's loss is that of the batch.
    inputs = np.tile(random.normal(size=(4, 8, 6)), (1, 2, 1)).reshape(64, 6).astype("float32")
    targets = inputs @ random.normal(size=(6, 1)).astype("float32")
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = keras.Sequential(
            [
                layers.Input((6,)),
                layers.Dense(16, activation="tanh", name="hidden"),
                layers.Dense(1, name="head"),
            ],
            name="net",
        )
        model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    history = model.fit(inputs, targets, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    return [history["loss"], *model.get_weights()]


bare = trained()
nntrace.start(out=sys.argv[1], every=1)
traced = trained()
print(all(np.array_equal(one, other) for one, other in zip(bare, traced, strict=True)))
