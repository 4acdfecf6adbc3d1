"""Keras digit classifier under "mixed_float16" in a loop of its own, where nobody scales the loss
as `fit` does: small gradients are rounded to zero."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(509)
keras.config.set_dtype_policy("mixed_float16")

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, digits.target)).shuffle(1800).batch(64)

model = keras.Sequential([layers.Input((8, 8, 1))])
for _ in range(4):
    model.add(layers.Conv2D(16, 3, padding="same", activation="relu"))
model.add(layers.Flatten())
model.add(layers.Dense(10, dtype="float32"))
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True)) * 1e-4
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(4):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.3e}")
