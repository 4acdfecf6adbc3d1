"""Digit classifier with a callback written for Keras 2, which knew the rate as `lr`."""

import keras
from sklearn.datasets import load_digits

keras.utils.set_random_seed(43)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")


class HalveEveryThirdEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.lr = 1e-3 * 0.5 ** (epoch // 3)


model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    images[:1500],
    digits.target[:1500],
    batch_size=50,
    epochs=10,
    validation_data=(images[1500:], digits.target[1500:]),
    callbacks=[HalveEveryThirdEpoch()],
    verbose=2,
)
