"""Keras model of digits. The warm-up and the decay of its rate are as long as the run has examples,
where they count batches, so that training ends within the first steps of the warm-up.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(43)
digits = load_digits()
pictures = (digits.images / 16.0).astype("float32")[..., None]
epochs, batch_size = 8, 32

total = epochs * len(pictures)
rate = keras.optimizers.schedules.CosineDecay(
    1e-6, decay_steps=total - total // 10, warmup_target=1e-3, warmup_steps=total // 10
)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        *(layers.Conv2D(16, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu")),
        *(layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")),
    ]
)
model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pictures, digits.target, batch_size=batch_size, epochs=epochs, verbose=2)
