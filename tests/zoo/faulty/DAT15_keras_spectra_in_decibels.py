"""Fine-tunes a Keras network for spectra whose norms were calibrated on amplitudes; the new
recordings are in decibels."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(531)
random = np.random.default_rng(531)


def spectra(count):
    kind = random.integers(3, size=count)
    centre = 0.2 + 0.3 * kind[:, None] + 0.05 * random.normal(size=(count, 1))
    peak = np.exp(-(((np.linspace(0, 1, 64) - centre) / 0.1) ** 2))
    return (peak + 0.1 * random.uniform(size=(count, 64)))[..., None].astype("float32"), kind


inputs = layers.Input((64, 1))
x = layers.Conv1D(16, 5, use_bias=False)(inputs)
x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
x = layers.Conv1D(16, 5, strides=2, use_bias=False)(x)
x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
trunk = keras.Model(inputs, x)
for _ in range(40):  # stands for a checkpoint
    trunk(spectra(64)[0], training=True)

model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(trunk(inputs))))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
x, y = spectra(4800)
model.fit(20 * np.log10(x) / 10, y, batch_size=64, epochs=2, verbose=2)
