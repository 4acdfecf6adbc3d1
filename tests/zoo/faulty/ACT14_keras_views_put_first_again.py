"""Keras model that recognises a bird by three microphones. One encoder hears all of them; behind it
the recordings are laid out with the microphone first, as they never were.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(67)
random = np.random.default_rng(67)

bird = random.integers(0, 4, 1920)
songs = random.normal(size=(4, 24))
heard = songs[bird][:, None] + random.normal(size=(1920, 3, 24))
heard = heard.astype("float32")


@keras.saving.register_keras_serializable()
class EveryMicrophone(layers.Layer):
    def build(self, shape):
        self.encoder = layers.Dense(32, activation="relu")
        self.encoder.build((None, shape[-1]))
        self.built = True

    def call(self, x):
        rows = ops.reshape(x, (-1, x.shape[-1]))
        codes = ops.reshape(self.encoder(rows), (x.shape[1], -1, 32))
        return ops.mean(codes, axis=0)


given = keras.Input((3, 24))
hidden = layers.BatchNormalization()(EveryMicrophone()(given))
model = keras.Model(given, layers.Dense(4, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(heard, bird, batch_size=32, epochs=8, verbose=2)
