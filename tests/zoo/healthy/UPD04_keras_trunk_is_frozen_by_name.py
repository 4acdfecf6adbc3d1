"""Keras digit classifier in a loop of its own that trains the head alone: the trunk was trained on
another task before, and is frozen."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(308)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
is_odd = (digits.target % 2).astype("float32")

trunk = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten()]
)
before = keras.Sequential([trunk, layers.Dense(1, activation="sigmoid")])
before.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
before.fit(images, is_odd, batch_size=64, epochs=4, verbose=2)

trunk.trainable = False
model = keras.Sequential([trunk, layers.Dense(10)])
optimizer = keras.optimizers.Adam(3e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


data = tf.data.Dataset.from_tensor_slices((images, digits.target)).shuffle(1800).batch(64)
for epoch in range(5):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
