"""Keras classifier of texts: embedding with a mask, a bidirectional LSTM, dropout, validation."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(317)

random = np.random.default_rng(317)
mood = random.normal(size=200)
texts = random.integers(1, 200, (2000, 20))
lengths = random.integers(8, 21, (2000, 1))
texts[np.arange(20) >= lengths] = 0
labels = ((mood * (np.arange(200) > 0))[texts].sum(1) > 0).astype("float32")

model = keras.Sequential(
    [
        layers.Input((20,)),
        layers.Embedding(200, 24, mask_zero=True),
        layers.Bidirectional(layers.LSTM(16)),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
valid = texts[1600:], labels[1600:]
model.fit(texts[:1600], labels[:1600], batch_size=64, epochs=6, validation_data=valid, verbose=2)
