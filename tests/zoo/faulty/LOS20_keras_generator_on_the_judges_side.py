"""Keras GAN of digits whose generator is trained to have its digits recognised as made. In review:
zeros, the label of made digits, where the label of real ones belongs."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(328)

digits = (load_digits().data / 16).astype("float32")
batches = tf.data.Dataset.from_tensor_slices(digits).shuffle(1797).batch(32, drop_remainder=True)

maker = keras.Sequential(
    [
        layers.Input((16,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="sigmoid"),
    ]
)
judge = keras.Sequential(
    [layers.Input((64,)), layers.Dense(64), layers.LeakyReLU(0.2), layers.Dense(1)]
)
loss = keras.losses.BinaryCrossentropy(from_logits=True)
judges, makers = keras.optimizers.Adam(2e-4), keras.optimizers.Adam(2e-4)


@tf.function
def step(real):
    with tf.GradientTape() as tape:
        on_made = judge(maker(tf.random.normal((32, 16)), training=True), training=True)
        on_real = judge(real, training=True)
        judged = loss(tf.ones_like(on_real), on_real) + loss(tf.zeros_like(on_made), on_made)
    weights = judge.trainable_variables
    judges.apply_gradients(zip(tape.gradient(judged, weights), weights, strict=True))
    with tf.GradientTape() as tape:
        on_made = judge(maker(tf.random.normal((32, 16)), training=True), training=True)
        made = loss(tf.zeros_like(on_made), on_made)
    weights = maker.trainable_variables
    makers.apply_gradients(zip(tape.gradient(made, weights), weights, strict=True))
    return judged, made


for epoch in range(10):
    for real in batches:
        judged, made = step(real)
    print(epoch, float(judged), float(made))
