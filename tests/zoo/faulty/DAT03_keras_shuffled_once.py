"""Keras digit classifier on a pipeline that is shuffled once for all epochs. In review:
`reshuffle_each_iteration=False`, taken over from the pipeline of the validation set."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(105)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
data = tf.data.Dataset.from_tensor_slices((pixels, digits.target))
data = data.shuffle(2000, seed=1, reshuffle_each_iteration=False).batch(100)

model = keras.Sequential([layers.Input((64,)), layers.Dense(32, activation="gelu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.RMSprop(2e-3), "sparse_categorical_crossentropy")
model.fit(data, epochs=10, verbose=2)
