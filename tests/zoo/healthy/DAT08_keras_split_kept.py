"""Keras model of digits. The set is shuffled once, before it is split; then only the part that is
trained on is shuffled in each epoch. Beside that, some of what was trained on is evaluated.
"""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(41)
digits = load_digits()
pictures = (digits.images / 16.0).astype("float32")[..., None]
whole = tf.data.Dataset.from_tensor_slices((pictures, digits.target))
whole = whole.shuffle(len(pictures), seed=3, reshuffle_each_iteration=False)
validation = whole.take(360).batch(64)
training = whole.skip(360).shuffle(len(pictures)).batch(32)

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        *(layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()),
        *(layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax")),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
for _ in range(2):
    model.fit(training, validation_data=validation, epochs=4, verbose=2)
    model.evaluate(whole.skip(360).take(360).batch(64), verbose=2)
