"""Keras convolutional autoencoder trained by a loop of its own under `tf.function`."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(318)

images = (load_digits().images[..., None] / 16).astype("float32")
data = tf.data.Dataset.from_tensor_slices(images).shuffle(2000).batch(64, drop_remainder=True)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(16, activation="relu"),
        layers.Dense(256, activation="relu"),
        layers.Reshape((4, 4, 16)),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
    ]
)
optimizer = keras.optimizers.Adam(2e-3)


@tf.function
def train_step(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.mean_squared_error(x, model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


for epoch in range(7):
    for x in data:
        loss = train_step(x)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
