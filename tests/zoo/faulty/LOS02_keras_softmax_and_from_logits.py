"""Keras digit classifier with a softmax head whose loss is told that it receives logits. In review:
`from_logits=True`, copied from a model without the softmax."""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(2)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")


class Normalised(layers.Layer):
    def call(self, scores):
        scores = ops.exp(scores - ops.max(scores, axis=1, keepdims=True))
        return scores / ops.sum(scores, axis=1, keepdims=True)


model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(64, activation="relu"), layers.Dense(10), Normalised()]
)
model.compile(
    keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
