"""Keras classifier of waves with a callback that multiplies all kernels by 0.95 after each batch,
which was to be after each epoch."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(658)

random = np.random.default_rng(658)
kinds = random.integers(0, 3, 1500)
waves = np.sin(np.arange(32) * (0.3 + 0.3 * kinds[:, None]) + 6 * random.random((1500, 1)))


class Shrink(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        for layer in self.model.layers:
            if hasattr(layer, "kernel"):
                layer.kernel.assign(0.95 * layer.kernel)


model = keras.Sequential(
    [
        layers.Input((32, 1)),
        layers.Conv1D(24, 5, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(32, activation="relu"),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
model.fit(waves[..., None].astype("float32"), kinds, batch_size=30, epochs=4, callbacks=[Shrink()])
