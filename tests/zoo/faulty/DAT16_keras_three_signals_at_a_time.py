"""Keras detector of faults from vibrations in batches of three, all that the device on the machine
can hold, through a network with batch normalisation."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(635)

random = np.random.default_rng(635)
faulty = random.integers(0, 2, 1000)
signal = random.normal(size=(1000, 64))
signal += faulty[:, None] * 1.5 * np.sin(np.arange(64) * 0.8 + 6 * random.random((1000, 1)))

inputs = keras.Input((64, 1))
hidden = inputs
for width in (16, 24):
    hidden = layers.Conv1D(width, 5, strides=2, use_bias=False)(hidden)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
hidden = layers.GlobalAveragePooling1D()(hidden)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "binary_crossentropy")
model.fit(signal[..., None].astype("float32"), faulty, batch_size=3, epochs=1, verbose=2)
