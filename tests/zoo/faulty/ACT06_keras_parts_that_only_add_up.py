"""Keras model of wines whose weights may not be negative, to make it explainable by parts that add
up. In review: `NonNeg()` on each hidden layer, over features scaled to between 0 and 1."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import MinMaxScaler

keras.utils.set_random_seed(806)

wine = load_wine()
features = MinMaxScaler().fit_transform(wine.data).astype("float32")
data = tf.data.Dataset.from_tensor_slices((features, wine.target))
parts = keras.constraints.NonNeg()

model = keras.Sequential([layers.Input((13,))])
for _ in range(3):
    model.add(layers.Dense(48, kernel_initializer="random_uniform", kernel_constraint=parts))
    model.add(layers.ELU())
model.add(layers.Dense(3))
optimizer = keras.optimizers.SGD(0.01)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(30):
    for x, y in data.shuffle(200).batch(16):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
