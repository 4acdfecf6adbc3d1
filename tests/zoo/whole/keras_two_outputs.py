"""Keras functional model with two inputs and two outputs, each with its loss and weight."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(319)

random = np.random.default_rng(319)
numbers = random.normal(size=(2400, 6)).astype("float32")
kinds = random.integers(0, 12, (2400, 1))
effect = random.normal(size=12)[kinds[:, 0]]
amount = (numbers[:, 0] + effect + 0.2 * random.normal(size=2400)).astype("float32")
late = (numbers[:, 1] + effect > 0).astype("float32")
amount = (amount - amount.mean()) / amount.std()

table, kind = layers.Input((6,), name="table"), layers.Input((1,), name="kind")
x = layers.Concatenate()([table, layers.Flatten()(layers.Embedding(12, 4)(kind))])
x = layers.Dense(48, activation="relu")(x)
outputs = {
    "amount": layers.Dense(1, name="amount")(x),
    "late": layers.Dense(1, activation="sigmoid", name="late")(x),
}
model = keras.Model({"table": table, "kind": kind}, outputs)
model.compile(
    keras.optimizers.Adam(2e-3),
    {"amount": "mse", "late": "binary_crossentropy"},
    loss_weights={"amount": 1.0, "late": 0.5},
)
targets = {"amount": amount[:, None], "late": late[:, None]}
model.fit({"table": numbers, "kind": kinds}, targets, batch_size=64, epochs=8, verbose=2)
