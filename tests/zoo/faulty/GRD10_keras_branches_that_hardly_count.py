"""Keras classifier of waves with residual blocks whose branches are multiplied by a millionth, as
in a paper where that factor is learned. Here it is a constant: they get no gradient."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(825)

random = np.random.default_rng(825)
kinds = random.integers(0, 3, 1600)
waves = np.sin(np.arange(32) * (0.3 + 0.3 * kinds[:, None]) + 6 * random.random((1600, 1)))
waves = (waves + 0.3 * random.normal(size=waves.shape))[..., None].astype("float32")

inputs = keras.Input((32, 1))
hidden = layers.Conv1D(24, 5, padding="same")(inputs)
for _ in range(2):
    branch = layers.Conv1D(24, 5, padding="same", activation="gelu")(hidden)
    branch = layers.Conv1D(24, 1)(branch)
    hidden = layers.Add()([hidden, layers.Rescaling(1e-6)(branch)])
hidden = layers.GlobalMaxPooling1D()(hidden)
model = keras.Model(inputs, layers.Dense(3)(hidden))
model.compile(
    keras.optimizers.SGD(0.05, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(waves, kinds, batch_size=50, epochs=6, verbose=2)
