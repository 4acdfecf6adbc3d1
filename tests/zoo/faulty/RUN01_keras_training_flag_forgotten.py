"""Keras classifier with dropout, trained by a loop of its own: the model is called without
`training=True`, which means inference. In review: `model(x)` under the tape."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(9)

digits = load_digits()
images = ((digits.data - 4.9) / 6).astype("float32")
batches = tf.data.Dataset.from_tensor_slices((images, digits.target)).shuffle(2000).batch(64)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.Dense(10),
    ]
)
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


for epoch in range(6):
    for x, y in batches:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
