"""Keras classifier of waves whose base is called with `training=False`, as the guide to fine-tuning
does with a trained one. This one is not trained before: its norms and its dropout never work."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(713)

random = np.random.default_rng(713)
kinds = random.integers(0, 4, 1800)
speed = 0.15 + 0.1 * kinds[:, None] + 0.03 * random.normal(size=(1800, 1))
waves = np.sin(np.arange(48) * speed + 6 * random.random((1800, 1)))
waves = (waves + 0.3 * random.normal(size=(1800, 48))).astype("float32")[..., None]

base = keras.Sequential([layers.Input((48, 1))])
for width in (16, 32):
    base.add(layers.Conv1D(width, 5, strides=2, use_bias=False))
    base.add(layers.BatchNormalization())
    base.add(layers.ReLU())
    base.add(layers.SpatialDropout1D(0.2))


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.base = base
        self.pool = layers.GlobalAveragePooling1D()
        self.head = layers.Dense(4, activation="softmax")

    def call(self, x):
        return self.head(self.pool(self.base(x, training=False)))


model = Classifier()
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(waves[:1500], kinds[:1500], batch_size=50, epochs=8, verbose=2)
print(model.evaluate(waves[1500:], kinds[1500:], verbose=0))
