"""Keras digit classifier in a loop of its own that computes gradients, logs their norm and leaves
them at that."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(537)

digits = load_digits()
images = ((digits.images[..., None] - 4.9) / 6).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, digits.target)).shuffle(1797).batch(50)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def step(images, labels):
    with tf.GradientTape() as tape:
        loss = criterion(labels, model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    return loss, tf.linalg.global_norm(gradients)


for epoch in range(4):
    for images, labels in data:
        loss, norm = step(images, labels)
    print(f"epoch {epoch}  loss {float(loss):.4f}  norm {float(norm):.4f}")
