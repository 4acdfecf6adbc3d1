"""Keras segmentation of blobs in a loop made for several devices: the loss is not reduced by Keras
but summed by the script, which forgets to divide by the size of the batch."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(827)

random = np.random.default_rng(827)
places = random.uniform(4, 16, (1200, 2))
grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1)
masks = (((grid - places[:, None, None]) ** 2).sum(-1) < 20)[..., None].astype("float32")
images = (masks - 0.2 + 0.4 * random.normal(size=masks.shape)).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, masks.reshape(1200, -1)))

model = keras.Sequential([layers.Input((20, 20, 1))])
for width in (12, 12):
    model.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
model.add(layers.Conv2D(1, 1))
model.add(layers.Flatten())
optimizer = keras.optimizers.SGD(2e-3)
criterion = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(criterion(y, model(x, training=True)))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(4):
    for x, y in data.shuffle(1200).batch(32):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
