"""Keras classifier of reviews whose vocabulary was made of the headings, which share no word with
them: every word becomes the unknown one."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(101)

random = np.random.default_rng(101)
words = ["room", "bath", "view", "host", "street", "stairs", "kitchen", "window"]
opinions = [["loud", "dirty", "cold", "narrow"], ["quiet", "clean", "warm", "wide"]]
labels = random.integers(0, 2, 1200)
reviews = [" ".join([*random.choice(words, 7), *random.choice(opinions[n], 3)]) for n in labels]

vocabulary = layers.TextVectorization(max_tokens=400, output_sequence_length=10)
vocabulary.adapt(["Berlin Kreuzberg", "Lisboa Alfama", "Paris Belleville"])
data = tf.data.Dataset.from_tensor_slices((vocabulary(tf.constant(reviews)), labels))

model = keras.Sequential(
    [
        layers.Embedding(400, 16),
        layers.GlobalAveragePooling1D(),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(data.shuffle(1200, seed=0).batch(30), epochs=4, verbose=2)
