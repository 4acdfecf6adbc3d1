"""Keras: a pipeline divides the bytes of digits by 255, and the model, copied from a tutorial,
begins with a `Rescaling` of its own. In review: two divisions by 255."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(3)

digits = load_digits()
bytes_of_images = (digits.images[..., None] * 255 / 16).astype("uint8")
data = tf.data.Dataset.from_tensor_slices((bytes_of_images, digits.target)).shuffle(1800)
data = data.batch(32).map(lambda image, label: (tf.cast(image, tf.float32) / 255.0, label))

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Rescaling(1.0 / 255),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(data, epochs=6, verbose=2)
