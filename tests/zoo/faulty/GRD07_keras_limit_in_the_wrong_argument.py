"""Keras ratings in a loop of its own. `tf.clip_by_global_norm` is given the learning rate where its
limit of 5 belongs, two lines below: each step has the same tiny length."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(522)
RATE, LIMIT = 0.02, 5.0

random = np.random.default_rng(522)
taste, kind = random.normal(size=(120, 4)), random.normal(size=(90, 4))
user, film = random.integers(120, size=6000), random.integers(90, size=6000)
stars = ((taste[user] * kind[film]).sum(axis=1) / 2).astype("float32")
data = tf.data.Dataset.from_tensor_slices((user, film, stars)).shuffle(6000).batch(60)

of_user, of_film = layers.Embedding(120, 12), layers.Embedding(90, 12)
inputs = [layers.Input((), dtype="int64"), layers.Input((), dtype="int64")]
hidden = layers.Concatenate()([of_user(inputs[0]), of_film(inputs[1])])
hidden = layers.Dense(32, activation="relu")(hidden)
model = keras.Model(inputs, layers.Flatten()(layers.Dense(1)(hidden)))
optimizer = keras.optimizers.SGD(RATE, momentum=0.9)


@tf.function
def step(user, film, stars):
    with tf.GradientTape() as tape:
        error = stars - model([user, film], training=True)[:, 0]
        loss = tf.reduce_mean(error**2)
    gradients = tape.gradient(loss, model.trainable_variables)
    gradients, _ = tf.clip_by_global_norm(gradients, RATE)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


for epoch in range(3):
    for batch in data:
        loss = step(*batch)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
