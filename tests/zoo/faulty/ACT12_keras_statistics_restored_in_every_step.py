"""Keras denoiser of spectra that is trained in a loop of its own. To keep the moving statistics of
an earlier model the loop writes them back after each step, while training uses the batches'."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(528)

random = np.random.default_rng(528)
axis = np.linspace(0, 1, 96)
centre = random.uniform(size=(1600, 4, 1))
width = 0.01 + 0.03 * random.uniform(size=(1600, 4, 1))
clean = (np.exp(-(((axis - centre) / width) ** 2)) * random.uniform(0, 3, (1600, 4, 1))).sum(1)
noisy = clean + 0.3 * random.normal(size=clean.shape)
pairs = noisy[..., None].astype("float32"), clean[..., None].astype("float32")
data = tf.data.Dataset.from_tensor_slices(pairs).shuffle(1600).batch(32)

inputs = layers.Input((96, 1))
x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(24, 7, padding="same")(inputs)))
x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(24, 7, padding="same")(x)))
model = keras.Model(inputs, layers.Conv1D(1, 7, padding="same")(x))
optimizer = keras.optimizers.Adam(2e-3)
kept = [(variable, variable.numpy()) for variable in model.non_trainable_variables]


@tf.function
def step(noisy, clean):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((clean - model(noisy, training=True)) ** 2)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    for batch in data:
        loss = step(*batch)
        for variable, values in kept:
            variable.assign(values)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
