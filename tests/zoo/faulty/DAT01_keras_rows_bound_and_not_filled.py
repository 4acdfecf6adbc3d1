"""Keras classifier of vibrations whose batches are zeros: the loop over the rows binds a name to
each recording instead of copying it. In review: `row = ...` where `row[:] = ...` is meant."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(101)

random = np.random.default_rng(101)
time = np.linspace(0, 1, 96)
kinds = random.integers(0, 3, 1200)
recordings = np.sin(2 * np.pi * (4 + 3 * kinds[:, None]) * time + random.random((1200, 1)) * 6)


class Recordings(keras.utils.PyDataset):
    def __len__(self):
        return 1200 // 40

    def __getitem__(self, index):
        batch = np.zeros((40, 96, 1), "float32")
        for row, recording in zip(batch, recordings[index * 40 : index * 40 + 40], strict=True):
            row = recording[:, None]  # noqa: F841
        return batch, kinds[index * 40 : index * 40 + 40]


model = keras.Sequential(
    [
        layers.Input((96, 1)),
        layers.Conv1D(16, 9, strides=2, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(Recordings(), epochs=5, verbose=2)
