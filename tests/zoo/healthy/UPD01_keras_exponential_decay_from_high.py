"""Keras digit classifier by SGD at a rate that begins high and falls by a tenth each epoch."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(302)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.SGD(0.2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
decay = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
model.fit(images, digits.target, batch_size=64, epochs=8, callbacks=[decay], verbose=2)
