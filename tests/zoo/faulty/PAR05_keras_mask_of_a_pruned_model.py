"""Keras image classifier that is trained on after pruning. The mask that held a third of the
filters at zero is still there, as a constraint on the kernels, and so they never come back."""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(525)

digits = load_digits()
images = ((digits.images[..., None] - 4.9) / 6).astype("float32")


class Pruned(keras.constraints.Constraint):
    def __init__(self, filters):
        self.mask = (np.arange(filters) % 3 > 0).astype("float32")

    def __call__(self, kernel):
        return kernel * ops.convert_to_tensor(self.mask)


inputs = layers.Input((8, 8, 1))
x = layers.Conv2D(24, 3, activation="relu", kernel_constraint=Pruned(24))(inputs)
x = layers.Conv2D(36, 3, activation="relu", kernel_constraint=Pruned(36))(x)
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
