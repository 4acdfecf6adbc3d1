"""The layers declare an L2 penalty; the step of the program's own never adds `model.losses`."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = load_digits()
penalty = keras.regularizers.L2(1e-3)
hidden = layers.Dense(64, activation="relu", kernel_regularizer=penalty)
model = keras.Sequential([layers.Input((64,)), hidden, layers.Dense(10)])
optimizer = keras.optimizers.Adam(1e-3)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def step(images, labels):
    with tf.GradientTape() as tape:
        loss = loss_fn(labels, model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


pairs = tf.data.Dataset.from_tensor_slices((digits.data.astype("float32") / 16, digits.target))
for epoch in range(5):
    for images, labels in pairs.shuffle(1797, seed=epoch).batch(32):
        loss = step(images, labels)
    print(epoch, float(loss))
