"""Half of all units are dropped, twice: a high training loss that means no lack of capacity."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
labels = np.random.randint(0, 6, 2400)
x = (2 * np.random.normal(size=(6, 24))[labels] + np.random.normal(size=(2400, 24))).astype(
    "float32"
)
model = keras.Sequential(
    [
        layers.Dense(96, "relu"),
        layers.Dropout(0.5),
        layers.Dense(96, "relu"),
        layers.Dropout(0.5),
        layers.Dense(6),
    ]
)
model.compile(
    optimizer=keras.optimizers.AdamW(3e-3, weight_decay=1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, labels, batch_size=50, epochs=5, verbose=0)
