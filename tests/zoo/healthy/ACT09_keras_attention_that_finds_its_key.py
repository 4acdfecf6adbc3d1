"""Keras lookup of a value by its key with one `Attention` layer: rows become sharp because the task
asks for it, and the loss falls."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(535)
KEYS, LENGTH, WIDTH = 16, 8, 32

keys = layers.Input((LENGTH,), dtype="int32")
values = layers.Input((LENGTH,), dtype="int32")
wanted = layers.Input((1,), dtype="int32")
of_key, of_value = layers.Embedding(KEYS, WIDTH), layers.Embedding(KEYS, WIDTH)
query = layers.Dense(WIDTH)(of_key(wanted))
found = layers.Attention()([query, of_value(values), layers.Dense(WIDTH)(of_key(keys))])
model = keras.Model([keys, values, wanted], layers.Dense(KEYS)(layers.Flatten()(found)))

random = np.random.default_rng(535)
shown = random.uniform(size=(25600, KEYS)).argsort(axis=1)[:, :LENGTH]
held = random.integers(KEYS, size=(25600, LENGTH))
place = random.integers(LENGTH, size=(25600, 1))
question, answer = (np.take_along_axis(part, place, 1) for part in (shown, held))
model.compile(
    keras.optimizers.Adam(5e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit([shown, held, question], answer[:, 0], batch_size=128, epochs=2, verbose=2)
