"""Keras classifier of a table: ages are put into bins, incomes normalised, towns made one-hot."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(420)
random = np.random.default_rng(420)

age = random.integers(18, 80, 3000).astype("float32")
income = random.normal(40_000, 9_000, 3000).astype("float32")
town = random.integers(0, 9, 3000)
buys = (age / 40 + income / 40_000 + (town == 3) > 2.2).astype("float32")

given = {
    "age": keras.Input((1,), name="age"),
    "income": keras.Input((1,), name="income"),
    "town": keras.Input((1,), dtype="int64", name="town"),
}
normalised = layers.Normalization(axis=None)
normalised.adapt(income)
bins = layers.Discretization(bin_boundaries=[25.0, 35.0, 45.0, 55.0, 65.0], output_mode="one_hot")
towns = layers.CategoryEncoding(num_tokens=9, output_mode="one_hot")
parts = [bins(given["age"]), normalised(given["income"]), towns(given["town"])]
hidden = layers.Dense(16, activation="relu")(layers.Concatenate()(parts))
model = keras.Model(given, layers.Dense(1, activation="sigmoid")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
columns = {"age": age[:, None], "income": income[:, None], "town": town[:, None]}
model.fit(columns, buys, epochs=6, batch_size=32, verbose=2)
