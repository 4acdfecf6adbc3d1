"""Keras digit classifier with a callback that keeps every loss and finds quantiles of all of them
after each batch. In review: `sorted(self.losses)` in `on_train_batch_end`, in plain Python."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(610)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")


class Quantiles(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.outputs = []

    def on_train_batch_end(self, batch, logs=None):
        self.outputs += self.model.layers[0].kernel.numpy().ravel().tolist()
        ordered = sorted(self.outputs)
        self.middle = ordered[len(ordered) // 2]


model = keras.Sequential([layers.Input((64,)), layers.Dense(32, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=48, epochs=8, callbacks=[Quantiles()], verbose=2)
print(np.mean(digits.target))
