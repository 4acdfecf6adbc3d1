"""Keras classifier with dropout and batch norm, trained by a loop of its own that says
`training=True`, and evaluated after each epoch without it."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(9)

digits = load_digits()
images = ((digits.data - 4.9) / 6).astype("float32")
labels = digits.target
train = tf.data.Dataset.from_tensor_slices((images[:1500], labels[:1500]))
train = train.shuffle(2000).batch(64)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.3),
        layers.Dense(10),
    ]
)
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


for epoch in range(6):
    for x, y in train:
        loss = train_step(x, y)
    right = tf.cast(tf.argmax(model(images[1500:]), 1) == labels[1500:], tf.float32)
    print(f"epoch {epoch}  loss {float(loss):.4f}  accuracy {float(tf.reduce_mean(right)):.3f}")
