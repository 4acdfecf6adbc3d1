"""Keras digit classifier in a loop of its own that trains with `training=True` and evaluates
without."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(327)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
slices = tf.data.Dataset.from_tensor_slices
train = slices((pixels[:1400], digits.target[:1400])).shuffle(1400).batch(64)
test = slices((pixels[1400:], digits.target[1400:])).batch(64)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(10),
    ]
)
optimizer = keras.optimizers.Adam(2e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
accuracy = keras.metrics.SparseCategoricalAccuracy()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


for epoch in range(6):
    for x, y in train:
        train_step(x, y)
    for x, y in test:
        accuracy.update_state(y, model(x, training=False))
    print(f"epoch {epoch}  accuracy {float(accuracy.result()):.3f}")
    accuracy.reset_state()
