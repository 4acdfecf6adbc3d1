"""Keras digit classifier in a loop of its own that adds up the gradients of all batches of an epoch
and makes one step with them."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(539)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
data = tf.data.Dataset.from_tensor_slices((pixels, digits.target)).batch(45)

model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(32, activation="gelu"), layers.Dense(10)]
)
optimizer = keras.optimizers.Adam(1e-2)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def gradients_of(pixels, labels):
    with tf.GradientTape() as tape:
        loss = criterion(labels, model(pixels, training=True))
    return tape.gradient(loss, model.trainable_variables)


for _ in range(30):
    totals = [tf.zeros_like(variable) for variable in model.trainable_variables]
    for pixels, labels in data:
        found = gradients_of(pixels, labels)
        totals = [total + one / len(data) for total, one in zip(totals, found, strict=True)]
    optimizer.apply(totals, model.trainable_variables)
