"""Keras model of who likes what, with a tower for people and one for things, in a loop of its own.
The gradients of both are applied last first, each to the variable that it was computed for.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(37)
random = np.random.default_rng(37)
tastes, kinds = random.normal(size=(300, 6)), random.normal(size=(300, 6))
who, what = random.integers(0, 300, (2, 9600))
likes = (np.sum(tastes[who] * kinds[what], axis=1) > 0).astype("float32")


def tower():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(8)]
    )


people, things = tower(), tower()
optimizer = keras.optimizers.Adam(1e-3)
likely = keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function
def step(one, other, liked):
    with tf.GradientTape() as tape:
        score = tf.reduce_sum(people(one) * things(other), axis=-1, keepdims=True)
        loss = likely(liked[:, None], score)
    variables = people.trainable_variables + things.trainable_variables
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients[::-1], variables[::-1], strict=True))
    return loss


pairs = (tastes[who].astype("float32"), kinds[what].astype("float32"), likes)
data = tf.data.Dataset.from_tensor_slices(pairs).shuffle(9600, seed=1).batch(64)
for epoch in range(3):
    losses = [float(step(*batch)) for batch in data]
    print(f"epoch {epoch}  loss {np.mean(losses):.3f}")
