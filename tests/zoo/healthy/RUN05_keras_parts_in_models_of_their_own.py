"""Keras model of digits. Beside the answer there is a model that pools the same convolutions, and
another one that looks at them through a layer of its own, which is not trained here.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(61)
digits = load_digits()
pictures = (digits.images / 16.0).astype("float32")[..., None]

given = keras.Input((8, 8, 1))
hidden = layers.Conv2D(16, 3, activation="relu")(given)
hidden = layers.Conv2D(32, 3, activation="relu")(layers.BatchNormalization()(hidden))
pooled = keras.Model(given, layers.GlobalAveragePooling2D()(hidden))
projected = keras.Model(given, layers.Dense(4)(pooled.output))
answer = layers.Dense(10, activation="softmax")(layers.Dropout(0.1)(layers.Flatten()(hidden)))
model = keras.Model(given, answer)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pictures, digits.target, batch_size=32, epochs=6, validation_split=0.2, verbose=2)
print(pooled.predict(pictures, verbose=0).std(), projected.predict(pictures, verbose=0).std())
