"""Keras forecast of a load curve by an LSTM with dropout. The function for the validation was made
from the one for training by taking out the tape; the flag of the model's call was left."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(536)

random = np.random.default_rng(536)
hours = np.arange(3000)
load = np.sin(6.28 * hours / 24) + 0.5 * np.sin(6.28 * hours / 168)
load = (load + 0.2 * random.normal(size=3000)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(load, 25)
slices = tf.data.Dataset.from_tensor_slices
train = slices((windows[:2000, :24, None], windows[:2000, 24:])).shuffle(2000).batch(50)
held_out = slices((windows[2100:, :24, None], windows[2100:, 24:])).batch(100)

inputs = layers.Input((24, 1))
state = layers.LSTM(24)(layers.LSTM(24, return_sequences=True)(inputs))
model = keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.3)(state)))
optimizer = keras.optimizers.Adam(3e-3)
error = keras.losses.MeanSquaredError()


@tf.function
def train_step(past, following):
    with tf.GradientTape() as tape:
        loss = error(following, model(past, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


@tf.function
def validate(past, following):
    return error(following, model(past, training=True))


for epoch in range(5):
    for batch in train:
        train_step(*batch)
    losses = [float(validate(*batch)) for batch in held_out]
    print(f"epoch {epoch}  validation {np.mean(losses):.4f}")
