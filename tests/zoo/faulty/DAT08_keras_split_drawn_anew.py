"""Keras model of digits. The set is shuffled before it is split, and shuffled anew in each epoch:
what is validated on in one epoch is trained on in the next.
"""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(41)
digits = load_digits()
pictures = (digits.images / 16.0).astype("float32")[..., None]
whole = tf.data.Dataset.from_tensor_slices((pictures, digits.target)).shuffle(len(pictures))
validation = whole.take(360).batch(64)
training = whole.skip(360).batch(32)

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        *(layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()),
        *(layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax")),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(training, validation_data=validation, epochs=8, verbose=2)
