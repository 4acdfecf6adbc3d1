"""Keras classifier of movements by SGD with `weight_decay=0.99`, which was taken for the share of
the old weights that stays: 0.99 of the rate is taken off them in each step."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(730)

random = np.random.default_rng(730)
kinds = random.integers(0, 4, 1600)
steps = random.normal(size=(1600, 30, 3))
steps[:, :, 0] += np.sin(np.arange(30) * (0.3 + 0.3 * kinds[:, None]))
data = tf.data.Dataset.from_tensor_slices((steps.astype("float32"), kinds))
data = data.shuffle(1600, seed=730).batch(32)

model = keras.Sequential(
    [
        layers.Input((30, 3)),
        layers.Conv1D(24, 5, activation="relu"),
        layers.Conv1D(24, 5, activation="relu"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(4),
    ]
)
optimizer = keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=0.99)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(6):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
