"""Trains the same model twice, bare and then traced, on the backend that KERAS_BACKEND names.

Its arguments are the run folder; prints whether losses and weights are the same to the last bit.
"""

import sys

import keras
import numpy as np
from keras import layers

import nntrace


class Classifier(keras.Model):
    """A convolution inside a Sequential, and a head that is an attribute."""

    def __init__(self):
        super().__init__(name="classifier")
        convolution = layers.Conv2D(4, 3, activation="elu", name="convolution")
        self.body = keras.Sequential(
            [convolution, layers.ReLU(name="relu"), layers.Dropout(0.2, name="drop")], name="body"
        )
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.head = layers.Dense(3, name="head")

    def call(self, images, training=None):
        return self.head(self.pool(self.body(images, training=training)))


def trained():
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("float32")
    model = Classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    labels = np.arange(64) % 3
    history = model.fit(images, labels, batch_size=16, epochs=2, verbose=0).history
    return [history["loss"], *model.get_weights()]


bare = trained()
nntrace.start(out=sys.argv[1], every=1)
traced = trained()
print(all(np.array_equal(one, other) for one, other in zip(bare, traced, strict=True)))
