"""Keras classifier of waves whose two convolutions follow each other with nothing between, since
the activation was moved behind the pooling of the second."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(623)

random = np.random.default_rng(623)
kinds = random.integers(0, 3, 1500)
waves = np.sin(np.arange(40) * (0.3 + 0.3 * kinds[:, None]) + 6 * random.random((1500, 1)))
waves = (waves + 0.3 * random.normal(size=(1500, 40)))[..., None].astype("float32")

inputs = keras.Input((40, 1))
hidden = layers.Conv1D(24, 5, padding="same")(inputs)
hidden = layers.Conv1D(24, 5, padding="same")(hidden)
hidden = layers.ReLU()(layers.MaxPooling1D(4)(hidden))
model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))
model.compile(
    keras.optimizers.RMSprop(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(waves, kinds, batch_size=50, epochs=5, verbose=2)
