"""Keras digit classifier by convolutions, to be made sparse by an L1 penalty that was tuned for the
mean of the weights and is taken of their sum: it is twenty times the loss on the images."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(828)
STRENGTH = 0.05

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, digits.target))

inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(24, 3, activation="relu")(inputs)
hidden = layers.Conv2D(32, 3, activation="relu")(hidden)
model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(hidden)))
optimizer = keras.optimizers.SGD(5e-4)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
        for kernel in model.trainable_variables:
            loss += STRENGTH * tf.reduce_sum(tf.abs(kernel))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(6):
    for x, y in data.shuffle(1800).batch(50):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
