"""A rate that is still warming up when the check ends."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
labels = np.random.randint(0, 5, 2000)
x = (2 * np.random.normal(size=(5, 20))[labels] + np.random.normal(size=(2000, 20))).astype(
    "float32"
)
rate = keras.optimizers.schedules.CosineDecay(
    0.0, decay_steps=5000, warmup_target=3e-3, warmup_steps=1000
)
model = keras.Sequential([layers.Dense(64, "gelu"), layers.LayerNormalization(), layers.Dense(5)])
model.compile(
    optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, labels, batch_size=50, epochs=6, verbose=0)
