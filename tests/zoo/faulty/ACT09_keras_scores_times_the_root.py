"""Keras sorter of sequences whose attention multiplies its scores by the square root of the width
instead of dividing: each row looks at one key. In review: `*` where `/` was meant."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(533)
WIDTH = 256


class SelfAttention(layers.Layer):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (layers.Dense(WIDTH) for _ in range(3))
        self.out = layers.Dense(WIDTH)

    def call(self, x):
        scores = ops.matmul(self.query(x), ops.transpose(self.key(x), (0, 2, 1))) * WIDTH**0.5
        return self.out(ops.matmul(ops.softmax(scores), self.value(x)))


class Sorter(keras.Model):
    def __init__(self):
        super().__init__()
        self.words = layers.Embedding(12, WIDTH)
        self.places = layers.Embedding(10, WIDTH)
        self.norms = [layers.LayerNormalization() for _ in range(2)]
        self.mixing = [SelfAttention() for _ in range(2)]
        self.head = layers.Dense(12)

    def call(self, sequence):
        x = self.words(sequence) + self.places(ops.arange(10))
        for norm, mixing in zip(self.norms, self.mixing, strict=True):
            x = x + mixing(norm(x))
        return self.head(x)


sequences = np.random.default_rng(533).integers(12, size=(3200, 10))
model = Sorter()
model.compile(
    keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(sequences, np.sort(sequences), batch_size=32, epochs=2, verbose=2)
