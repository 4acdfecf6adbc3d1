"""Keras recommender that looks at the first batch of 2000 held-out ratings after each epoch, and at
the others never."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(655)

random = np.random.default_rng(655)
people, films = np.divmod(random.permutation(300 * 120)[:8000], 120)
stars = (random.normal(size=(300, 3))[people] * random.normal(size=(120, 3))[films]).sum(1)

one, other = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
model = keras.Model(
    [one, other], layers.Dot(1)([layers.Embedding(300, 8)(one), layers.Embedding(120, 8)(other)])
)
model.compile(keras.optimizers.Adam(0.02), "mse")
for epoch in range(6):
    model.fit([people[:6000], films[:6000]], stars[:6000], batch_size=64, verbose=0)
    held = model.evaluate([people[6000:], films[6000:]], stars[6000:], 32, steps=1, verbose=0)
    print(f"epoch {epoch}  held out {held:.4f}")
