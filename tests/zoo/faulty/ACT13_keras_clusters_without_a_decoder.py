"""Keras encoder of digits that is pulled towards the nearest of ten learned centres. The decoder of
the paper was left out, and nothing keeps all images and all centres from meeting in one point."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(813)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices(images)

encoder = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(24, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(24),
    ]
)
centres = tf.Variable(tf.random.normal((10, 24), stddev=0.3, seed=1))
optimizer = keras.optimizers.Adam(2e-3)


@tf.function
def train_step(x):
    with tf.GradientTape() as tape:
        apart = tf.square(encoder(x, training=True)[:, None] - centres)
        loss = tf.reduce_mean(tf.reduce_min(tf.reduce_sum(apart, axis=-1), axis=1))
    gradients = tape.gradient(loss, encoder.trainable_variables)
    optimizer.apply(gradients, encoder.trainable_variables)
    return loss


for epoch in range(20):
    for x in data.shuffle(1800).batch(60):
        loss = train_step(x)
    print(f"epoch {epoch}  loss {float(loss):.5f}")
