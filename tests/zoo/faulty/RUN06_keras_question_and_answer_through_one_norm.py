"""Keras matcher of questions and answers in a loop of its own: one tower with a batch norm reads
both, and they are not alike. Its running statistics fit neither."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(716)

random = np.random.default_rng(716)
meaning = random.normal(size=(1600, 8))
questions = (meaning @ random.normal(size=(8, 24)) * 0.4).astype("float32")
answers = (2 + meaning @ random.normal(size=(8, 24))).astype("float32") / 2
data = tf.data.Dataset.from_tensor_slices((questions, answers)).shuffle(1600, seed=716).batch(40)

tower = keras.Sequential(
    [
        layers.Dense(48, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(16),
    ]
)
question, answer = keras.Input((24,)), keras.Input((24,))
model = keras.Model([question, answer], [tower(question), tower(answer)])
optimizer = keras.optimizers.Adam(2e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(pair):
    with tf.GradientTape() as tape:
        asked, told = model(pair, training=True)
        scores = tf.matmul(asked, told, transpose_b=True) / 4.0
        loss = criterion(tf.range(tf.shape(scores)[0]), scores)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    for pair in data:
        loss = train_step(pair)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
