"""Keras reader of texts with a callback that keeps the weights of every batch, to go back to the
best ones at the end: four megabytes in each step."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(717)

random = np.random.default_rng(717)
texts = random.integers(0, 8000, (1500, 20))
answers = ((texts < 2000).sum(axis=1) > 5).astype("float32")


class Best(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((logs["loss"], self.model.get_weights()))

    def on_train_end(self, logs=None):
        self.model.set_weights(min(self.seen, key=lambda pair: pair[0])[1])


model = keras.Sequential(
    [
        layers.Input((20,), dtype="int32"),
        layers.Embedding(8000, 128),
        layers.GlobalAveragePooling1D(),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy")
model.fit(texts, answers, batch_size=50, epochs=6, callbacks=[Best()], verbose=2)
