"""Keras linear model of the progress of diabetes by its absolute error, on all patients at once,
at a rate of 2: the gradient does not get smaller near the optimum, and each step jumps over it."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(826)

table = load_diabetes()
features = tf.constant(StandardScaler().fit_transform(table.data), tf.float32)
progress = StandardScaler().fit_transform(table.target[:, None])
progress = tf.constant(progress, tf.float32)

model = keras.Sequential([layers.Input((10,)), layers.Dense(1)])
optimizer = keras.optimizers.SGD(2.0)
criterion = keras.losses.MeanAbsoluteError()


@tf.function
def train_step():
    with tf.GradientTape() as tape:
        loss = criterion(progress, model(features, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for step in range(150):
    loss = train_step()
    if step % 15 == 0:
        print(f"step {step}  loss {float(loss):.4f}")
