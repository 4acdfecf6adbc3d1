"""Keras classifier of digits by the cosine of features and class vectors, which is given to the
cross-entropy as logits without a scale."""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(532)

digits = load_digits()
x = (digits.data / 16).astype("float32")


class Cosine(layers.Layer):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.classes), name="kernel")

    def call(self, features):
        return ops.matmul(ops.normalize(features, axis=-1), ops.normalize(self.kernel, axis=0))


model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(32))
model.add(Cosine(10))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(x, digits.target, batch_size=32, epochs=14, verbose=2)
