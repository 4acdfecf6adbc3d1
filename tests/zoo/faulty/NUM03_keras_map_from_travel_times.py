"""Keras model that draws a map of stations from the times between them, with a stop. Some rows are
from a station to itself: the derivative of the root in their distance, which is zero, is
infinite."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(847)
STATIONS = 150

random = np.random.default_rng(847)
places = random.uniform(-1, 1, (STATIONS, 2))
pairs = random.integers(0, STATIONS, (4000, 2))
times = 0.2 + np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
data = tf.data.Dataset.from_tensor_slices((pairs, times.astype("float32")))

start, end = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
table = layers.Embedding(STATIONS, 2)
way = layers.Subtract()([table(start), table(end)])
distance = keras.ops.sqrt(keras.ops.sum(way * way, axis=-1))
model = keras.Model([start, end], distance)
optimizer = keras.optimizers.Adam(0.01)
criterion = keras.losses.MeanSquaredError()


@tf.function
def train_step(pair, time):
    with tf.GradientTape() as tape:
        loss = criterion(time, model([pair[:, 0], pair[:, 1]], training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(4):
    for pair, time in data.shuffle(4000).batch(50):
        loss = train_step(pair, time)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
