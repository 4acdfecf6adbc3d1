"""A table and a text into one model; there is nothing to turn off."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
table = np.random.normal(size=(2000, 6)).astype("float32")
words = np.random.randint(0, 20, (2000, 5))
y = (table[:, :1] + (words == 3).sum(1, keepdims=True) - 0.2).astype("float32")
inputs = [keras.Input((6,)), keras.Input((5,), dtype="int32")]
read = layers.GlobalAveragePooling1D()(layers.Embedding(20, 16)(inputs[1]))
hidden = layers.Dense(48, "relu")(layers.Concatenate()([inputs[0], read]))
model = keras.Model(inputs, layers.Dense(1)(hidden))
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
model.fit([table, words], y, batch_size=50, epochs=6, verbose=0)
