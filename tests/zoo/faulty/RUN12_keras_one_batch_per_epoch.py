"""Keras regression of a disease's progress in a loop of its own that takes the next batch where it
should go through all of them: twelve epochs are twelve steps."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_diabetes

keras.utils.set_random_seed(719)

patients = load_diabetes()
x = (patients.data * 21).astype("float32")
y = ((patients.target - 152) / 77).astype("float32")[:, None]
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(442, seed=719).batch(32).repeat()
batches = iter(data)

model = keras.Sequential([layers.Input((10,)), layers.Dense(24, activation="gelu")])
model.add(layers.Dense(1))
optimizer = keras.optimizers.Adam(5e-3)

for epoch in range(12):
    features, progress = next(batches)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(features, training=True) - progress))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
