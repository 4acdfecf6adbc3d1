"""Keras digit classifier on a pipeline that is shuffled anew for each epoch, validated on one that
never is."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(106)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
data = tf.data.Dataset.from_tensor_slices((pixels[:1400], digits.target[:1400]))
data = data.shuffle(1400).batch(64).prefetch(2)
validation = tf.data.Dataset.from_tensor_slices((pixels[1400:], digits.target[1400:])).batch(64)

model = keras.Sequential([layers.Input((64,)), layers.Dense(32, activation="gelu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.RMSprop(2e-3), "sparse_categorical_crossentropy")
model.fit(data, epochs=8, validation_data=validation, verbose=2)
