"""Keras digit classifier in a loop of its own that computes all gradients and applies those of the
head: the convolutions stay random. In review: `head.trainable_variables` in the last line."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(307)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, digits.target)).shuffle(1800).batch(64)

trunk = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu"), layers.Flatten()]
)
head = layers.Dense(10)
model = keras.Sequential([trunk, head])
optimizer = keras.optimizers.Adam(2e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients[-2:], head.trainable_variables)
    return loss


for epoch in range(6):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
