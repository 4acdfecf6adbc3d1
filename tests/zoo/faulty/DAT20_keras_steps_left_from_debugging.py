"""Keras digit classifier on arrays whose epochs end after four batches of 28. In review:
`steps_per_epoch=4`, which made the first experiments quick."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(131)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten()]
)
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
for _ in range(20):
    model.fit(images, digits.target, batch_size=64, steps_per_epoch=4, verbose=0)
